"""Tables, picture and lines of a report that is made up."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agents.evaluate_policies import EvaluationResult, Score, StartResult
from agents.evaluate_statistics import Estimate
from agents.report import (
    Speaker,
    difference_table,
    from_to,
    plus_minus,
    population_table,
    score_table,
    verdict,
    whole,
)
from agents.report_picture import draw
from gaelp_env.config import CHANNELS


def estimate(mean: float, half: float) -> Estimate:
    return Estimate(mean, mean - half, mean + half, 10)


def score(profit: float) -> Score:
    spend = dict.fromkeys(CHANNELS, 100.0)
    return Score(
        profit=estimate(profit, 120.0),
        conversions=estimate(profit / 25.0, 6.0),
        spend=estimate(500.0, 10.0),
        cpa=Estimate(1.25, 1.1, 1.5, 10) if profit else Estimate(None, None, None, 10),
        profit_by_replicate=(profit,) * 10,
        spend_by_channel=spend,
    )


def start(label: str, gap: float) -> StartResult:
    scores = {"trained": score(10_200.0), "never": score(0.0), "pid": score(10_000.0)}
    differences = {"never": estimate(10_200.0, 120.0), "pid": estimate(200.0, gap)}
    return StartResult(label, {"demo/0": 4}, tuple(range(10)), scores, differences)


def evaluation(gap: float) -> dict[str, Any]:
    starts = (start("commit before training", 50.0), start("fresh world", gap))
    return EvaluationResult("trained", 30, 30, starts).to_json()


def people(clock: str, awareness: float) -> dict[str, Any]:
    counts = dict.fromkeys(
        ("people", "people_ever", "episodes", "touchpoints", "clicks", "visits", "conversions"), 1_234
    )
    return {
        **counts, "stages": {"UNAWARE": 700, "AWARE": 300}, "mean_awareness": awareness, "mean_fatigue": 0.2,
        "mean_intent": 0.1, "episodes_per_user": 3.5, "clock": clock, "commits": {"demo/0": 4},
    }  # fmt: skip


REPORT: dict[str, Any] = {
    "training": {
        "algorithm": "ppo", "steps": 400_000, "worlds": ["demo/0", "demo/1"], "runs": 2,
        "curve": [[1_920, 300.0], [200_000, 700.0], [400_000, 800.0]], "command_seconds": 400.0,
    },
    "population": {"before": people("2026-01-05T00:00:00", 0.0), "after": people("2027-01-05T00:00:00", 0.4)},
    "evaluation": evaluation(60.0),
}  # fmt: skip


def printed(table: Any) -> str:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table)
    console.file.close()
    return console.export_text()


def row(table: Any, first: str) -> list[str]:
    """The cells of the row that begins with `first`."""
    cells = [list(column.cells) for column in table.columns]
    place = next(k for k, cell in enumerate(cells[0]) if cell.startswith(first))
    return [column[place] for column in cells]


def test_score_table_shows_every_policy_with_its_intervals() -> None:
    found = evaluation(60.0)
    table = score_table(found, found["starts"][1], "ppo")
    assert "From a fresh world (30 + 30 days, 10 replicates, 95 % intervals)" in printed(table)
    assert row(table, "trained (PPO)") == [
        "trained (PPO)", "10,200 ±120", "408 ±6", "500 ±10", "1.25 (1.10–1.50)"
    ]  # fmt: skip
    assert all(len(line) <= 80 and "…" not in line for line in printed(table).splitlines())
    assert row(table, "never bid")[-1] == "–"
    assert row(table, "PID budget pacing")[1] == "10,000 ±120"


def test_a_win_counts_only_beyond_its_interval() -> None:
    won, tied = evaluation(60.0), evaluation(240.0)
    assert won["beats_all"] and not tied["beats_all"]
    assert verdict(won, "ppo").startswith("trained (PPO) beats every other policy from every start")
    assert verdict(tied, "sac") == (
        "trained (SAC) does not beat beyond its 95 % interval: PID budget pacing from a fresh world."
    )
    assert row(difference_table(won, "ppo"), "PID budget pacing")[1:] == ["200 ±50", "200 ±60"]
    assert "200 ±240 (not beyond)" in row(difference_table(tied, "ppo"), "PID budget pacing")


def test_population_table_shows_both_moments() -> None:
    table = population_table(REPORT["population"])
    assert row(table, "last seen AWARE") == ["last seen AWARE", "300", "300"]
    assert row(table, "mean awareness") == ["mean awareness", "0.000", "0.400"]
    assert row(table, "simulated clock") == ["simulated clock", "2026-01-05T00:00", "2027-01-05T00:00"]


def test_numbers_are_told_without_noise() -> None:
    assert whole(-0.4) == "0"
    assert plus_minus({"mean": 12_345.6, "low": None, "high": None}) == "12,346"
    assert from_to({"mean": 3.14159, "low": None, "high": None}) == "3.14 (unbounded)"


@pytest.mark.parametrize(
    "parts", [("training", "population", "evaluation"), ("evaluation",), ("training", "population")]
)
def test_the_picture_is_a_png_of_the_parts_there_are(tmp_path: Path, parts: tuple[str, ...]) -> None:
    path = tmp_path / "report.png"
    draw({part: REPORT[part] for part in parts}, path)
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    assert width > 1_000
    assert height > (900 if len(parts) == 3 else 400)
    assert [left.name for left in tmp_path.iterdir()] == ["report.png"]


def test_a_quiet_speaker_says_nothing_and_a_json_one_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Speaker(quiet=True).say("line")
    assert capsys.readouterr() == ("", "")
    Speaker(json=True).say("line [with brackets]")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "line [with brackets]\n")
    with Speaker().progress("Evaluating") as progress:
        progress(1, 2)
    assert capsys.readouterr().out == "Evaluating …\n"
