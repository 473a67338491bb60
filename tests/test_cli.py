"""The command `gaelp`: what it passes on, what it says when it cannot, and with which exit status."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agents.inspect
from agents.cli import app, main
from agents.cli_errors import told
from gaelp_env.config_load import ConfigError, load_config
from storage import base

COMMANDS = (
    "train", "evaluate", "inspect", "worlds", "bench", "history", "keep", "fork", "fold", "copy", "export",
    "forget", "repair",
    "torture", "adopt", "check", "calibrate", "version",
)  # fmt: skip
ARGUMENTS = {
    "evaluate": " [policy]...",
    "copy": " {source} {target}",
    "export": " {store}",
    "forget": " {user}",
}
ROOT = Path(__file__).resolve().parent.parent


def gaelp(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "agents", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `gaelp inspect` raise."""

    def breaks(error: BaseException) -> None:
        def raises(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(agents.inspect, "inspect_world", raises)

    return breaks


def test_it_has_these_commands() -> None:
    names = [info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands]
    assert tuple(names) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_explained(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Usage: gaelp {command} [OPTIONS]" + ARGUMENTS.get(command, "")
    assert lines[2].strip()
    assert any("--json" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_no_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {command}" in out for command in COMMANDS)
    assert "--install-completion" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?; see gaelp --help."),
        (["train", "--worlds", "0"], "Invalid value for '--worlds': it must be greater than or equal to 1; "),
        (
            ["train", "--algorithm", "dqn"],
            "Invalid value for '--algorithm': 'dqn' is not one of 'ppo', 'sac'; ",
        ),
        (["train", "--step", "5"], "No such option: --step"),
        (["inspect", "extra"], "Got unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"gaelp: {says}")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (base.BadStoreURL("The store URL 'x' is none."), 2),
        (base.BadWorldName("That cannot name a world."), 2),
        (base.NotAStore("That file is no store."), 2),
        (base.WorldNotFound("There is no such world."), 2),
        (base.WorldExists("That world is there."), 2),
        (base.WorldBusy("Somebody holds it."), 1),
        (base.LeaseLost("It was taken over."), 1),
        (base.StoreFull("The disk is full."), 1),
        (base.StoreError("The store is away."), 1),
        (ConfigError("people.users is -1; it must be more.\nprices.log_sd is -1; it must be more."), 2),
        (FileNotFoundError(2, "No such file or directory", "policy.zip"), 2),
        (PermissionError(13, "Permission denied", "out"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_told_in_its_own_words(
    error: BaseException, status: int, broken: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(error)
    assert main(["inspect"]) == status
    shown = capsys.readouterr().err
    words = str(error)
    if isinstance(error, FileNotFoundError | PermissionError):
        words = f"{error.filename}: {error.strerror}."
    if isinstance(error, KeyboardInterrupt):
        words = "stopped by Ctrl-C; what was committed stays, and the next run goes on from there."
    assert shown == f"gaelp: {words}\n"


def test_a_value_that_we_refuse_is_bad_input_and_others_are_faults() -> None:
    def caught(breaks: Callable[[], Any]) -> tuple[str, int]:
        with pytest.raises(Exception, match=r".") as caught:
            breaks()
        return told(caught.value)

    assert caught(lambda: load_config({"zzz": 1}))[1] == 2
    assert caught(lambda: agents.inspect.chosen_worlds("memory:", None))[1] == 2
    sentence, status = caught(lambda: json.loads("{"))
    assert status == 1
    assert sentence.startswith("Something broke inside: JSONDecodeError: ")
    assert sentence.endswith("Run again with GAELP_DEBUG=1 to see the traceback, and report it.")
    assert caught(lambda: {}["x"])[0].startswith("Something broke inside: KeyError: 'x' (")


@pytest.mark.parametrize(
    ("number", "why", "mend"),
    [
        (errno.ENOSPC, "the disk or the quota is full", "make room"),
        (errno.EDQUOT, "the disk or the quota is full", "make room"),
        (errno.EROFS, "the place may not be written", "give another folder"),
        (errno.EACCES, "the place may not be written", "give another folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_and_no_bug(
    number: int, why: str, mend: str, broken: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OSError(number, os.strerror(number))
    broken(error)
    assert main(["inspect"]) == 1
    shown = capsys.readouterr().err
    assert shown == (
        f"gaelp: A file could not be written: {why} ({os.strerror(number)}). What was committed stays, and "
        f"so do the files that were whole; {mend} and run again.\n"
    )
    if number == errno.ENOSPC:
        later = RuntimeError("unexpected pos 64 vs 0")
        later.__context__ = OSError(number, os.strerror(number), "out/policy.zip")
        assert told(later)[0].startswith("out/policy.zip could not be written: the disk or the quota is full")


def test_a_store_in_memory_is_no_place_for_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("inspect", "worlds"):
        assert main([command, "--store", "memory:"]) == 2
        shown = capsys.readouterr().err
        assert "worlds in memory end with the process" in shown
        assert "train" not in shown


def test_a_missing_extra_is_named() -> None:
    sentence, status = told(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    assert (sentence, status) == ("This needs torch, which is not here; run: pip install 'gaelp[train]'.", 1)


def test_a_traceback_is_shown_on_demand(broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(base.StoreError("The store is away."))
    monkeypatch.setenv("GAELP_DEBUG", "1")
    with pytest.raises(base.StoreError):
        main(["inspect"])


def test_versions_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    plain = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plain
    assert plain["gaelp"] == "0.1.0"
    assert {"python", "gymnasium", "numpy", "torch"} <= plain.keys()


def test_what_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    for command in ("inspect", "worlds"):
        done = gaelp(command, "--store", "sqlite:///none.db", cwd=tmp_path)
        assert done.returncode == 2, done
        assert done.stdout == ""
        assert done.stderr.startswith("gaelp: ")
        assert "none.db" in done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("dear diary, " * 100)
    done = gaelp("inspect", "--store", "sqlite:///notes.db", cwd=tmp_path)
    assert done.returncode == 2, done
    assert done.stderr.startswith("gaelp: ")
    assert done.stderr.count("\n") == 1
    assert path.read_text() == "dear diary, " * 100


def test_the_command_starts_light() -> None:
    code = (
        "import sys; from agents.cli import main; main(['version']);"
        "print([m for m in ('torch', 'numba', 'stable_baselines3', 'matplotlib', 'gymnasium', 'numpy')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_same_command_by_every_name(tmp_path: Path) -> None:
    runs = [[sys.executable, "-m", "agents"], [sys.executable, "-m", "gaelp_env"]]
    script = Path(sys.executable).with_name("gaelp")
    runs += [[str(script)]] if script.exists() else []
    said = {
        subprocess.run(
            [*run, "version", "--json"], capture_output=True, text=True, timeout=60, check=True,
            cwd=ROOT,
        ).stdout
        for run in runs
    }  # fmt: skip
    assert len(said) == 1


class TestPassing:
    """A command passes on all that it was given, and its defaults are those of the function beneath."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        import agents.bench
        import agents.evaluate
        import agents.train

        asked: list[Any] = []
        monkeypatch.setattr(agents.train, "run_training", asked.append)
        monkeypatch.setattr(agents.evaluate, "run_evaluation", asked.append)
        monkeypatch.setattr(agents.bench, "run_bench", asked.append)
        return asked

    def test_defaults(self, asked: list[Any]) -> None:
        from agents.bench import BenchOptions
        from agents.evaluate import EvaluateOptions
        from agents.train import TrainOptions

        assert [main([command]) for command in ("train", "evaluate", "bench")] == [0, 0, 0]
        train, evaluate, bench = asked
        assert train == TrainOptions()
        assert evaluate == EvaluateOptions()
        assert (tuple(bench.only), bench.quick, bench.json, bench.out, bench.write_docs) == (
            (), BenchOptions().quick, BenchOptions().json, BenchOptions().out, BenchOptions().write_docs,
        )  # fmt: skip

    def test_train(self, asked: list[Any]) -> None:
        from agents.train import TrainOptions

        line = (
            "train --store sqlite:///a.db --world w --config tiny --algorithm sac --steps 7 --worlds 2 "
            "--seed 3 --out o --vec subproc --no-evaluate --replicates 4 --days 5 --no-resume --quiet --json"
        )
        assert main(line.split()) == 0
        assert asked == [
            TrainOptions(
                store="sqlite:///a.db", world="w", config="tiny", algorithm="sac", steps=7, worlds=2,
                seed=3, out="o", vec="subproc", evaluate=False, replicates=4, days=5, resume=False,
                quiet=True, json=True,
            )
        ]  # fmt: skip

    def test_evaluate(self, asked: list[Any]) -> None:
        from agents.evaluate import EvaluateOptions

        line = (
            "evaluate runs/a never-bid --store sqlite:///a.db --world w --replicates 4 --days 5 "
            "--run-out-days 0 --seed 3 --out o --json"
        )
        assert main(line.split()) == 0
        assert asked == [
            EvaluateOptions(
                store="sqlite:///a.db", world="w", policy=["runs/a", "never-bid"], replicates=4, days=5,
                run_out_days=0, seed=3, out="o", json=True,
            )
        ]  # fmt: skip

    def test_bench(self, asked: list[Any]) -> None:
        line = "bench --quick --only env --only ppo --out o --write-docs d.md --json"
        assert main(line.split()) == 0
        (options,) = asked
        assert (options.quick, tuple(options.only), options.json) == (True, ("env", "ppo"), True)
        assert (Path(options.out), Path(options.write_docs)) == (Path("o"), Path("d.md"))
