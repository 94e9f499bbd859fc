"""The sending process: connect, move the file through one mechanism, and wait until the peer has it.

It runs in a process of its own, where it may block in a mechanism as long as it likes: Ctrl-C is the other process's, which
kills this one. Until everything is sent, that resets the connection, so that the receiver does not take a part for
the whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import termios
import time
from dataclasses import dataclass
from typing import Literal

from zcload.errors import ConfigError, StudyError, os_error, reason_of
from zcload.lane.worker import send_message
from zcload.mechanisms import FileEndedEarly, Mechanism
from zcload.mechanisms.making import make_mechanism
from zcload.oneshot.address import EVERY_ADDRESS, format_address, is_loopback, resolve
from zcload.oneshot.verification import ANSWER_LIMIT, read_answer

TransferEnd = Literal["closed", "acknowledged"]

# A mechanism without a chunk would hand over the file in one call and nobody could see how far it is.
_PIECE = 16 << 20
_SIOCOUTQ = termios.TIOCOUTQ  # tcp(7): the bytes that the peer has not acknowledged, our FIN counted as one
_CLOSE_WAIT_S = 5.0  # for the peer to close once it has acknowledged everything: nc at a terminal never does
_RESET, _ORDERLY = struct.pack("@ii", 1, 0), struct.pack("@ii", 0, 0)  # struct linger


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be sent, how, and where: *size* and *chunk* in bytes, *timeout_s* without any sign of the peer."""

    host: str
    port: int
    mechanism: type[Mechanism]
    fd: int
    size: int
    chunk: int
    connect_timeout_s: float
    timeout_s: float
    prefix: bytes = b""  # goes before the file

    @property
    def peer(self) -> str:
        """The address as the user wrote it."""
        return format_address(self.host, self.port)


def stream(control: socket.socket, job: Job, sent: memoryview) -> None:
    """Do *job* and tell how it went: its figures, or why it `failed` and whether that is a matter of `usage`.

    *sent* is shared with the coordinator: the bytes sent so far, and when the call before the latest began (monotonic, ns).
    """
    try:
        sock = _connect(job)
        with sock:
            send_message(control, **_deliver(sock, job, sent))
    except (ConfigError, StudyError) as error:
        send_message(control, failed=str(error), usage=isinstance(error, ConfigError))


def _connect(job: Job) -> socket.socket:
    problem: StudyError | None = None
    for family, address in resolve(job.host, job.port):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(job.connect_timeout_s)
            sock.connect(address)
            sock.settimeout(None)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            # Covers a host that vanished and a receiver that stopped taking bytes (a closed window) alike: tcp(7).
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(job.timeout_s * 1000))
        except OSError as error:
            sock.close()
            problem = _unreached(job, error)
            continue
        return sock
    raise problem or StudyError(f"{job.peer} has no address that TCP can use")


def _unreached(job: Job, error: OSError) -> StudyError:
    if isinstance(error, TimeoutError):
        return StudyError(f"{job.peer}: no answer within {job.connect_timeout_s:g} s")
    if error.errno == errno.ECONNREFUSED:
        return StudyError(f"{job.peer}: connection refused: {_refusal_hint(job)}")
    return StudyError(f"{job.peer}: cannot connect: {reason_of(error)}")


def _refusal_hint(job: Job) -> str:
    if is_loopback(job.host):
        return f"is `zcload receive` running there? (start `zcload receive {job.port}` first)"
    return (
        f"is `zcload receive` running there, and for other hosts? (it listens on 127.0.0.1 unless told otherwise: "
        f"`zcload receive {EVERY_ADDRESS}:{job.port}` on {job.host})"
    )


