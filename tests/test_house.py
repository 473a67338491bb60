"""The plan of the house as tests: who may import whom, what may be heavy, how long a file may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house import OURS, ROOT, Import, imports_of, kept_files, module_of, sources
from tests.rooms import ROOMS

LONGEST = 400

Rule = Callable[[Path], list[str]]
HEAVY = ("torch", "stable_baselines3", "google", "ray", "matplotlib", "tensorboard", "scipy", "pyarrow")

# What a world may see of the stores: open_store, the contract, its words, and where everything lives.
STORE_DOORS = ("storage", "storage.base", "storage.refusals", "storage.shards", "storage.siblings")


def matches(name: str, families: tuple[str, ...]) -> str | None:
    """The family that a module's name belongs to, the exact one before a wide one."""
    if name in families:
        return name
    wide = [f for f in families if f.endswith("*") and name.startswith(f[:-1])]
    return max(wide, key=len, default=None)


def where(file: Path, found: Import, root: Path) -> str:
    return f"{file.relative_to(root)}:{found.line} imports {found.module}"


def wrong_arrows(root: Path) -> list[str]:
    """Every import between our packages that the plan does not have."""
    wrong = []
    for file in sources(root):
        home = file.relative_to(root).parts[0]
        for found in imports_of(file, root):
            if found.top not in OURS or found.top == home:
                continue
            if found.top == "scripts":
                wrong.append(f"{where(file, found, root)}: nobody imports scripts")
            elif found.top == "tests":
                wrong.append(f"{where(file, found, root)}: only tests import tests")
            elif home == "storage":
                wrong.append(f"{where(file, found, root)}: storage imports nothing of ours")
            elif home == "gaelp_env" and found.top == "agents":
                if file.name != "__main__.py" or found.at_load:
                    wrong.append(
                        f"{where(file, found, root)}: only a function of __main__.py may reach agents"
                    )
            elif home == "gaelp_env":
                if not file.name.startswith("world"):
                    wrong.append(f"{where(file, found, root)}: only world*.py may see the store")
                elif found.module not in STORE_DOORS:
                    wrong.append(f"{where(file, found, root)}: worlds see {', '.join(STORE_DOORS)} only")
    return wrong


def wrong_rooms(root: Path) -> list[str]:
    """Every import inside gaelp_env that the table of rooms does not have, and every module without a row."""
    wrong = []
    for file in sources(root, "gaelp_env"):
        row = matches(file.stem, tuple(ROOMS))
        if row is None:
            wrong.append(f"{file.relative_to(root)} has no row in ROOMS of tests/rooms.py; give it one")
            continue
        for found in imports_of(file, root):
            if found.top != "gaelp_env" or found.module == "gaelp_env":
                continue
            room = found.module.split(".")[1]
            if room != file.stem and matches(room, ROOMS[row]) is None:
                wrong.append(
                    f"{where(file, found, root)}: {row} may import {', '.join(ROOMS[row]) or 'none'}"
                )
    return wrong


def heavy_at_load(root: Path) -> list[str]:
    """Every heavy package, or room that has one, which is imported when a file is loaded."""
    wrong = []
    for file in sources(root, "gaelp_env", "storage", "agents"):
        if file.match("agents/sb3_*.py"):
            continue
        for found in imports_of(file, root):
            if not found.at_load:
                continue
            if found.top in HEAVY:
                wrong.append(f"{where(file, found, root)} at load: move it into the function that needs it")
            elif found.module.startswith("agents.sb3_"):
                wrong.append(f"{where(file, found, root)} at load: it brings torch; import it in a function")
    return wrong


def listed(violations: list[str]) -> str:
    return "\n" + "\n".join(violations)


@pytest.mark.parametrize("rule", [wrong_arrows, wrong_rooms, heavy_at_load], ids=lambda rule: rule.__name__)
def test_imports_follow_the_plan(rule: Rule) -> None:
    violations = rule(ROOT)
    assert not violations, listed(violations)


