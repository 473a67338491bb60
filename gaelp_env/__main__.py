"""`python -m gaelp_env` is the command `gaelp`."""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> int:
    """Runs the command line; returns its exit status."""
    return int(import_module("agents.cli").main() or 0)


if __name__ == "__main__":
    sys.exit(main())