def _deliver(sock: socket.socket, job: Job, sent: memoryview) -> dict[str, object]:
    """Send the file and wait for the peer; return the figures. The clocks start here, just after the connection was made."""
    start, cpu = time.perf_counter_ns(), time.process_time_ns()
    completions: dict[str, int] = {}
    try:
        if job.prefix:
            sock.sendall(job.prefix)
        if job.size:
            completions = _move(sock, job, sent)
        early = bool(_poll(sock, select.POLLRDHUP, 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ORDERLY)
        sock.shutdown(socket.SHUT_WR)
        said = bytearray()
        ended, at = _await_peer(sock, early, said)
    except OSError as error:
        raise _broken(error, job, sent) from None
    return {
        "seconds": (at - start) / 1e9,
        "cpu_s": (time.process_time_ns() - cpu) / 1e9,
        "ended": ended,
        "completions": completions,
        "answer": read_answer(bytes(said)),
    }


def _move(sock: socket.socket, job: Job, sent: memoryview) -> dict[str, int]:
    step = job.chunk if job.mechanism.uses_chunk else _PIECE
    mechanism = make_mechanism(job.mechanism, sock, job.fd, job.size, step, {})
    try:
        send, size, offset, now = mechanism.send, job.size, 0, time.monotonic_ns
        begun = now()
        while offset < size:
            sent[1], begun = begun, now()
            left = size - offset
            offset += send(offset, step if left > step else left)
            sent[0] = offset
        mechanism.drain()
        return mechanism.completions()
    finally:
        mechanism.close()


def _broken(error: OSError, job: Job, sent: memoryview) -> StudyError:
    """Say what went wrong in the middle, and how far it was."""
    size = os.fstat(job.fd).st_size
    if size < job.size and error.errno == errno.EFAULT:  # what a mapping of a file gives that became shorter
        return FileEndedEarly.at(size, job.size)
    far = f"{sent[0]} of {job.size} bytes had been sent"
    gone = error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)
    # sendfile and splice that had moved something swallow the ETIMEDOUT that stopped them, and the next call gives EPIPE.
    # The kernel's clock started when the window closed, a little before the call that found no more room.
    stood_s = (time.monotonic_ns() - sent[1]) / 1e9
    if error.errno == errno.ETIMEDOUT or (gone and sent[0] < job.size and stood_s >= 0.9 * job.timeout_s):
        return StudyError(f"{job.peer} received nothing for {job.timeout_s:g} s: {far}")
    if gone:
        return StudyError(f"{job.peer} went away before it had everything: {far}")
    return StudyError(f"{job.mechanism.name} to {job.peer} failed, {reason_of(error)}: {far}")


def _poll(sock: socket.socket, events: int, timeout_ms: float) -> list[tuple[int, int]]:
    poller = select.poll()
    poller.register(sock, events)
    return poller.poll(timeout_ms)


def _await_peer(sock: socket.socket, early: bool, said: bytearray) -> tuple[TransferEnd, int]:
    """Wait until the peer has closed, or at least acknowledged everything; return which, and when (perf_counter_ns).

    *early* says that the peer had closed its direction before we did: then its end of stream proves nothing. *said* gets the
    beginning of what the peer has sent.
    """
    acknowledged_at = 0
    closed = early
    while True:
        now = time.perf_counter_ns()
        if not acknowledged_at and struct.unpack("@i", fcntl.ioctl(sock, _SIOCOUTQ, bytes(4)))[0] == 0:
            acknowledged_at = now
        if acknowledged_at and closed:
            return ("acknowledged", acknowledged_at) if early else ("closed", now)
        waited_s = (now - acknowledged_at) / 1e9
        if acknowledged_at and waited_s > _CLOSE_WAIT_S:
            return "acknowledged", acknowledged_at
        if closed:
            _raise_pending(sock)
            time.sleep(0.001)
        elif _poll(sock, select.POLLIN, 1000 * (_CLOSE_WAIT_S - waited_s) + 1 if acknowledged_at else 1):
            try:
                heard = sock.recv(65536, socket.MSG_DONTWAIT)
                closed = not heard
                said += heard[: ANSWER_LIMIT - len(said)]
            except BlockingIOError:
                time.sleep(0.001)  # an event that is no byte, such as a late zero-copy completion


def _raise_pending(sock: socket.socket) -> None:
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise os_error(code)