BROKEN = [
    (wrong_arrows, "storage/sqlite.py", "from gaelp_env.config import CHANNELS", "storage imports nothing"),
    (wrong_arrows, "gaelp_env/env.py", "def f():\n    import storage", "only world*.py"),
    (
        wrong_arrows,
        "gaelp_env/world_lease.py",
        "from storage.sqlite import x",
        "worlds see storage, storage.base",
    ),
    (wrong_arrows, "gaelp_env/world.py", "from agents import train", "__main__.py may reach agents"),
    (wrong_arrows, "gaelp_env/__main__.py", "import agents.cli", "__main__.py may reach agents"),
    (wrong_arrows, "tests/test_x.py", "from scripts import dev", "nobody imports scripts"),
    (
        wrong_arrows,
        "agents/a.py",
        "import importlib\nimportlib.import_module('scripts.dev')",
        "nobody imports",
    ),
    (wrong_rooms, "gaelp_env/auction.py", "from gaelp_env.journey import fade", "auction may import"),
    (wrong_rooms, "gaelp_env/reward.py", "from . import market", "reward may import"),
    (wrong_rooms, "gaelp_env/attic.py", "", "has no row"),
    (
        heavy_at_load,
        "agents/train.py",
        "try:\n    import torch.nn\nexcept ImportError:\n    raise",
        "agents/train.py:2",
    ),
    (heavy_at_load, "agents/train.py", "from agents import sb3_bridge", "brings torch"),
    (heavy_at_load, "storage/bigquery.py", "class A:\n    from google.cloud import bigquery", "at load"),
]


@pytest.mark.parametrize(
    ("rule", "name", "text", "sentence"), BROKEN, ids=[b[1] + " " + b[3][:20] for b in BROKEN]
)
def test_a_broken_plan_is_named(rule: Rule, name: str, text: str, sentence: str, tmp_path: Path) -> None:
    for module in ("agents/sb3_bridge.py", "gaelp_env/market.py", "scripts/dev.py", name):
        (tmp_path / module).parent.mkdir(exist_ok=True)
        (tmp_path / module).write_text(text if module == name else "", encoding="utf-8")
    (violation,) = rule(tmp_path)
    assert name in violation
    assert sentence in violation


ALLOWED = [
    (wrong_arrows, "gaelp_env/world.py", "from storage import open_store\nfrom storage.base import Batch"),
    (wrong_arrows, "gaelp_env/__main__.py", "def main():\n    from agents.cli import main"),
    (heavy_at_load, "agents/train.py", "def train():\n    import torch"),
    (
        heavy_at_load,
        "agents/train.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
    ),
    (heavy_at_load, "agents/sb3_bridge.py", "import torch"),
]


@pytest.mark.parametrize(("rule", "name", "text"), ALLOWED, ids=[a[1] for a in ALLOWED])
def test_what_the_plan_allows_is_not_named(rule: Rule, name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert rule(tmp_path) == []


@pytest.mark.parametrize(
    ("loaded", "unwanted"),
    [
        ("gaelp_env", ("numba", "pydantic", "yaml", "typer", *HEAVY)),
        ("storage", ("numba", "pydantic", "gymnasium", *HEAVY)),
        ("agents.cli", HEAVY),
    ],
)
def test_an_import_is_light(loaded: str, unwanted: tuple[str, ...]) -> None:
    question = f"import sys, {loaded}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    answer = subprocess.run(
        [sys.executable, "-c", question], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    brought = set(answer.stdout.split()) & set(unwanted)
    assert not brought, (
        f"`import {loaded}` brings {', '.join(sorted(brought))}; import them where they are used"
    )


def test_no_file_is_longer_than_a_reader_holds() -> None:
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in sources()}
    long = [
        f"{file.relative_to(ROOT)} has {n} lines, more than {LONGEST}"
        for file, n in lengths.items()
        if n > LONGEST
    ]
    assert not long, listed(long)


