"""scripts/dev.py: its sentences, its stamp and what it runs; nothing here needs a network."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.house import ROOT

SCRIPT = ROOT / "scripts" / "dev.py"


@pytest.fixture
def dev() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev_under_test", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with nothing in it but what decides the set-up."""
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (tmp_path / "constraints.txt").write_text("# pins\ntorch==2.13.0\n", encoding="utf-8")
    return tmp_path


class Recorder:
    """Stands for `attempt`: notes each step, makes the venv's python appear, and fails where told to."""

    def __init__(self, dev: ModuleType, root: Path, failing: str = "nothing") -> None:
        self.dev, self.root, self.failing = dev, root, failing
        self.commands: list[str] = []

    def __call__(self, what: str, command: list[str | Path]) -> tuple[bool, str]:
        line = " ".join(str(word) for word in command)
        self.commands.append(line)
        if re.search(self.failing, line):
            return False, "the words of the step that failed"
        if " venv " in line:
            python = self.dev.python_of(self.dev.environment(self.root))
            python.parent.mkdir(parents=True, exist_ok=True)
            # It answers the script's question, so that an environment made earlier can be kept.
            kept = f"{sys.implementation.cache_tag} {python.parent.parent}"
            python.write_text(f"#!/bin/sh\necho '{kept}'\n", encoding="utf-8")
            python.chmod(0o755)
        return True, ""


def set_up(
    dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch, failing: str = "nothing"
) -> list[str]:
    recorder = Recorder(dev, root, failing)
    monkeypatch.setattr(dev, "attempt", recorder)
    try:
        dev.set_up(root)
    finally:
        monkeypatch.undo()
    return recorder.commands


