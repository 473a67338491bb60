"""One command for everybody who works on gaelp, with nothing but Python 3.11 prepared.

    python3 scripts/dev.py train      sets up .venv, trains an agent and shows the result
    python3 scripts/dev.py test       sets up .venv and runs the tests

Only the standard library is used here, and nothing that Python 3.6 could not parse (so annotations are
quoted): an older Python is answered in a sentence. The set-up is remembered by a stamp in .venv, a hash of
all that decides what belongs into it. A set-up that was killed leaves a mark instead, and the next run starts
it afresh.
"""

import contextlib
import difflib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
# Without arguments the whole suite runs, file by file over the cores; `test -n 0` runs it in one process.
WHOLE_SUITE = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
COMMANDS = {
    "setup": "make .venv and install everything into it",
    "train": "train an agent on AdMarket-v1 and show the result (arguments go to `gaelp train`)",
    "test": "run the tests (arguments go to pytest)",
    "lint": "ruff, rules and format (`lint --fix` mends what it can)",
    "types": "mypy in strict mode",
    "check": "lint, types and test",
    "bench": "measure the speeds (arguments go to `gaelp bench`)",
    "emulator": "make .venv-emulator, in which a BigQuery server for the tests runs (needs Python 3.13)",
}


class Stop(Exception):
    """Ends the command with a sentence and exit status 1."""


def refusal(version: "tuple[int, ...]", executable: str) -> "str | None":
    """The sentence for a Python that is too old, or None if it will do."""
    if version[:2] >= OLDEST:
        return None
    found = ".".join(str(part) for part in version[:3])
    wanted = ".".join(str(part) for part in OLDEST)
    return (
        f"gaelp needs Python {wanted} or newer, and {executable} is Python {found}. "
        f"Install a newer one and name it: python{wanted} scripts/dev.py train"
    )


def usage() -> str:
    lines = ["usage: python3 scripts/dev.py COMMAND [arguments]", ""]
    return "\n".join(lines + [f"  {name:<8} {purpose}" for name, purpose in COMMANDS.items()])


def unknown(command: str) -> str:
    """The sentence for a command that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no command {command!r}.{guess} The commands are: {', '.join(COMMANDS)}."


def say(sentence: str) -> None:
    print(f"dev: {sentence}", flush=True)


def environment(root: Path) -> Path:
    return root / ".venv"


def python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def torch_pin(root: Path) -> str:
    """The requirement for torch as constraints.txt has it.

    Raises:
      Stop: constraints.txt pins no torch.
    """
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("torch=="):
            return line.strip()
    raise Stop(
        "constraints.txt has no line that begins with torch==, so no version of torch can be installed."
    )


def fingerprint(root: Path) -> str:
    """A hash of all that decides what belongs into .venv, its place included, as a venv cannot be moved."""
    digest = hashlib.sha256()
    for part in (
        (root / "pyproject.toml").read_bytes(),
        (root / "constraints.txt").read_bytes(),
        f"{sys.implementation.cache_tag} {sys.platform}".encode(),
        str(root).encode(),
    ):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def stamp_of(root: Path) -> Path:
    return environment(root) / "gaelp-stamp"


def unfinished_mark_of(root: Path) -> Path:
    return root / ".venv-unfinished"


def is_ready(root: Path) -> bool:
    """Whether the last set-up was finished and nothing that decides it has changed since."""
    stamp = stamp_of(root)
    if unfinished_mark_of(root).exists() or not python_of(environment(root)).exists() or not stamp.exists():
        return False
    return stamp.read_text(encoding="utf-8") == fingerprint(root)


@contextlib.contextmanager
def one_at_a_time(root: Path) -> "Iterator[None]":
    """Two commands started together on a fresh checkout set up once: the second waits for the first."""
    try:
        import fcntl
    except ImportError:  # Windows has none, and people there wait by hand
        yield
        return
    with open(root / ".venv.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is under way here; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # The steps inherit the lock: if this process is killed, what it started still keeps others out.
        os.set_inheritable(lock.fileno(), True)
        yield


def attempt(what: str, command: "Sequence[str | Path]") -> "tuple[bool, str]":
    """Runs one step in silence but for a sign of life; returns whether it succeeded, and what it printed."""
    say(what)
    begun = time.monotonic()
    with tempfile.TemporaryFile() as printed:
        child = subprocess.Popen(
            [str(word) for word in command], stdout=printed, stderr=subprocess.STDOUT, close_fds=False
        )
        try:
            while child.returncode is None:
                try:
                    child.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    say(f"  still at it after {time.monotonic() - begun:.0f} s")
        finally:
            if child.returncode is None:
                child.kill()
                child.wait()
        printed.seek(0)
        return child.returncode == 0, printed.read().decode("utf-8", "replace")


def quote(printed: str) -> None:
    """Prints the last lines of a step that failed."""
    print("\n".join(printed.rstrip().splitlines()[-12:]), file=sys.stderr, flush=True)


def install(what: str, root: Path, *requirements: str) -> None:
    """One pip step into .venv, under the constraints.

    Raises:
      Stop: pip failed; its last lines have been printed.
    """
    pip = [str(python_of(environment(root))), "-m", "pip", "install", "--disable-pip-version-check"]
    succeeded, printed = attempt(
        f"installing {what}.", [*pip, "-c", str(root / "constraints.txt"), *requirements]
    )
    if not succeeded:
        quote(printed)
        raise Stop(
            f"Set-up stopped: pip could not install {what}; its last lines are above. "
            "If the package index could not be reached (pip may call that a conflict of versions) or the "
            "disk is full, mend that and run the same command again."
        )


def make_environment(venv: Path) -> None:
    """Makes an empty .venv with pip in it, also where the system's Python has no ensurepip.

    Raises:
      Stop: there is neither ensurepip nor pip, or the folder cannot be written.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    succeeded, printed = attempt(
        f"making {venv.name} with Python {version}.", [sys.executable, "-m", "venv", "--clear", venv]
    )
    if succeeded:
        return
    bare, printed_bare = attempt(
        "this Python cannot give a venv its own pip (ensurepip fails); making one without.",
        [sys.executable, "-m", "venv", "--clear", "--without-pip", venv],
    )
    if not bare:
        quote(printed + printed_bare)
        raise Stop(
            f"Set-up stopped: {sys.executable} could not make {venv}; its words are above. "
            "Check that the folder can be written, and on Debian or Ubuntu that python3-venv is installed "
            "(apt install python3-venv)."
        )
    pips = [[sys.executable, "-m", "pip"]]
    pips += [[found] for found in (shutil.which("pip3"), shutil.which("pip")) if found]
    for pip in pips:
        lent, printed = attempt(
            f"lending it pip from `{' '.join(pip)}`.",
            [*pip, "--python", python_of(venv), "install", "--disable-pip-version-check", "pip"],
        )
        if lent:
            return
        quote(printed)
    raise Stop(
        f"Set-up stopped: {sys.executable} has no working ensurepip, and no pip that could fetch another "
        "was found, so nothing can be installed. On Debian or Ubuntu: apt install python3-venv; elsewhere "
        f"install Python {version} with pip. Then run the same command again."
    )