def test_every_public_module_says_what_it_is_for() -> None:
    mute = [
        f"{file.relative_to(ROOT)} has no docstring"
        for file in sources(ROOT, "gaelp_env", "storage", "agents", "scripts")
        if ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) is None
    ]
    assert not mute, listed(mute)


def test_every_preset_says_in_its_first_line_what_it_is_for() -> None:
    presets = sorted((ROOT / "configs").glob("*.yaml"))
    assert presets, "configs/ holds no presets"
    mute = [
        f"configs/{file.name} does not begin with a comment that says what it is for"
        for file in presets
        if not re.match(r"# .{10,}", file.read_text(encoding="utf-8"))
    ]
    assert not mute, listed(mute)


# Written apart, so that this file does not break its own rules.
LEFT_OPEN = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
MACHINE_PATH = re.compile(
    r"(?<![\w.~/-])/(?:" + "|".join(("work", "tmp", "opt", "root", "home", "Users")) + r")/\w"
)


def test_nothing_is_left_open_and_no_machine_is_named() -> None:
    wrong = []
    for file in kept_files():
        content = file.read_bytes()
        if b"\0" in content:  # a database or a picture
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if found := LEFT_OPEN.search(line):
                wrong.append(f"{file.relative_to(ROOT)}:{number} leaves a {found[0]} open")
            if found := MACHINE_PATH.search(line):
                wrong.append(
                    f"{file.relative_to(ROOT)}:{number} names a place of one machine: {line.strip()[:80]}"
                )
    assert not wrong, listed(wrong)


def test_links_inside_the_project_lead_somewhere() -> None:
    broken = []
    for page in (file for file in kept_files() if file.suffix == ".md"):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)[^)]*\)|(?:src|href)=\"([^\"]+)\"", text):
            link = (target[0] or target[1]).partition("#")[0]
            if link and not re.match(r"[a-z]+:", link) and not (page.parent / link).exists():
                broken.append(f"{page.relative_to(ROOT)} links to {link}, which is not there")
    assert not broken, listed(broken)


def test_readme_shows_every_command() -> None:
    from agents.cli import app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
        if command.callback is not None and not command.hidden
    ]
    assert names, "agents.cli registers no commands"
    missing = [f"README.md does not show `gaelp {name}`" for name in names if f"gaelp {name}" not in readme]
    assert not missing, listed(missing)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_is_told_everywhere_alike() -> None:
    version = project()["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(version)}\]", changelog, re.MULTILINE), (
        f"CHANGELOG.md has no entry for version {version}"
    )
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    assert cited == version, f"CITATION.cff says version {cited}, pyproject.toml {version}"


def test_every_requirement_is_pinned() -> None:
    pins = [
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line[:1] != "#"
    ]
    loose = [pin for pin in pins if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*", pin)]
    assert not loose, f"constraints.txt must pin name==version, without a local suffix: {loose}"
    table = project()["project"]
    wanted = [
        *table["dependencies"],
        *(r for extra in table["optional-dependencies"].values() for r in extra),
    ]
    names = {re.split(r"[<>=\[~! ]", requirement)[0].lower() for requirement in wanted}
    missing = names - {pin.partition("==")[0] for pin in pins}
    assert not missing, f"constraints.txt pins no version of {', '.join(sorted(missing))}"


def test_every_package_is_distributed() -> None:
    packed = set(project()["tool"]["setuptools"]["packages"])
    folders = {
        file.parent for top in ("gaelp_env", "storage", "agents") for file in (ROOT / top).rglob("*.py")
    }
    missing = {module_of(folder / "__init__.py") for folder in folders} - packed
    assert not missing, (
        f"pyproject.toml leaves {', '.join(sorted(missing))} out of [tool.setuptools] packages"
    )
    for top in ("gaelp_env", "storage", "agents"):
        assert (ROOT / top / "py.typed").is_file(), f"{top}/py.typed is missing, so its types are not seen"


def test_hooks_download_nothing() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {place["repo"] for place in hooks["repos"]} == {"local"}
    assert {hook["language"] for place in hooks["repos"] for hook in place["hooks"]} == {"system"}
