"""The door: what is let in, and what is said to the rest."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.config_load import ConfigError, differences, load_config, presets
from gaelp_env.config_words import LISTS, Entry, entries, sections

CALM = settings(max_examples=60, deadline=None)
FREE = sorted(k for k, e in entries().items() if e.kind in ("number", "whole") and not k.endswith(".share"))
TIED = {
    "people.visits_per_day", "visits.return_buyer", "visits.same_day_share", "visits.same_day_h",
    "visits.gap_days",
}  # fmt: skip
"""Keys that the rate of returns ties together; test_config_sections.py has their rule."""
ALONE = sorted({*FREE} - TIED)
RISING = "prices.quantiles"
"""A list with an order of its own; test_config_sections.py has its laws."""
LISTED = sorted(k for k, e in entries().items() if e.kind == "list" and e.total is None and k != RISING)


def refusal(source: Any) -> str:
    """The words in which a source is refused; never pydantic's."""
    with pytest.raises(ConfigError) as caught:
        load_config(source)
    words = str(caught.value)
    for leak in ("Input should", "validation error", "Value error", "Extra inputs", "pydantic"):
        assert leak not in words
    return words


def legal(entry: Entry) -> st.SearchStrategy[Any]:
    """Numbers inside a key's range, its ends included where they belong to it."""
    if entry.kind == "whole":
        return st.integers(int(entry.least or 0), int(entry.most or 10**6))
    return st.floats(
        entry.least, entry.most, exclude_min=entry.above, exclude_max=entry.below,
        allow_nan=False, allow_infinity=False,
    )  # fmt: skip


def illegal(entry: Entry) -> st.SearchStrategy[float]:
    """Finite numbers outside a key's range."""
    sides = []
    if entry.least is not None:
        sides.append(st.floats(-1e12, entry.least, exclude_max=not entry.above))
    if entry.most is not None:
        sides.append(st.floats(entry.most, 1e12, exclude_min=not entry.below))
    return st.one_of(sides)


