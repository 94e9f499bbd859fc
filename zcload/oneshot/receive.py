"""`zcload receive`: take one stream after another off TCP connections, count and time the bytes, and verify them in a second pass.

A digest made in the loop would be in the time: while it runs nobody takes bytes off the socket. So the timed pass only counts, and
a sender that is `zcload send` repeats its file for the digest (verification.py). For other senders there is *digest_inside*.
"""

from __future__ import annotations

import errno
import hashlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.linux import interrupt
from zcload.mechanisms.base import MAX_COUNT
from zcload.model.progress import Viewer, nobody
from zcload.oneshot.address import DEFAULT_ADDRESS, EVERY_ADDRESS, format_address, parse_address, resolve
from zcload.oneshot.arrivals import Arrival, Arrivals
from zcload.oneshot.progress_pace import Pace
from zcload.oneshot.verification import TOKEN_BYTES, answer, new_token
from zcload.sinks.recv import Recv

CHUNK = 256 << 10
STALL_S = 60.0  # a stream that has begun and brings nothing for this long has failed
_VERIFY_WAIT_S = 5.0  # for the second pass of a sender that may not be `zcload send`
_BACKLOG = 16


@dataclass(frozen=True, slots=True)
class Received:
    """One stream that arrived whole. *seconds* go from its first byte to its last; *cpu_s* is this process's, less a digest's.

    *sha256* is of a second pass, or where *digest_cpu_s* is above 0 of the timed stream itself; None where there is neither.
    """

    peer: str
    bytes: int
    seconds: float
    cpu_s: float
    sha256: str | None
    digest_cpu_s: float

    @property
    def goodput_bps(self) -> float | None:
        """Payload bits per second; None where the clock saw no time."""
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
    digest_inside: bool = False,
    view: Viewer = nobody,
) -> None:
    """Serve transfers at *where* one after another, each until its sender closes; with *once* return after the first.

    With *digest* a sender is offered a second pass to verify its bytes; *digest_inside* digests the timed stream itself instead.
    *listening* gets the address in use before anything is waited for, *received* each whole stream, *failed* each broken one,
    and each connection that sent nothing, after which the next is served; with *once* a broken stream is raised. A SIGINT ends it
    in order once something has been received. Raises ConfigError, StudyError, Interrupted.
    """
    if not 1 <= chunk <= MAX_COUNT:
        raise ConfigError(Problem(f"a chunk of {chunk} bytes cannot be received", remedy=f"choose 1..{MAX_COUNT} bytes"))
    served = 0
    with interrupt.graceful(), _listen(where) as listener:
        arrivals = Arrivals(listener, failed)
        try:
            listening(format_address(*listener.getsockname()[:2]))
            while not (once and served):
                arrival = arrivals.next()
                if interrupt.ended_by_user() and served:
                    return
                interrupt.check()
                if arrival is None:
                    continue
                with arrival.sock:
                    try:
                        record = _take(arrival, chunk, digest_inside, Pace(view))
                    except StudyError as error:
                        if once and interrupt.requested is None:
                            raise
                        failed(error)
                        continue
                    if digest and not digest_inside:
                        record = _verified(record, arrival, arrivals, chunk, Pace(view))
                    elif not digest_inside:
                        _say(arrival.sock, answer(bytes=record.bytes, seconds=record.seconds, cpu_s=record.cpu_s))
                served += 1
                received(record)
        finally:
            arrivals.close()


def _listen(where: str) -> socket.socket:
    host, port = parse_address(where, without_host=EVERY_ADDRESS)
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


def _take(arrival: Arrival, chunk: int, digest: bool, pace: Pace, phase: str = "receiving") -> Received:
    """Take a stream to its end; raises StudyError, with the bytes that had come, when it breaks off."""
    sock, peer = arrival.sock, arrival.peer
    taker = Recv(chunk)
    sha = hashlib.sha256()
    total = digest_ns = 0
    first = last = time.perf_counter_ns()
    cpu = time.process_time_ns()
    while True:
        if interrupt.requested is not None:
            raise StudyError(f"interrupted: {total} bytes had come from {peer}")
        try:
            got = taker.receive(sock)
        except BlockingIOError:
            if time.perf_counter_ns() - last > STALL_S * 1e9:
                raise StudyError(f"{peer} sent nothing for {STALL_S:g} s after {total} bytes and was disconnected") from None
            pace.report(phase, total)
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
        pace.report(phase, total)
    cpu = time.process_time_ns() - cpu
    return Received(peer, total, (last - first) / 1e9, (cpu - digest_ns) / 1e9, sha.hexdigest() if digest else None, digest_ns / 1e9)


def _verified(record: Received, arrival: Arrival, arrivals: Arrivals, chunk: int, pace: Pace) -> Received:
    """Offer the sender a second pass and return *record* with the digest of that; as it is if the sender makes none."""
    token = new_token()
    _say(arrival.sock, answer(bytes=record.bytes, seconds=record.seconds, cpu_s=record.cpu_s, verify_with=token.decode()))
    again = arrivals.next(time.monotonic() + _VERIFY_WAIT_S, arrival.sock)
    if again is None:
        return record
    try:
        if again.sock.recv(TOKEN_BYTES, socket.MSG_PEEK | socket.MSG_WAITALL) != token:
            arrivals.put_back(again)
            return record
        with again.sock:
            again.sock.recv(TOKEN_BYTES)
            second = _take(again, chunk, True, pace, "verifying")
            _say(again.sock, answer(bytes=second.bytes, sha256=second.sha256))
    except (OSError, StudyError):
        return record  # the sender says what went wrong with its second pass
    return replace(record, sha256=second.sha256)


def _say(sock: socket.socket, line: bytes) -> None:
    """Answer a sender and close our direction; one that is gone already, or that does not listen, misses nothing it asked for."""
    try:
        sock.send(line, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