def can_be_kept(venv: Path) -> bool:
    """Whether an environment made earlier is of this Python's version, has pip and was never torn."""
    python = python_of(venv)
    if not python.exists() or unfinished_mark_of(venv.parent).exists():
        return False
    question = "import pip, sys; print(sys.implementation.cache_tag, sys.prefix)"
    answer = subprocess.run([python, "-c", question], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == f"{sys.implementation.cache_tag} {venv}"


def set_up(root: Path) -> None:
    """Brings .venv up to date; does nothing, in milliseconds, where it already is.

    Raises:
      Stop: a step failed. What was not finished is not taken as done.
    """
    if is_ready(root):
        return
    with one_at_a_time(root):
        if is_ready(root):
            return
        venv, mark = environment(root), unfinished_mark_of(root)
        fresh = not can_be_kept(venv)
        once = "setting up .venv (once; a few minutes, and 1.8 GB of disk with a CPU build of torch)."
        say(once if fresh else "bringing .venv up to date; what it should hold has changed.")
        mark.write_text("A set-up of .venv is under way, or was killed.\n", encoding="utf-8")
        try:
            stamp_of(root).unlink(missing_ok=True)
            if fresh:
                make_environment(venv)
            # torch goes first, so that the build this machine is configured for is not replaced later.
            install(f"{torch_pin(root)} (1 of 2)", root, "torch")
            extras = "train,calibrate,bigquery,dev"
            install("gaelp with its extras (2 of 2)", root, "-e", f"{root}[{extras}]")
        except Stop:
            # pip undoes a step that fails, so only a killed set-up needs a fresh start.
            if can_pip_still_answer(venv):
                mark.unlink()
            raise
        stamp_of(root).write_text(fingerprint(root), encoding="utf-8")
        mark.unlink()
        say(f".venv is ready ({python_of(venv)}).")


def can_pip_still_answer(venv: Path) -> bool:
    python = python_of(venv)
    return python.exists() and (
        subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    )


def steps(command: str, arguments: "list[str]") -> "list[list[str]]":
    """What to run with the environment's Python, in order, for one command."""
    if command in ("train", "bench"):
        return [["-m", "agents", command, *arguments]]
    if command == "emulator":
        return [["scripts/emulator.py", *arguments]]
    if command == "test":
        return [["-m", "pytest", *(arguments or WHOLE_SUITE)]]
    if command == "types":
        return [["-m", "mypy", *arguments]]
    if command == "lint" and arguments == ["--fix"]:
        return [["-m", "ruff", "check", "--fix", "."], ["-m", "ruff", "format", "."]]
    if command == "lint":
        return [["-m", "ruff", "check", ".", *arguments], ["-m", "ruff", "format", "--check", "."]]
    if command == "check":
        return [step for part in ("lint", "types", "test") for step in steps(part, [])]
    return []


def run(root: Path, command: str, arguments: "list[str]") -> int:
    """Runs a command's steps, all of them even if one fails; returns the first status that is not zero."""
    python = str(python_of(environment(root)))
    # A store or a picture is written where the user stands; the checks look at the whole project.
    folder = None if command in ("train", "bench") else root
    todo = steps(command, arguments)
    if len(todo) == 1 and os.name == "posix":
        if folder:
            os.chdir(folder)
        sys.stdout.flush()
        os.execv(python, [python, *todo[0]])  # signals and the exit status are then the command's own
    worst = 0
    for step in todo:
        if len(todo) > 1:
            say(" ".join(step[1:]))
        status = subprocess.run([python, *step], cwd=folder, check=False).returncode
        worst = worst or status
    return worst


def main(words: "list[str]") -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    command, arguments = words[0], words[1:]
    if command not in COMMANDS:
        print(f"dev: {unknown(command)}", file=sys.stderr)
        return 2
    try:
        was_ready = is_ready(ROOT)
        set_up(ROOT)
        if command == "setup" and was_ready:
            say(f".venv is up to date ({python_of(environment(ROOT))}).")
        return run(ROOT, command, arguments)
    except (Stop, OSError) as fault:
        print(f"dev: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dev: interrupted; run the same command again to go on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sentence = refusal(tuple(sys.version_info[:3]), sys.executable)
    sys.exit(f"dev: {sentence}" if sentence else main(sys.argv[1:]))