def value_of(config: MarketConfig, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def test_no_source_is_the_default_market() -> None:
    assert load_config() == load_config({}) == MarketConfig()
    assert load_config(MarketConfig()) is not None


@CALM
@given(st.data())
def test_a_number_inside_its_range_is_let_in(draw: st.DataObject) -> None:
    key = draw.draw(st.sampled_from(ALONE))
    value = draw.draw(legal(entries()[key]))
    assert value_of(load_config({key: value}), key) == value


@CALM
@given(st.data())
def test_a_number_outside_its_range_is_refused_by_key_and_value(draw: st.DataObject) -> None:
    key = draw.draw(st.sampled_from([k for k in FREE if entries()[k].least is not None]))
    value = draw.draw(illegal(entries()[key]))
    words = refusal({key: value})
    assert words.startswith((f"{key} is {value!r}; ", f"{key} is {value:.0f}; "))


@CALM
@given(st.data())
def test_a_list_keeps_the_range_of_each_of_its_numbers(draw: st.DataObject) -> None:
    entry = entries()[draw.draw(st.sampled_from(LISTED))]
    numbers = legal(entry) if entry.least is not None else st.floats(-1e6, 1e6)
    values = draw.draw(st.lists(numbers, min_size=entry.lengths[0], max_size=min(entry.lengths[1], 9)))
    often = {"people.visits_per_day": 50.0}  # as often as the likeliest return asks for
    assert value_of(load_config({**often, entry.key: values}), entry.key) == tuple(values)
    if entry.least is not None:
        place = draw.draw(st.integers(0, len(values) - 1))
        broken = [*values[:place], draw.draw(illegal(entry)), *values[place + 1 :]]
        assert refusal({entry.key: broken}).startswith(f"{entry.key} is [")
    assert refusal({entry.key: [0.5] * (entry.lengths[1] + 1)}).startswith(f"{entry.key} is [")


@pytest.mark.parametrize("key", [k for k, e in entries().items() if e.total is not None])
def test_a_list_of_shares_sums_to_one(key: str) -> None:
    rest = [0.0] * (entries()[key].lengths[0] - 3)
    assert "these sum to 0.9" in refusal({key: [0.2, 0.3, 0.4, *rest]})
    assert value_of(load_config({key: [0.2, 0.3, 0.5, *rest]}), key) == (0.2, 0.3, 0.5, *rest)
    assert refusal({key: [-0.5, 0.5, 1.0, *rest]}).startswith(f"{key} is [-0.5")


def test_every_list_has_its_rule_told() -> None:
    used = {k.rpartition(".")[2] if k.startswith("channels.") else k for k in entries()} & set(LISTS)
    assert used == set(LISTS)


@CALM
@given(st.data())
def test_what_was_let_in_survives_json(draw: st.DataObject) -> None:
    keys = draw.draw(st.lists(st.sampled_from(ALONE), max_size=5, unique=True))
    config = load_config({key: draw.draw(legal(entries()[key])) for key in keys})
    again = load_config(json.loads(config.to_json()))
    assert again == config
    assert again.fingerprint() == config.fingerprint()


@pytest.mark.parametrize(
    "value",
    [True, "much", math.nan, math.inf, [1], [math.nan] * 3, {"a": 1}, object(), 10**5000],
    ids=["true", "text", "nan", "inf", "list", "nans", "section", "object", "huge"],
)
def test_what_is_of_the_wrong_kind_is_refused_by_name(value: Any) -> None:
    for key, entry in entries().items():
        if (entry.kind, value) == ("flag", True) or (entry.lengths[0], value) == (1, [1]):
            continue
        words = refusal({key: value})
        assert words.startswith(f"{key} is ")
        assert len(words) < 400


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_a_flag_is_true_or_false(value: Any) -> None:
    assert "it must be true or false" in refusal({"channels.search.known_only": value})


@pytest.mark.parametrize(
    ("key", "text", "ends"),
    [
        ("clock.tick_minutes", "30 min", "it is in minutes, a plain number from 0.001 to 120: write 30."),
        ("clock.tick_minutes", "1 hour", "write 60."),
        ("clock.tick_minutes", "1 d", "from 0.001 to 120."),
        ("response.fatigue_half_life_d", "12h", "write 0.5."),
        ("conversion.delay_max_h", "3 days", "write 72."),
        ("prices.floor_share", "5%", "it is a share, a plain number from 0 to 1: write 0.05."),
        ("channels.search.view_rate", "90 percent", "write 0.9."),
        ("channels.search.reference_cpm", "$20", "write 20."),
        ("budget.per_episode", "1,000 EUR", "write 1000."),
        ("budget.per_episode", "20 %", "from 0 to 9000000000."),
        ("people.users", "8_000 users", "a plain whole number from 1 to 100000000: write 8000."),
        ("people.users", "many", "from 1 to 100000000."),
        ("prices.log_sd", "0.5", "it is a plain number from 0 to 3: write 0.5."),
    ],
)  # fmt: skip
def test_a_text_with_a_unit_is_told_the_plain_number(key: str, text: str, ends: str) -> None:
    words = refusal({key: text})
    assert words.startswith(f"{key} is the text {text!r}; ")
    assert words.endswith(ends)


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("clock.tick_hours", "clock.tick_minutes (in minutes)"),
        ("clock.tick_h", "clock.tick_minutes (in minutes)"),
        ("response.fatigue_half_life_h", "response.fatigue_half_life_d (in days)"),
        ("channels.search.reference_cpc", "channels.search.reference_cpm (in currency per 1,000)"),
        ("channels.seach.share", "channels.search.share (a share)"),
        ("channels.e-mail", "channels.email"),
        ("tick_minutes", "clock.tick_minutes (in minutes)"),
        ("people.tick_minutes", "clock.tick_minutes (in minutes)"),
        ("peple", "people"),
        ("prices.floor_shar", "prices.floor_share (a share)"),
    ],
)
def test_a_typo_is_told_the_nearest_key(key: str, near: str) -> None:
    assert refusal({key: 1}) == f"{_shown(key)} is no key of a configuration; the nearest is {near}."


def _shown(key: str) -> str:
    return repr(key) if "-" in key else key


