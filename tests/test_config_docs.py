"""docs/market.md says what the models say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gaelp_env import config_docs
from gaelp_env.config_load import ConfigError, load_config
from gaelp_env.config_words import entries

PAGE = config_docs.PAGE.read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    assert config_docs.renewed(PAGE) == PAGE, "run: python -m gaelp_env.config_docs"


def test_every_constant_is_in_the_tables() -> None:
    for key, entry in entries().items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{entry.name}` |"))
        assert entry.text.replace("|", "\\|") in PAGE, f"{key} is not explained: {row}"


def test_every_source_says_what_kind_it_is() -> None:
    for key, entry in entries().items():
        assert re.match(r"(published|derived|assumed)\b", entry.source), f"{key}: {entry.source}"


def test_what_the_page_shows_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    refused = re.search(r"```\n(my\.yaml, .*?)\n```", PAGE, re.DOTALL)
    assert code and refused
    exec(compile(code[1], "docs/market.md", "exec"), {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text("# mine\nclock:\n  tick_hours: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config("my.yaml")
    assert str(caught.value) == refused[1]


def test_a_stale_page_is_renewed_and_prose_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "market.md"
    page.write_text(re.sub(r"\| `users` \| \d+ \|", "| `users` | 7 |", PAGE))
    assert config_docs.main(page) == 0
    assert page.read_text() == PAGE
    assert config_docs.main(page) == 0
    assert capsys.readouterr().out == "market.md is brought up to date.\nmarket.md was up to date.\n"


def test_a_page_without_markers_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"must hold <!-- made: constants --> and <!-- end: constants -->"):
        config_docs.renewed("nothing here")
    assert config_docs.main(tmp_path / "none.md") == 2
    assert "There is no page" in capsys.readouterr().err


def test_price_levels_span_the_published_win_rates() -> None:
    from math import log
    from statistics import NormalDist

    import numpy as np

    from gaelp_env.constants import click_weights, price_levels

    level = price_levels("ipinyou")
    win = [NormalDist().cdf(-log(x) / 0.914) for x in level / level.min()]
    z = NormalDist().inv_cdf
    span = z(max(win)) - z(min(win))
    assert span == pytest.approx(z(0.431) - z(0.086), rel=1e-12)
    assert np.log(level).mean() == pytest.approx(0.0, abs=1e-12)
    assert (price_levels("flat") == 1.0).all()
    assert (click_weights("flat") == 1.0).all()
