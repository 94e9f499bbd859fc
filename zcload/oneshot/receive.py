"""`zcload receive`: take one stream after another, count, digest and time the bytes.

The digest is made in the loop, as the bytes come: no file is written that could be read again. Its CPU time is measured
apart and is no part of `cpu_s`; its time on the clock cannot be taken out of `seconds`, because while it runs nobody takes
bytes off the socket. So a goodput to be held against others is one without the digest.
"""

from __future__ import annotations

import errno
import hashlib
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.linux import interrupt
from zcload.mechanisms.base import MAX_COUNT
from zcload.model.progress import Viewer, nobody
from zcload.oneshot.address import DEFAULT_ADDRESS, format_address, parse_address, resolve
from zcload.oneshot.progress_pace import Pace
from zcload.sinks.recv import Recv

CHUNK = 256 << 10
_LOOK_S = 0.2  # how often a wait without bytes looks whether the end was asked for
_BACKLOG = 16
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))  # s, s, probes


@dataclass(frozen=True, slots=True)
class Received:
    """One stream that arrived whole. *seconds* go from its first byte to its last; *cpu_s* is this process's, less the digest's."""

    peer: str
    bytes: int
    seconds: float
    cpu_s: float
    sha256: str | None
    digest_cpu_s: float

    @property
    def goodput_bps(self) -> float | None:
        """Payload bits per second; None where nothing came."""
        return 8 * self.bytes / self.seconds if self.seconds else None


def receive(
    where: str = DEFAULT_ADDRESS,
    *,
    listening: Callable[[str], None],
    received: Callable[[Received], None],
    failed: Callable[[StudyError], None],
    once: bool = False,
    chunk: int = CHUNK,
    digest: bool = True,
    view: Viewer = nobody,
) -> None:
    """Serve transfers at *where* one after another, each until its sender closes; with *once* return after the first.

    *listening* gets the address in use before anything is waited for, *received* each whole stream, *failed* each broken one,
    after which the next is served; with *once* a broken one is raised. Raises ConfigError, StudyError, Interrupted.
    """
    if not 1 <= chunk <= MAX_COUNT:
        raise ConfigError(Problem(f"a chunk of {chunk} bytes cannot be received", remedy=f"choose 1..{MAX_COUNT} bytes"))
    with interrupt.graceful(), _listen(where) as listener:
        listening(format_address(*listener.getsockname()[:2]))
        while True:
            sock, peer = _accept(listener)
            with sock:
                try:
                    record = _take(sock, peer, chunk, digest, Pace(view))
                except StudyError as error:
                    if once and interrupt.requested is None:
                        raise
                    failed(error)
                    interrupt.check()
                    continue
            received(record)
            if once:
                return


def _listen(where: str) -> socket.socket:
    host, port = parse_address(where)
    problem: StudyError | None = None
    for family, address in resolve(host, port):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last transfer may still be in TIME_WAIT
            sock.bind(address)
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            problem = problem or _refused(where, error)
            continue
        sock.setblocking(False)  # a connection may be gone again between select and accept
        return sock
    raise problem or StudyError(f"{where} has no address that TCP can use")


def _refused(where: str, error: OSError) -> StudyError:
    match error.errno:
        case errno.EADDRINUSE:
            why = "the port is in use (choose another, or 0 for any free one)"
        case errno.EADDRNOTAVAIL:
            why = "not an address of this machine (see `ip address`, or use 0.0.0.0)"
        case errno.EACCES | errno.EPERM:
            why = "the port needs privileges (choose one above 1023)"
        case _:
            why = reason_of(error)
    return StudyError(f"cannot listen on {where}: {why}")


def _accept(listener: socket.socket) -> tuple[socket.socket, str]:
    """Wait for a connection; raises Interrupted."""
    while True:
        _until_readable(listener)
        interrupt.check()
        try:
            sock, peer = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            continue
        sock.setblocking(True)
        # One system call a chunk, and still a look around while none comes: with SO_RCVTIMEO recv gives EAGAIN (socket(7)).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, int(_LOOK_S * 1e6)))
        # A sender whose host vanished says nothing ever again; one that is only slow answers the probes.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        return sock, format_address(*peer[:2])


def _until_readable(sock: socket.socket) -> None:
    while interrupt.requested is None and not select.select([sock], [], [], _LOOK_S)[0]:
        pass


def _take(sock: socket.socket, peer: str, chunk: int, digest: bool, pace: Pace) -> Received:
    """Take the stream of *peer* to its end; raises StudyError, with the bytes that had come, when it breaks off."""
    taker = Recv(chunk)
    sha = hashlib.sha256()
    total = digest_ns = 0
    _until_readable(sock)
    first = last = time.perf_counter_ns()
    cpu = time.process_time_ns()
    while True:
        if interrupt.requested is not None:
            raise StudyError(f"interrupted: {total} bytes had come from {peer}")
        try:
            got = taker.receive(sock)
        except BlockingIOError:
            pace.report("receiving", total)
            continue
        except OSError as error:
            raise StudyError(f"{peer} broke off after {total} bytes: {reason_of(error)}") from None
        if not got:
            break
        last = time.perf_counter_ns()
        total += got
        if digest:
            before = time.process_time_ns()
            sha.update(taker.payload[:got])
            digest_ns += time.process_time_ns() - before
        pace.report("receiving", total)
    cpu = time.process_time_ns() - cpu
    return Received(peer, total, (last - first) / 1e9, (cpu - digest_ns) / 1e9, sha.hexdigest() if digest else None, digest_ns / 1e9)