@pytest.mark.parametrize("key", ["prices.zzz", "zzz", "", 3, "people."])
def test_an_unknown_key_like_nothing_is_told_what_there_is(key: Any) -> None:
    assert "is no key; the keys of " in refusal({key: 1})


def test_a_word_is_told_the_nearest_word() -> None:
    words = refusal({"people": {"traffic": "Avitoo"}})
    assert words == (
        "people.traffic is 'Avitoo'; it must be avito, auctionnet or flat; the nearest is avito."
    )


def test_dots_and_sections_mean_the_same() -> None:
    dotted = load_config({"channels.search.reference_cpm": 30.0, "people.users": 10})
    nested = load_config({"channels": {"search": {"reference_cpm": 30}}, "people": {"users": 1e1}})
    half = load_config(
        {"channels": {"search.reference_cpm": np.float32(30)}, "people": {"users": np.int8(10)}}
    )
    assert dotted == nested == half
    assert "is given twice" in refusal({"people.users": 1, "people": {"users": 2}})


def test_a_channel_keeps_its_own_defaults_where_nothing_is_said() -> None:
    channel = load_config({"channels.video.winnable": 0.5}).channels.video
    assert channel == MarketConfig().channels.video.model_copy(update={"winnable": 0.5})


def test_the_five_shares_are_kept_together() -> None:
    words = refusal({"channels.search.rule": "first", "channels.search.share": 0.5})
    total = 1.5 - MarketConfig().channels.search.share
    assert words == f"channels.search.share is 0.5: the five shares must sum to 1, and sum to {total:.6g}."


def test_rules_of_the_models_reach_the_user_under_their_key() -> None:
    assert refusal({"clock.epoch": "2026-02-30T00:00:00"}).startswith(
        "clock.epoch is '2026-02-30T00:00:00'; "
    )
    assert refusal({"clock.epoch": "2026-02-03"}).startswith("clock.epoch is '2026-02-03'; ")


def test_a_section_is_no_value_and_a_value_no_section() -> None:
    assert refusal({"people": 3}).startswith("people is 3; it is a section and holds the keys users, ")
    assert refusal({"people.users": {"x": 1}}).startswith("people.users is a section of keys; ")
    assert load_config({"people": None}) == MarketConfig()


def test_five_problems_are_told_in_the_order_of_the_source() -> None:
    keys = [
        "zzz",
        "people.users",
        "clock.tick_minutes",
        "prices.log_sd",
        "clock.qqq",
        "people.stay_days",
        "y",
    ]
    lines = refusal(dict.fromkeys(keys, -1)).splitlines()
    assert [line.split(" is ")[0] for line in lines[:5]] == keys[:5]
    assert lines[5:] == ["There are 2 more problems."]


@pytest.mark.parametrize("source", [3, ["people"], b"tiny"])
def test_what_is_no_source_is_refused(source: Any) -> None:
    assert refusal(source).startswith("A configuration is a path, ")


def test_differences_are_told_by_dotted_key() -> None:
    config = load_config({"people.users": 7, "channels.email.click_rate": [0.1] * 5})
    assert differences(config) == {
        "people.users": (7, MarketConfig().people.users),
        "channels.email.click_rate": ((0.1,) * 5, MarketConfig().channels.email.click_rate),
    }
    assert differences(config, config) == {}
    assert list(differences(MarketConfig(), config)) == list(differences(config))


@CALM
@given(st.data())
def test_differences_rebuild_the_configuration(draw: st.DataObject) -> None:
    keys = draw.draw(st.lists(st.sampled_from(ALONE), max_size=5, unique=True))
    config = load_config({key: draw.draw(legal(entries()[key])) for key in keys})
    assert load_config({key: mine for key, (mine, _) in differences(config).items()}) == config


