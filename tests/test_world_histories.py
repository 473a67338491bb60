"""Whatever is done to a world in whatever order, a store changes nothing but where the world lives."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gaelp_env.world import World
from tests.worlds import SMALL, new_url, rows, state, step

ACTIONS = ("step", "step", "step", "episode", "reset", "seed", "rollback", "commit", "reopen", "meet")


class Pair:
    """A world in a store, and a twin without one, to which the same is done."""

    def __init__(self, url: str, commit_every: int) -> None:
        self.url, self.commit_every = url, commit_every
        self.twin = World.open(config=SMALL)
        self.twin.reset(seed=1)
        self.world = self.opened()
        self.world.reset(seed=1)
        self.seeded = False

    def opened(self) -> World:
        return World.open(self.url, config=SMALL, commit_every=self.commit_every)

    def do(self, action: str, seed: int) -> None:
        finished = self.twin.episodes_finished
        if action == "reopen":
            self.reopen(seed)
        else:
            for world in (self.world, self.twin):
                act(world, action, seed)
        self.seeded = (self.seeded or action == "seed") and finished == self.twin.episodes_finished

    def reopen(self, seed: int) -> None:
        """A seed under which no episode has finished was written nowhere, so it is given again."""
        finished = self.twin.episodes_finished
        self.world.close()
        self.world = self.opened()
        self.twin.reset()
        again = self.seeded and finished == self.twin.episodes_finished
        for world in (self.world, self.twin):
            world.reset(seed=seed if again or self.twin.episodes_finished == 0 else None)


def act(world: World, action: str, seed: int) -> None:
    if action == "step" and not world.over:
        step(world)
    elif action == "episode":
        while not world.over:
            step(world)
        world.end_episode()
    elif action == "reset":
        world.reset()
    elif action == "seed":
        world.reset(seed=seed)
    elif action == "rollback":
        world.rollback()
    elif action == "commit":
        world.commit()
    elif action == "meet" and not world.over:
        world.get_or_create_user(f"somebody {seed}")


@settings(max_examples=60)
@given(
    st.sampled_from([1, 2, 5]),
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 3)), min_size=4, max_size=25),
)
@example(3, [(action, 2) for action in ("step", "reopen", "step", "seed", "episode", "commit", "rollback")])
@example(2, [(action, 0) for action in ("step", "episode", "step", "commit")])
@example(1, [(action, 3) for action in ("reopen", "episode", "episode", "step")])
def test_a_world_in_a_store_lives_as_its_twin_without_one(
    commit_every: int, history: list[tuple[str, int]]
) -> None:
    pair = Pair(new_url("memory", None), commit_every)
    for action, seed in history:
        pair.do(action, seed)
        assert state(pair.world) == state(pair.twin), action
    pair.world.close()
    pair.twin.reset()
    finished, totals = pair.twin.episodes_finished, pair.twin.totals()
    if finished:
        assert [row["episode"] for row in rows(pair.url, "episodes")] == list(range(1, finished + 1))
        assert len(rows(pair.url, "touchpoints")) == totals["touchpoints"]
        users = rows(pair.url, "persistent_users")
        assert sum(row["episode_count"] for row in users) == totals["met"]
