"""Reads the project's own sources: what a file imports and where, and which files there are."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("gaelp_env", "storage", "agents", "scripts", "tests")


@dataclass(frozen=True)
class Import:
    """One import statement, or one call of importlib with a literal name.

    module: the full dotted name; `from a import b` gives `a.b` where that is a module of ours, else `a`.
    at_load: whether it runs when the file is loaded, rather than when a function is called.
    """

    module: str
    line: int
    at_load: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def sources(root: Path = ROOT, *folders: str) -> list[Path]:
    """The project's Python files in `folders` (all of ours by default), sorted."""
    return sorted(file for folder in folders or OURS for file in (root / folder).rglob("*.py"))


def kept_files(root: Path = ROOT) -> list[Path]:
    """The files that git keeps or would keep; without git, all but hidden ones, caches and builds."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        files = [root / name for name in listing.stdout.split("\0") if name]
        return [file for file in files if file.is_file()]
    passing = {"__pycache__", "build", "dist", "runs"}
    return [
        file
        for file in root.rglob("*")
        if file.is_file()
        and not any(part in passing or part.startswith(".") for part in file.relative_to(root).parts)
    ]


def module_of(file: Path, root: Path = ROOT) -> str:
    """`gaelp_env/world.py` → "gaelp_env.world"; a package's __init__ → the package."""
    parts = list(file.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file: Path, root: Path = ROOT) -> list[Import]:
    """All imports of a file; those under TYPE_CHECKING count as not at load."""
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    package = (
        module_of(file, root) if file.name == "__init__.py" else module_of(file, root).rpartition(".")[0]
    )
    return [
        Import(name, node.lineno, at_load)
        for node, at_load in _statements(tree, at_load=True)
        for name in _names(node, package, root)
    ]


def _statements(node: ast.AST, *, at_load: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, at_load
        inner = at_load and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from _statements(ast.Module(child.body, []), at_load=False)
            yield from _statements(ast.Module(child.orelse, []), at_load=inner)
        else:
            yield from _statements(child, at_load=inner)


def _names(node: ast.AST, package: str, root: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            home = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*home, base] if base else home)
        full = [f"{base}.{alias.name}" for alias in node.names]
        return sorted({name if _is_module(name, root) else base for name in full})
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "run_module", "__import__") and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def _is_module(name: str, root: Path) -> bool:
    place = root.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()
