"""Processes that play: they do their work, stop after an error, and die with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents.evaluate_processes import cores, crew, mapped


def square(number: int) -> int:
    return number * number


def sleep_long(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(600.0)


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_for(told: Path) -> int:
    began = time.monotonic()
    while not told.exists() or not told.read_text():
        assert time.monotonic() - began < 60.0
        time.sleep(0.05)
    return int(told.read_text())


def test_results_come_in_order_from_any_number_of_workers() -> None:
    assert list(mapped(square, [3, 1, 2], 1)) == [9, 1, 4]
    assert list(mapped(square, [3, 1, 2], 2)) == [9, 1, 4]
    assert cores() >= 1


def test_after_an_error_nobody_is_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), crew(1) as pool:
        pool.submit(sleep_long, str(tmp_path / "pid"))
        worker = wait_for(tmp_path / "pid")
        raise KeyboardInterrupt
    assert time.monotonic() - began < 90.0
    assert not lives(worker)


def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "from agents.evaluate_processes import crew\n"
        "from tests.test_evaluate_processes import sleep_long\n"
        f"with crew(1) as pool: pool.submit(sleep_long, {str(tmp_path / 'pid')!r}).result()"
    )
    root = Path(__file__).parent.parent
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL)
    try:
        worker = wait_for(tmp_path / "pid")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    began = time.monotonic()
    while lives(worker):
        assert time.monotonic() - began < 20.0, "the worker outlived its parent"
        time.sleep(0.1)