def test_torch_goes_first_and_the_second_run_does_nothing(
    dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, torch, rest = set_up(dev, root, monkeypatch)
    assert "-m venv --clear" in made
    assert torch.endswith("constraints.txt torch")
    assert rest.endswith(f"constraints.txt -e {root}[train,calibrate,bigquery,dev]")
    assert dev.is_ready(root)
    assert set_up(dev, root, monkeypatch) == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_asks_for_a_new_set_up(
    dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    set_up(dev, root, monkeypatch)
    (root / name).write_text((root / name).read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
    assert not dev.is_ready(root)
    assert not any("-m venv" in command for command in set_up(dev, root, monkeypatch))


def test_another_python_or_another_place_asks_for_a_new_set_up(
    dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    set_up(dev, root, monkeypatch)
    here = dev.fingerprint(root)
    moved = tmp_path_factory.mktemp("moved") / "project"
    root.rename(moved)
    assert not dev.is_ready(moved)
    moved.rename(root)
    assert dev.is_ready(root)
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert dev.fingerprint(root) != here


def test_what_pip_could_not_finish_is_not_taken_as_done(
    dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(dev.Stop, match=r"pip could not install gaelp .* run the same command again"):
        set_up(dev, root, monkeypatch, failing=r"\[train,calibrate,bigquery,dev\]")
    assert "the words of the step that failed" in capfd.readouterr().err
    assert not dev.is_ready(root)
    torch, rest = set_up(dev, root, monkeypatch)
    assert torch.endswith(" torch"), "the environment itself is kept"
    assert rest.endswith("[train,calibrate,bigquery,dev]")
    assert dev.is_ready(root)


def test_a_killed_set_up_starts_afresh(dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(dev, root, monkeypatch)
    dev.unfinished_mark_of(root).write_text("", encoding="utf-8")
    assert not dev.is_ready(root)
    assert "-m venv --clear" in set_up(dev, root, monkeypatch)[0]
    assert dev.is_ready(root)


def test_an_interrupt_leaves_the_mark(dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(what: str, command: list[str]) -> tuple[bool, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(dev, "attempt", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dev.set_up(root)
    assert dev.unfinished_mark_of(root).exists()


def test_where_ensurepip_is_missing_pip_is_lent(
    dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = set_up(dev, root, monkeypatch, failing=r"venv --clear (?!--without-pip)")
    assert "--without-pip" in commands[1]
    assert commands[2].startswith(f"{sys.executable} -m pip --python ")
    assert dev.is_ready(root)


def test_where_there_is_no_pip_at_all_the_remedy_is_named(
    dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(dev.Stop, match=r"no working ensurepip.*apt install python3-venv"):
        set_up(dev, root, monkeypatch, failing=r"venv --clear (?!--without-pip)|pip\S* --python")


def test_constraints_without_torch_are_refused(dev: ModuleType, root: Path) -> None:
    (root / "constraints.txt").write_text("numpy==2.4.6\n", encoding="utf-8")
    with pytest.raises(dev.Stop, match="no line that begins with torch=="):
        dev.torch_pin(root)


def test_a_second_set_up_waits_for_the_first(dev: ModuleType, root: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    waiting = f"import runpy; d = runpy.run_path({str(SCRIPT)!r}); from pathlib import Path\n"
    waiting += f"with d['one_at_a_time'](Path({str(root)!r})): print('mine')"
    with dev.one_at_a_time(root):
        other = subprocess.Popen([sys.executable, "-c", waiting], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert "waiting for it" in other.stdout.readline()
        assert other.poll() is None
    assert other.communicate(timeout=20)[0] == "mine\n"


def test_a_step_tells_its_status_and_its_words(dev: ModuleType) -> None:
    assert dev.attempt("well.", [sys.executable, "-c", "print('here')"]) == (True, "here\n")
    assert dev.attempt("ill.", [sys.executable, "-c", "raise SystemExit(3)"]) == (False, "")


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 9, 2), (3, 10, 13)])
def test_an_older_python_is_refused_in_a_sentence(dev: ModuleType, version: tuple[int, ...]) -> None:
    sentence = dev.refusal(version, "/usr/bin/python3")
    found = ".".join(map(str, version))
    assert sentence.startswith(f"gaelp needs Python 3.11 or newer, and /usr/bin/python3 is Python {found}. ")


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 1), (4, 0, 0)])
def test_a_newer_python_will_do(dev: ModuleType, version: tuple[int, ...]) -> None:
    assert dev.refusal(version, "python3") is None


def test_an_older_python_can_read_the_script() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.ImportFrom) and node.module == "__future__"), (
            "3.6 has no annotations future"
        )
        if isinstance(node, ast.FunctionDef):
            notes = [argument.annotation for argument in (*node.args.args, node.args.vararg) if argument]
            for note in (*notes, node.returns):
                assert note is None or isinstance(note, ast.Name | ast.Constant), (
                    f"{node.name}: quote its annotations"
                )
    assert all(top in sys.stdlib_module_names for top in imported_by(tree))


def imported_by(tree: ast.AST) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False)


def test_an_unknown_command_names_the_nearest() -> None:
    answer = ask("trian")
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(
        "dev: There is no command 'trian'. Did you mean 'train'? The commands are: setup"
    )
    assert "Did you mean" not in ask("zzzzzz").stderr


def test_help_lists_the_commands_and_no_command_is_a_mistake(dev: ModuleType) -> None:
    helped, bare = ask("--help"), ask()
    assert (helped.returncode, bare.returncode) == (0, 2)
    assert helped.stdout == bare.stdout
    for command in dev.COMMANDS:
        assert re.search(rf"^  {command} ", helped.stdout, re.MULTILINE)


def test_every_command_but_setup_runs_something(dev: ModuleType) -> None:
    assert dev.steps("setup", []) == []
    assert dev.steps("train", ["--steps", "10"]) == [["-m", "agents", "train", "--steps", "10"]]
    assert dev.steps("emulator", []) == [["scripts/emulator.py"]]
    assert dev.steps("bench", []) == [["-m", "agents", "bench"]]
    assert dev.steps("test", ["-k", "x"]) == [["-m", "pytest", "-k", "x"]]
    assert dev.steps("test", []) == [["-m", "pytest", *dev.WHOLE_SUITE]]
    assert dev.steps("check", []) == [*dev.steps("lint", []), *dev.steps("types", []), *dev.steps("test", [])]
    assert [step[2] for step in dev.steps("lint", ["--fix"])] == ["check", "format"]


def test_every_step_runs_and_the_first_failure_is_the_status(
    dev: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "python_of", lambda venv: Path(sys.executable))
    codes = ["raise SystemExit(0)", "raise SystemExit(4)", "open('ran', 'w').close(); raise SystemExit(1)"]
    monkeypatch.setattr(dev, "steps", lambda command, arguments: [["-c", code] for code in codes])
    assert dev.run(root, "check", []) == 4
    assert (root / "ran").exists()


def test_the_makefile_has_the_same_commands(dev: ModuleType) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(dev.COMMANDS)


@pytest.mark.skipif(
    not (ROOT / ".venv" / "gaelp-stamp").exists(), reason="this checkout was not set up by dev.py"
)
def test_a_second_run_starts_at_once(dev: ModuleType) -> None:
    if not dev.is_ready(ROOT):
        pytest.skip("this checkout's .venv is of another Python or of older requirements")
    begun = time.perf_counter()
    for _ in range(20):
        dev.set_up(ROOT)
    assert (time.perf_counter() - begun) / 20 < 0.01


def test_ci_runs_the_script_and_can_be_executed() -> None:
    ci = ROOT / ".ci" / "run"
    text = ci.read_text(encoding="utf-8")
    assert os.access(ci, os.X_OK)
    for command in ("lint", "types", "emulator", "test"):
        assert f"scripts/dev.py {command}" in text