class TestFiles:
    """Configurations in files."""

    @pytest.fixture
    def write(self, tmp_path: Path) -> Any:
        def write(text: str | bytes, name: str = "my.yaml") -> Path:
            path = tmp_path / name
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            return path

        return write

    def test_a_file_holds_what_differs(self, write: Any) -> None:
        path = write("# mine\npeople:\n  users: 12\nclock.tick_minutes: 1e1\n")
        assert differences(load_config(path)).keys() == {"people.users", "clock.tick_minutes"}
        assert load_config(str(path)) == load_config(path)

    @pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "people:\n", b"\xef\xbb\xbf"])
    def test_an_empty_file_is_the_default(self, write: Any, text: str | bytes) -> None:
        assert load_config(write(text)) == MarketConfig()

    def test_json_is_read_too(self, write: Any) -> None:
        path = write(MarketConfig().to_json(), "my.json")
        assert load_config(path) == MarketConfig()

    def test_problems_name_file_and_line(self, write: Any) -> None:
        path = write("people:\n  users: -1\n\nprices: {log_sd: big}\n")
        first, second = refusal(path).splitlines()
        assert first.startswith(f"{path}, line 2: people.users is -1; ")
        assert second.startswith(f"{path}, line 4: prices.log_sd is the text 'big'; ")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("- 1\n", " holds a list at the top; "),
            ("people\n", " holds a single value at the top; "),
            ("people: [1\nclock: 3\n", ", line 2: this is no YAML: "),
            ("people:\n  users: 1\n  users: 2\n", ", line 3: people.users is there twice, first in line 2; "),
            (b"\xff\xfe\x00", " is no text in UTF-8; "),
        ],
    )
    def test_what_is_no_configuration_is_refused(self, write: Any, text: str | bytes, says: str) -> None:
        path = write(text)
        assert refusal(path).startswith(f"{path}{says}")

    def test_places_that_cannot_be_read(self, tmp_path: Path) -> None:
        assert refusal(tmp_path).startswith(f"{tmp_path} is a folder; ")
        missing = tmp_path / "tiny.yaml"
        assert refusal(missing) == (
            f"There is no file {missing}; give the path of a YAML file or a preset's name. "
            "The preset of that name is given as 'tiny'."
        )

    def test_a_forbidden_file(self, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbid(*_: Any, **__: Any) -> str:
            raise PermissionError(13, "Permission denied")

        path = write("")
        monkeypatch.setattr(Path, "read_text", forbid)
        assert refusal(path) == f"{path} cannot be read: Permission denied."


class TestPresets:
    """The presets of configs/."""

    def test_every_preset_loads_and_says_what_it_is_for(self) -> None:
        assert {"first_price", "ipinyou", "tiny"} <= set(presets())
        for name, path in presets().items():
            assert path.read_text().startswith("# "), name
            assert differences(load_config(name)), name

    def test_first_price(self) -> None:
        rules = [c.rule for c in load_config("first_price").channels.in_order()]
        assert rules == ["first"] * 4 + ["owned"]

    def test_ipinyou(self) -> None:
        from gaelp_env import published

        channels = load_config("ipinyou").channels.in_order()
        shares = [c.winnable for c in channels if c.rule == "second"]
        assert shares == [published.IPINYOU_WINNABLE_SHARE] * 4

    def test_tiny(self) -> None:
        assert {key: mine for key, (mine, _) in differences(load_config("tiny")).items()} == {
            "people.users": 200,
            "clock.episode_ticks": 24,
        }

    def test_a_typo_is_told_the_nearest_preset(self) -> None:
        words = refusal("firts_price")
        assert "There is no preset and no file named 'firts_price'; the nearest is first_price. " in words

    def test_a_preset_goes_before_a_file_of_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "tiny").write_text("people: {users: 3}")
        (tmp_path / "mine").write_text("people: {users: 3}")
        monkeypatch.chdir(tmp_path)
        assert load_config("tiny").people.users == 200
        assert load_config("mine").people.users == 3


def test_the_words_know_every_key_of_the_models() -> None:
    plain = json.loads(MarketConfig().to_json())
    flat = set()
    for section, part in plain.items():
        for key, value in part.items():
            names = [f"{key}.{name}" for name in value] if isinstance(value, dict) else [key]
            flat |= {f"{section}.{name}" for name in names}
    assert flat == set(entries())
    assert sections()["channels"] == CHANNELS
    for entry in entries().values():
        assert entry.unit, f"{entry.key} has no unit"
        assert entry.source, f"{entry.key} has no source"
        assert entry.text, f"{entry.key} does not say what it is"
