"""The oracle's advertising: may we bid, what do we get, what may it cost, and what does an ad do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gaelp_env.config import Channel
from tests.oracle_auction import Won, auction, competition, rivals_seen
from tests.oracle_chance import AUCTION, RESPOND, SLOTS, draw
from tests.oracle_person import Ad, User, session_device
from tests.oracle_prospect import lifted, saturated
from tests.oracle_site import PAID, Site, Touch


@dataclass
class View:
    """An ad of ours as a person would see it, before anything has come of it."""

    device: int
    creative: int
    left: float
    click: float
    clicked: bool


class Adverts(Site):
    """Opportunities and our ads in a market that keeps prices, bids and budgets."""

    channels: tuple[Channel, ...]
    bids: list[list[float]]
    medians: list[float]
    click_level: float
    over: dict[str, bool]

    def left_to_spend(self) -> dict[str, int]:
        """What each budget still bears, micro-units."""
        raise NotImplementedError

    def pay(self, micro: int) -> None:
        """Books a charge."""
        raise NotImplementedError

    def opportunity(self, user: User, at_h: float, j: int, k: int, u_winnable: float) -> None:
        """A slot on channel k, which a person would look at."""
        budget, count = self.config.budget, self.out.by_channel
        count["opportunities"][k] += 1
        bid, winnable = self.bids[k][user.audience], u_winnable < self.channels[k].winnable
        if bid <= 0.0 or any(self.over.values()):
            return self._rivals(user, j, k, winnable, None)
        if 0 < budget.frequency_cap <= user.seen_within(budget.frequency_window_h, at_h):
            count["capped"][k] += 1
            return self._rivals(user, j, k, winnable, None)
        won = None
        if winnable:
            won = auction(self.config, self.key, self.tick, user.number, j, k, bid, self.medians[k])
        if won is None:
            count["bids"][k] += 1
            return self._rivals(user, j, k, winnable, None)
        self._enter_auction(user, at_h, j, k, won)
        return None

    def _rivals(self, user: User, j: int, k: int, winnable: bool, ours: int | None) -> None:
        """The slots that we do not get: rivals' ads there may be seen."""
        channel = self.channels[k]
        if channel.rule == "owned" or channel.rival_gain == 0.0:
            return
        scores, floor = competition(self.config, self.key, self.tick, user.number, j, k, self.medians[k])
        u_view = draw(self.key, user.number, self.tick, AUCTION, j)[3]
        for _ in range(rivals_seen(channel, scores, floor if winnable else 0.0, u_view, ours)):
            self.out.by_channel["rival_views"][k] += 1
            user.rival_awareness = lifted(user.rival_awareness, channel.rival_gain)

    def _enter_auction(self, user: User, at_h: float, j: int, k: int, won: Won) -> None:
        """An auction that we would win: entered only if each budget bears its charge, now or at a click."""
        count, channel = self.out.by_channel, self.channels[k]
        luck = draw(self.key, user.number, self.tick, RESPOND, j)
        view = self._looked_at(user, at_h, j, k, won.slot, luck) if won.is_seen(channel) else None
        clicked = view is not None and view.clicked
        cost = math.floor(won.cpm * 1000 + 0.5)
        if channel.charge == "click":
            cost = math.floor(won.cpm / channel.predicted_click_rate * 1000 + 0.5) if clicked else 0
        room = self.left_to_spend()
        tightest = min(room, key=lambda name: room[name])
        if cost > room[tightest]:
            self.over[tightest], self.out.counts["stopped"] = True, 1
            return self._rivals(user, j, k, True, None)
        self.pay(cost)
        count["bids"][k] += 1
        count["wins"][k] += 1
        count["floor_bound"][k] += won.bound
        count["spend_micro"][k] += cost
        self._rivals(user, j, k, True, won.slot)
        if view is not None:
            count["views"][k] += 1
            paid = cost if channel.charge == "impression" or clicked else 0
            self._see(user, at_h, k, view, luck[1], paid)
            if clicked:
                count["clicks"][k] += 1
                self.visit(user, at_h, j, luck[2], view.device, PAID, k)
        return None

    def _looked_at(self, user: User, at_h: float, j: int, k: int, slot: int, luck: list[float]) -> View:
        """What the person would see and whether they would click; changes nothing."""
        config, response, channel = self.config, self.config.response, self.channels[k]
        device, creative = session_device(user, luck[3], config), self._creative(user, at_h, j)
        counter = creative if response.fatigue_by == "creative" else 0
        quality = response.creative_quality[min(len(user.touches), len(response.creative_quality) - 1)]
        worn = (1.0 + user.fatigue(counter, at_h, config)) ** -channel.fatigue_exponent
        left = worn * quality * response.creatives[creative]
        if user.touches:
            gap_h = at_h - user.touches[-1].minute_h
            left *= 1.0 - response.spacing_loss * math.exp(-gap_h / response.spacing_h)
        base = channel.click_rate[user.stage] * left * self.click_level * channel.slot_click[slot]
        base = min(1.0, base * config.conversion.device_click[device])
        stock = user.adstock(k, at_h, config)
        gain = response.adstock_click * saturated(stock, response.adstock_half, response.adstock_slope)
        click = min(1.0, base * (1.0 + gain))
        return View(device, creative, left, click, luck[0] < click)

    def _creative(self, user: User, at_h: float, j: int) -> int:
        response, count = self.config.response, len(self.config.response.creatives)
        if response.rotation == "sequential":
            return len(user.touches) % count
        if response.rotation == "even":
            return int(draw(self.key, user.number, self.tick, SLOTS, j)[3] * count)
        return min(range(count), key=lambda creative: user.fatigue(creative, at_h, self.config))

    def _see(self, user: User, at_h: float, k: int, view: View, u_move: float, paid: int) -> None:
        """Our ad is seen: awareness rises, the stage may move, and what it is worth accrues."""
        config, channel = self.config, self.channels[k]
        self.out.counts["journeys"] += user.go_on(at_h, 24 * config.people.inactivity_days)
        push = channel.forward_push[min(user.stage, 2)]
        before = user.awareness
        user.awareness = lifted(before, channel.awareness_gain * view.left)
        if user.due_h is None:
            self.out.counts["accrued_micro"] += self._worth(user, at_h, k, before, push, view.click)
        if u_move < self.prospect.forward(user.stage, user.awareness, user.intent, push):
            user.enter(user.stage + 1, at_h, config, self.key)
        user.touches.append(Ad(at_h, k, view.creative, view.clicked))
        touch = Touch(at_h, user.number, k, view.clicked, paid, self.episode + 1, view.click)
        self.out.touches.append(touch)

    def _worth(self, user: User, at_h: float, k: int, before: float, push: float, click: float) -> int:
        prospect, stage, after, intent = self.prospect, user.stage, user.awareness, user.intent
        louder = prospect.voice(before, user.rival_awareness) / prospect.voice(before, prospect.rival_mean)
        propensity, stock = user.propensity * louder, user.stock(at_h, self.config)
        often = prospect.frequency(stock + 1.0)
        worth = prospect.of_ad(stage, before, after, intent, push, click, propensity, often)
        worth += prospect.of_stock(stage, after, intent, propensity, stock, k)
        return math.floor(worth * 1e6 + 0.5)
