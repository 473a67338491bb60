"""What holds for every test: quiet drawing, and properties that are not judged by the clock."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")

# One server for all tests that need it, wherever they lie.
pytest_plugins = ["tests.bigquery.fixtures"]

# A shared or cold machine (numba compiles on first use) says nothing about a property's truth.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("house")
