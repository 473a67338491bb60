"""A shim between SQLite and its files: it records what is written and synced, and lets chosen writes fail.

It puts functions of ours in place of four of SQLite's default file system in this process: open, write, sync
and truncate (and delete). So a power cut can be simulated from what the disk was really told to keep.
"""

from __future__ import annotations

import ctypes
import os
import random
import re
import sqlite3  # noqa: F401  (brings SQLite's library into the process)
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FULL, READ_ONLY = 13, 8
SECTOR = 512
_POINTER = ctypes.c_void_p
_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_char_p, ctypes.c_int)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int)
_WORD = ctypes.sizeof(_POINTER)
# Places of the functions in sqlite3_io_methods and sqlite3_vfs, in words: parts of SQLite's stable interface.
_AT_WRITE, _AT_TRUNCATE, _AT_SYNC, _METHODS = 3, 4, 5, 19
_AT_OPEN, _AT_DELETE = 5, 6


@dataclass(slots=True)
class Told:
    """One thing that a file was told: `what` is "write", "truncate", "sync", "delete" or "said".

    Attributes:
      name: of the file without its folder; of "said", the word of the caller.
      at: offset of a write, size of a truncation.
    """

    what: str
    name: str
    at: int = 0
    octets: bytes = b""


@dataclass(slots=True)
class Shim:
    """What SQLite told its files since `install`, in order.

    Attributes:
      fail_at: how many writes from now one fails, 0 for the next; None for none.
      fail_with: SQLite's code of that failure; it stays until `fail_at` is None.
    """

    told: list[Told] = field(default_factory=list)
    recording: bool = True
    fail_at: int | None = None
    fail_with: int = FULL
    failed: int = 0
    _names: dict[int, str] = field(default_factory=dict)
    _methods: dict[int, Any] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)

    def install(self) -> Shim:
        """Puts the shim in place, for every file that SQLite opens in this process from now on."""
        library = _library()
        find = library.sqlite3_vfs_find
        find.restype, find.argtypes = _POINTER, [ctypes.c_char_p]
        vfs = (ctypes.c_size_t * 10).from_address(find(None))
        open_file, delete_file = _OPEN(vfs[_AT_OPEN]), _DELETE(vfs[_AT_DELETE])

        def opened(system: Any, name: Any, file: Any, flags: int, out: Any) -> int:
            code: int = open_file(system, name, file, flags, out)
            if code == 0 and name:
                self._names[file] = os.path.basename(ctypes.string_at(name).decode())
                place = _POINTER.from_address(file)
                if place.value:
                    place.value = self._ours(place.value)
            return code

        def deleted(system: Any, name: bytes, sync: int) -> int:
            self._note(Told("delete", os.path.basename(name.decode())))
            code: int = delete_file(system, name, sync)
            return code

        replaced = (_OPEN(opened), _DELETE(deleted))
        self._kept += [open_file, delete_file, *replaced]
        for at, function in zip((_AT_OPEN, _AT_DELETE), replaced, strict=True):
            vfs[at] = _address(function)
        return self

    def say(self, word: str) -> None:
        """Puts a word of the caller among what was told."""
        self._note(Told("said", word))

    def _note(self, told: Told) -> None:
        if self.recording:
            self.told.append(told)

    def _ours(self, address: int) -> int:
        """The address of a file's functions with three of them replaced."""
        if address in self._methods:
            return ctypes.addressof(self._methods[address])
        copy = (ctypes.c_size_t * _METHODS).from_buffer_copy(ctypes.string_at(address, _METHODS * _WORD))
        write, truncate, sync = _WRITE(copy[_AT_WRITE]), _TRUNCATE(copy[_AT_TRUNCATE]), _SYNC(copy[_AT_SYNC])

        def written(file: int, octets: int, count: int, at: int) -> int:
            if self.fail_at is not None:
                if self.fail_at == 0:
                    self.failed += 1
                    return self.fail_with
                self.fail_at -= 1
            self._note(Told("write", self._names.get(file, ""), at, ctypes.string_at(octets, count)))
            code: int = write(file, octets, count, at)
            return code

        def cut(file: int, size: int) -> int:
            self._note(Told("truncate", self._names.get(file, ""), size))
            code: int = truncate(file, size)
            return code

        def synced(file: int, flags: int) -> int:
            code: int = sync(file, flags)
            self._note(Told("sync", self._names.get(file, "")))
            return code

        replaced = (_WRITE(written), _TRUNCATE(cut), _SYNC(synced))
        self._kept += [write, truncate, sync, *replaced]
        for at, function in zip((_AT_WRITE, _AT_TRUNCATE, _AT_SYNC), replaced, strict=True):
            copy[at] = _address(function)
        self._methods[address] = self._methods[ctypes.addressof(copy)] = copy
        return ctypes.addressof(copy)


def _address(function: Any) -> int:
    return ctypes.cast(function, _POINTER).value or 0


def _library() -> Any:
    """SQLite's library as Python has it loaded. Raises RuntimeError where it cannot be found."""
    import _sqlite3

    maps = Path("/proc/self/maps")
    found = re.findall(r"(/\S*libsqlite3\S*)", maps.read_text()) if maps.exists() else []
    for path in (*found[:1], _sqlite3.__file__):
        library = ctypes.CDLL(path)
        if hasattr(library, "sqlite3_vfs_find"):
            return library
    raise RuntimeError("SQLite's library cannot be reached in this Python, so its writes cannot be watched.")


def after_power_cut(told: Sequence[Told], chance: random.Random, keep: str) -> dict[str, bytes]:
    """The files as a power cut leaves them: what was synced, and of the rest what the disk happened to have.

    Args:
      told: everything up to the cut.
      keep: of what was not synced: "none", "all", or "some" (sectors by chance, so that writes are torn).
    Returns: name of a file -> what is in it.
    """
    safe: dict[str, bytearray] = {}
    loose: dict[str, list[Told]] = {}
    for one in told:
        if one.what in ("write", "truncate"):
            loose.setdefault(one.name, []).append(one)
        elif one.what == "sync":
            for waiting in loose.pop(one.name, []):
                _apply(safe.setdefault(one.name, bytearray()), waiting)
            safe.setdefault(one.name, bytearray())
        elif one.what == "delete":
            safe.pop(one.name, None)
            loose.pop(one.name, None)
    for name, unsynced in loose.items():
        octets = safe.setdefault(name, bytearray())
        for one in unsynced:
            if keep == "all" or (keep == "some" and one.what == "truncate" and chance.random() < 0.5):
                _apply(octets, one)
            elif keep == "some" and one.what == "write":
                for start in range(0, len(one.octets), SECTOR):
                    if chance.random() < 0.5:
                        part = one.octets[start : start + SECTOR]
                        _apply(octets, Told("write", name, one.at + start, part))
    return {name: bytes(octets) for name, octets in safe.items()}


def _apply(octets: bytearray, told: Told) -> None:
    if told.what == "truncate":
        del octets[told.at :]
        return
    if len(octets) < told.at:
        octets.extend(bytes(told.at - len(octets)))
    octets[told.at : told.at + len(told.octets)] = told.octets
