"""The sender's body: wait at the gate, move the file through one mechanism while it is open, park, and say how much.

While a window is open a sender makes no system call but its mechanism's.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from dataclasses import dataclass
from itertools import pairwise

from zcload.lane.board import BYTES, COUNTS, FORGET, GATE, ITERATIONS, MAX_COUNTS, NUMBER, ORDER, PARKED, REPORT, RUN, STOP, VERIFY, Board
from zcload.lane.tcp_info import tcp_info
from zcload.mechanisms import MECHANISMS
from zcload.model import Variant
from zcload.worker import tell


@dataclass(frozen=True, slots=True)
class Share:
    """A sender's part of the file: it starts at *start*, and verification sends the bytes up to *end*."""

    start: int
    end: int


def shares(size: int, senders: int) -> tuple[Share, ...]:
    """Split *size* bytes among the senders, at page boundaries: sender i starts at i/N of the file."""
    starts = [(size * i // senders) & ~4095 for i in range(senders)] + [size]
    return tuple(Share(start, end) for start, end in pairwise(starts))


def send_file(
    control: socket.socket,
    *,
    board: Board,
    index: int,
    variant: Variant,
    chunk: int,
    size: int,
    share: Share,
    sock: socket.socket,
    fd: int,
    gate: int,
) -> None:
    """Carry out the coordinator's orders until it says stop. *index* is the worker's block on the board, *gate* its eventfd."""
    cls = MECHANISMS[variant.mechanism]
    own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)  # an open file of its own: read-ahead is kept per open file, not per file
    mechanism = cls(sock, own, size, chunk if cls.uses_chunk else size, **variant.options)
    if len(mechanism.counts) > MAX_COUNTS:
        raise AssertionError(f"{cls.name} declares more kinds of calls than the board has words for")
    step = mechanism.chunk
    whole_pass = cls.whole_pass
    words, base = board.words, board.base(index)
    send = mechanism.send
    offset = 0 if whole_pass else share.start
    sent = iterations = 0
    tell(control, ready=True)
    while True:
        os.eventfd_read(gate)
        number, order = words[NUMBER], words[ORDER]
        if order == RUN:
            while words[GATE] == number or (whole_pass and offset):
                left = size - offset
                moved = send(offset, step if left > step else left)
                iterations += 1
                sent += moved
                offset += moved
                if offset == size:
                    offset = 0
            mechanism.drain()
        elif order == VERIFY:
            at = share.start
            while at < share.end:
                moved = send(at, min(step, share.end - at))
                iterations += 1
                sent += moved
                at += moved
            mechanism.drain()
        elif order == REPORT:
            tell(control, **_report(sock), completions=mechanism.completions())
        elif order == FORGET:
            mechanism.forget()
        elif order == STOP:
            break
        words[base + BYTES] = sent if cls.moves_payload else 0
        words[base + ITERATIONS] = iterations
        for kind, count in enumerate(mechanism.counts):
            words[base + COUNTS + kind] = count
        words[base + PARKED] = number  # last: whoever sees it sees the rest
    mechanism.close()
    os.close(own)


def _report(sock: socket.socket) -> dict[str, object]:
    """Return what only the worker itself can read: its own resource usage (user, system in s; switches; faults) and its socket's state."""
    cpu_ns = time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_ns": cpu_ns,
        "voluntary": usage.ru_nvcsw,
        "involuntary": usage.ru_nivcsw,
        "minor_faults": usage.ru_minflt,
        "major_faults": usage.ru_majflt,
        "tcp_info": tcp_info(sock),
    }
