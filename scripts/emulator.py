"""Makes .venv-emulator, in which local-bigquery runs: the server that the BigQuery store is tested against.

    python3 scripts/dev.py emulator       makes it; status 3 where there is no Python 3.13 or newer
    python3 scripts/emulator.py --which   prints an interpreter that has local-bigquery; status 3 if none has

local-bigquery needs Python 3.13, gaelp does not, so the emulator has an environment of its own. It is made
from the Python that GAELP_EMULATOR_PYTHON names, else from the newest on the PATH or among pyenv's. Where
such a Python has the packages itself, the tests run the emulator on that one. Only the standard library is
used here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dev import ROOT, Stop, attempt, one_at_a_time, python_of, quote, say

OLDEST = (3, 13)
NONE_HERE = 3
"""The exit status where no Python will do, so that a machine without one can skip what needs it."""
VARIABLE = "GAELP_EMULATOR_PYTHON"
VERSION = "import sys; print(*sys.version_info[:2])"
NEEDED = ("local_bigquery", "duckdb_extensions", "duckdb_extension_ducklake")
PACKAGES = f"import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, {NEEDED})))"


def environment(root: Path) -> Path:
    return root / ".venv-emulator"


def requirements(root: Path) -> Path:
    return root / "tests" / "bigquery" / "requirements.txt"


def stamp_of(root: Path) -> Path:
    return environment(root) / "gaelp-stamp"


def fingerprint(root: Path) -> str:
    """A hash of what decides what belongs into .venv-emulator, its place included."""
    return hashlib.sha256(requirements(root).read_bytes() + str(root).encode()).hexdigest()


def is_ready(root: Path) -> bool:
    """Whether .venv-emulator was finished, and for the requirements of now."""
    stamp = stamp_of(root)
    return (
        python_of(environment(root)).exists()
        and stamp.exists()
        and stamp.read_text(encoding="utf-8") == fingerprint(root)
    )


def answer(python: Path, question: str) -> str | None:
    """What an interpreter prints when it runs `question`, or None if it fails, as a pyenv shim may."""
    try:
        asked = subprocess.run(
            [python, "-c", question], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout if asked.returncode == 0 else None


def version_of(python: Path) -> tuple[int, ...]:
    """(major, minor) as the interpreter says itself, or () if it does not answer."""
    said = answer(python, VERSION) or ""
    return tuple(int(part) for part in said.split() if part.isdigit())


def has_packages(python: Path) -> bool:
    """Whether the emulator can run on this interpreter: new enough, with local-bigquery and DuckLake."""
    return version_of(python) >= OLDEST and answer(python, PACKAGES) is not None


def pyenv_root() -> Path:
    """Where pyenv keeps its versions: PYENV_ROOT, what `pyenv root` says, or its default."""
    named = os.environ.get("PYENV_ROOT", "")
    if not named and (pyenv := shutil.which("pyenv")):
        named = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
    return Path(named) if named else Path.home() / ".pyenv"


def pythons() -> Iterator[Path]:
    """Interpreters of Python 3.13 or newer that answer, newest first: on the PATH, of pyenv, this one."""
    folders = [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    found = {Path(sys.executable)}
    found |= {file for folder in folders for file in folder.glob("python3*")}
    found |= set((pyenv_root() / "versions").glob("3.*/bin/python3"))
    ours = python_of(environment(ROOT)).parent
    plain = {file for file in found if re.fullmatch(r"python3?(\.\d+)?", file.name) and file.parent != ours}
    named = {file: re.fullmatch(r"python3\.(\d+)", file.name) for file in plain}
    worth = sorted(file for file, minor in named.items() if minor is None or int(minor[1]) >= OLDEST[1])
    versions = {file: version_of(file) for file in worth}
    for file in sorted(worth, key=lambda file: versions[file], reverse=True):
        if versions[file] >= OLDEST:
            yield file


def named_python() -> Path | None:
    """The interpreter that GAELP_EMULATOR_PYTHON names.

    Raises:
      Stop: what it names is no Python 3.13 or newer.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        return None
    version = version_of(Path(named))
    if version < OLDEST:
        found = f"is Python {'.'.join(map(str, version))}" if version else "does not answer as a Python"
        raise Stop(f"{VARIABLE} names {named}, which {found}; the emulator needs Python 3.13 or newer.")
    return Path(named)


def which(root: Path) -> Path | None:
    """An interpreter on which the emulator can run, or None."""
    named = named_python()
    if named is not None and has_packages(named):
        return named
    if is_ready(root):
        return python_of(environment(root))
    return next((python for python in pythons() if has_packages(python)), None) if named is None else None


def make(root: Path) -> bool:
    """Brings .venv-emulator up to date; False if there is no Python to make it from.

    Raises:
      Stop: the environment could not be made, or pip failed; its last lines have been printed.
    """
    if is_ready(root):
        return True
    with one_at_a_time(root):
        if is_ready(root):
            return True
        base = named_python() or next(pythons(), None)
        if base is None:
            return False
        venv = environment(root)
        made, printed = attempt(f"making {venv.name} with {base}.", [base, "-m", "venv", "--clear", venv])
        if not made:
            quote(printed)
            raise Stop(f"{base} could not make {venv}; its words are above. Name another in {VARIABLE}.")
        pip: list[str | Path] = [
            python_of(venv),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        done, printed = attempt("installing local-bigquery into it.", [*pip, "-r", requirements(root)])
        if not done:
            quote(printed)
            raise Stop(
                "pip could not install the emulator; its last lines are above. If the package index could "
                "not be reached or the disk is full, mend that and run the same command again."
            )
        stamp_of(root).write_text(fingerprint(root), encoding="utf-8")
        say(f"{venv.name} is ready; the tests of the BigQuery store will use it.")
        return True


def main(words: list[str]) -> int:
    if words not in ([], ["--which"]):
        print(f"emulator: unknown arguments {' '.join(words)}; there is only --which.", file=sys.stderr)
        return 2
    try:
        if words:
            python = which(ROOT)
            if python is not None:
                print(python)
                return 0
            print(
                f"no interpreter here has local-bigquery (looked at ${VARIABLE}, .venv-emulator, the PATH "
                "and pyenv); python3 scripts/dev.py emulator makes one where Python 3.13 or newer is there",
                file=sys.stderr,
            )
            return NONE_HERE
        if make(ROOT):
            return 0
        say("there is no Python 3.13 or newer here, so the tests that need the emulator will skip.")
        return NONE_HERE
    except (Stop, OSError) as fault:
        print(f"emulator: {fault}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
