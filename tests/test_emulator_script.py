"""scripts/emulator.py: which Python it takes, when an environment counts as made; no network is needed."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.house import ROOT

SCRIPTS = ROOT / "scripts"


@pytest.fixture
def emulator_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, on a machine whose only Pythons are those that a test makes."""
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.delitem(sys.modules, "dev", raising=False)
    spec = importlib.util.spec_from_file_location("emulator_under_test", SCRIPTS / "emulator.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.delenv("GAELP_EMULATOR_PYTHON", raising=False)
    monkeypatch.setattr(sys, "executable", str(python(tmp_path / "own" / "python3", "3 11")))
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that has nothing but the emulator's requirements."""
    (tmp_path / "tests" / "bigquery").mkdir(parents=True)
    (tmp_path / "tests" / "bigquery" / "requirements.txt").write_text("a==1\n", encoding="utf-8")
    return tmp_path


def python(file: Path, version: str, *, packages: bool = False) -> Path:
    """A stand-in that answers the script's two questions; version "" is a shim that knows no Python."""
    answers = f"*version_info*) echo {version};;" if version else "*version_info*) exit 127;;"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        f'#!/bin/sh\ncase "$2" in {answers} *find_spec*) exit {0 if packages else 1};; esac\n',
        encoding="utf-8",
    )
    file.chmod(0o755)
    return file


class Steps:
    """Stands for `attempt`: notes each step, makes the venv's python appear, and fails where told to."""

    def __init__(self, root: Path, failing: str = "nothing") -> None:
        self.root, self.failing = root, failing
        self.commands: list[str] = []

    def __call__(self, what: str, command: list[str | Path]) -> tuple[bool, str]:
        line = " ".join(map(str, command))
        self.commands.append(line)
        if re.search(self.failing, line):
            return False, "the words of the step that failed"
        python(self.root / ".venv-emulator" / "bin" / "python", "3 13", packages=True)
        return True, ""


def test_the_newest_that_answers_is_taken(emulator_script: ModuleType, root: Path) -> None:
    python(root / "bin" / "python3.15", "")
    python(root / "bin" / "python3.12", "3 12")
    plain = python(root / "bin" / "python3", "3 13")
    newest = python(root / "pyenv" / "versions" / "3.14.1" / "bin" / "python3", "3 14")
    assert list(emulator_script.pythons()) == [newest, plain]


def test_it_is_made_once_and_again_for_other_requirements(
    emulator_script: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = python(root / "bin" / "python3.13", "3 13")
    steps = Steps(root)
    monkeypatch.setattr(emulator_script, "attempt", steps)
    assert emulator_script.make(root)
    made, installed = steps.commands
    assert made == f"{base} -m venv --clear {root / '.venv-emulator'}"
    assert installed.endswith(f"--no-deps -r {root / 'tests' / 'bigquery' / 'requirements.txt'}")
    assert emulator_script.make(root)
    assert len(steps.commands) == 2
    assert emulator_script.which(root) == root / ".venv-emulator" / "bin" / "python"
    (root / "tests" / "bigquery" / "requirements.txt").write_text("a==2\n", encoding="utf-8")
    assert emulator_script.which(root) is None
    assert emulator_script.make(root)
    assert len(steps.commands) == 4


@pytest.mark.parametrize(
    ("failing", "words"), [("-m venv", "could not make"), ("-m pip", "pip could not install")]
)
def test_what_failed_is_not_taken_as_made(
    failing: str,
    words: str,
    emulator_script: ModuleType,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    python(root / "bin" / "python3.13", "3 13")
    monkeypatch.setattr(emulator_script, "attempt", Steps(root, failing))
    with pytest.raises(emulator_script.Stop, match=words):
        emulator_script.make(root)
    assert "the words of the step that failed" in capfd.readouterr().err
    assert not emulator_script.is_ready(root)


def test_without_a_python_the_status_says_so(
    emulator_script: ModuleType,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(emulator_script, "ROOT", root)
    assert emulator_script.main([]) == 3
    assert "no Python 3.13 or newer here" in capfd.readouterr().out
    assert emulator_script.main(["--which"]) == 3
    assert "scripts/dev.py emulator makes one" in capfd.readouterr().err
    assert emulator_script.main(["--whcih"]) == 2
    monkeypatch.setenv("GAELP_EMULATOR_PYTHON", str(python(root / "old", "3 12")))
    assert emulator_script.main([]) == 1
    assert "is Python 3.12; the emulator needs Python 3.13" in capfd.readouterr().err


def test_a_python_that_has_the_packages_needs_no_environment(
    emulator_script: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python(root / "bin" / "python3.14", "3 14")
    has = python(root / "bin" / "python3.13", "3 13", packages=True)
    assert emulator_script.which(root) == has
    named = python(root / "named", "3 13", packages=True)
    monkeypatch.setenv("GAELP_EMULATOR_PYTHON", str(named))
    assert emulator_script.which(root) == named
    monkeypatch.setenv("GAELP_EMULATOR_PYTHON", str(root / "bin" / "python3.14"))
    assert emulator_script.which(root) is None, "a named Python is not replaced in silence"


def test_ci_makes_the_emulator_and_then_requires_it() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert text.index("dev.py emulator") < text.index("GAELP_EMULATOR_REQUIRED=1") < text.index("dev.py test")
