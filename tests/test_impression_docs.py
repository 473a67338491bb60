"""docs/impressions.md runs as it is printed."""

from __future__ import annotations

import re

import pytest

from tests.house import ROOT


def test_the_bandit_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "impressions.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.S)
    assert code is not None
    exec(compile(code[1], "docs/impressions.md", "exec"), {})
    assert capsys.readouterr().out.count("day ") == 5
