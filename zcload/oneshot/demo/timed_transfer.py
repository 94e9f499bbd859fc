"""Time one transfer as in 2015: a fresh connection, a freshly forked sender and receiver, one file.

The wall clock starts after connect and stops when the sender has closed its socket; opening and reading are inside. What
is still in the socket's queue then (some MB at most) is not: the note's clock left it out too. The CPU clocks are each
process's own, read by itself just before and just after; the receiver's runs to the end of the stream.
"""

from __future__ import annotations

import hashlib
import resource
import socket
import time
from dataclasses import dataclass

from zcload.errors import StudyError
from zcload.lane.connections import connect
from zcload.lane.payload import Source
from zcload.lane.worker import send_message, spawn
from zcload.model.study import Point
from zcload.oneshot.demo.contenders import NOTE_STEP, DemoContender

_SLOWEST_BYTES_PER_S = 10e6  # a transfer slower than this is taken for stuck
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class TimedTransfer:
    """The figures of one transfer."""

    seconds: float
    sender_cpu_s: float
    receiver_cpu_s: float
    sender_minor_faults: int


def transfer(contender: DemoContender, source: Source, *, verify: bool = False) -> TimedTransfer:
    """Have *contender* send the file once; with *verify* the receiver digests it, so that the figures mean nothing.

    Raises StudyError if an end fails or the bytes are not the file's, Interrupted on a signal; leaves no process behind.
    """
    ends = connect(Point(socket_buffer=None), 1, None)  # buffers and congestion control as the kernel has them, like the note
    taking, giving = ends.servers[0], ends.clients[0]
    workers = []
    try:
        keep = [taking.fileno()]
        receiver = spawn(contender.name, "receiver", 0, lambda control: _receive(control, taking, verify), keep, None)
        workers.append(receiver)
        keep = [giving.fileno(), source.fd]
        sender = spawn(contender.name, "sender", 0, lambda control: _send(control, contender, giving, source.fd), keep, None)
        workers.append(sender)
        ends.close()
        for worker in workers:
            worker.receive(_PATIENCE_S, "getting ready")
        sender.control.send(b"go")
        patience_s = _PATIENCE_S + source.size / _SLOWEST_BYTES_PER_S
        sent = sender.receive(patience_s, "sending")
        received = receiver.receive(patience_s, "receiving")
    finally:
        ends.close()
        for worker in workers:
            worker.end()  # and wait until the kernel has taken back all its memory: the next transfer does not pay for it
    if received["bytes"] != source.size:
        raise StudyError(f"{contender.name}: {received['bytes']} of {source.size} bytes arrived")
    if verify and received["sha256"] != source.digest:
        raise StudyError(f"{contender.name}: what arrived is not the file: SHA-256 {received['sha256']}, the file's {source.digest}")
    return TimedTransfer(sent["seconds"], sent["cpu_s"], received["cpu_s"], sent["minor_faults"])


def _send(control: socket.socket, contender: DemoContender, sock: socket.socket, fd: int) -> None:
    path = f"/proc/self/fd/{fd}"  # opened anew, so with a position and a read-ahead of its own
    send_message(control, ready=True)
    control.recv(16)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    cpu, start = time.process_time_ns(), time.perf_counter_ns()
    kept = contender.send(sock, path)
    sock.close()
    end, cpu_end = time.perf_counter_ns(), time.process_time_ns()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    del kept  # not before: giving the memory back was not in the note's time either
    send_message(control, seconds=(end - start) / 1e9, cpu_s=(cpu_end - cpu) / 1e9, minor_faults=faults)


def _receive(control: socket.socket, sock: socket.socket, verify: bool) -> None:
    sha = hashlib.sha256()
    send_message(control, ready=True)
    cpu = time.process_time_ns()
    total = 0
    while data := sock.recv(NOTE_STEP):  # a new object a call, as in the note
        total += len(data)
        if verify:
            sha.update(data)
    send_message(control, bytes=total, cpu_s=(time.process_time_ns() - cpu) / 1e9, sha256=sha.hexdigest())
