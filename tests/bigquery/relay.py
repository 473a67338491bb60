"""A loopback relay of bytes for the Storage Read API (gRPC), that can close, reset, wait or cut at a byte."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass

BLOCK = 65_536


@dataclass
class Cut:
    """Connections that end early. gRPC connects again by itself, so one cut may go unnoticed.

    after_bytes: how many bytes of the answers pass first; 0 ends it at once.
    reset: by a reset rather than a plain end.
    times: how many of the connections that come.
    """

    after_bytes: int = 0
    reset: bool = False
    times: float = 1
    struck: int = 0


class Relay:
    """Passes bytes both ways between its own port and `target` (host:port); many connections at a time.

    gone: while true, nobody is let in, as where the server is away.
    delay_s: each block of the answers waits so long.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self.target = (host, int(port))
        self.gone = False
        self.delay_s = 0.0
        self.connections = 0
        self.bytes_down = 0
        self.cuts: list[Cut] = []
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self.drop_all()

    @property
    def address(self) -> str:
        """For GAELP_BIGQUERY_STORAGE_ENDPOINT."""
        return f"127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self, after_bytes: int = 0, *, reset: bool = False, times: float = 1) -> Cut:
        """Plans an end of connections; see Cut."""
        planned = Cut(after_bytes, reset, times)
        with self._lock:
            self.cuts.append(planned)
        return planned

    def drop_all(self, *, reset: bool = False) -> None:
        """Ends every connection that is open now."""
        with self._lock:
            ending = list(self._open)
        for side in ending:
            _end(side, reset=reset)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # the relay was closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            cut = next((planned for planned in self.cuts if planned.struck < planned.times), None)
            if cut is not None:
                cut.struck += 1
        if self.gone or (cut is not None and cut.after_bytes == 0):
            _end(client, reset=cut is not None and cut.reset)
            return
        try:
            server = socket.create_connection(self.target)
        except OSError:
            _end(client, reset=True)
            return
        with self._lock:
            self._open |= {client, server}
        up = threading.Thread(target=self._pump, args=(client, server, None, False), daemon=True)
        up.start()
        self._pump(server, client, cut, True)
        up.join()
        with self._lock:
            self._open -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, cut: Cut | None, down: bool) -> None:
        passed = 0
        while True:
            try:
                block = source.recv(BLOCK)
            except OSError:
                block = b""
            if down and block and self.delay_s:
                time.sleep(self.delay_s)
            ends = not block
            if cut is not None and passed + len(block) >= cut.after_bytes:
                block, ends = block[: cut.after_bytes - passed], True
            passed += len(block)
            try:
                sink.sendall(block)
            except OSError:
                ends = True
            if down:
                with self._lock:
                    self.bytes_down += len(block)
            if ends:
                reset = cut is not None and cut.reset
                _end(sink, reset=reset)
                _end(source, reset=reset)
                return


def _end(side: socket.socket, *, reset: bool = False) -> None:
    """Closes one side; by a reset if asked for."""
    try:
        if reset:
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            side.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side was faster
    side.close()
