"""A file beyond what one call moves: over 2 GiB, which no read, write or sendfile takes at once (0x7ffff000 bytes, sendfile(2))."""

from __future__ import annotations

import os
import socket
import threading

import psutil
import pytest

from zcload.mechanisms import MECHANISMS
from zcload.mechanisms.base import MAX_COUNT

SIZE = (2 << 30) + (64 << 20)  # its end lies beyond what one call moves and beyond 31 bits
MARK = bytes(range(1, 256)) * 32
MARKS = (0, MAX_COUNT - len(MARK) // 2, MAX_COUNT, SIZE - 100_000, SIZE - len(MARK))  # the rest of the file is a hole
PIECE, AROUND = 1 << 20, 1 << 18
NEEDED = 5 << 30  # the file's pages, where a mapping makes them, and slurp_send's copy of them
# Those that a chunk of any size takes no memory, and the one whose chunk is the file: the others split it by their buffers.
WHOLE = [name for name, cls in MECHANISMS.items() if cls.moves_payload and (not cls.uses_chunk or cls.private_bytes(SIZE, SIZE) == 0)]

pytestmark = pytest.mark.serial


@pytest.fixture
def large_file():
    """Open a file in memory, a hole but for its marks."""
    if psutil.virtual_memory().available < NEEDED:
        pytest.skip(f"less than {NEEDED >> 30} GiB of memory are available (run it on a larger machine)")
    fd = os.memfd_create("large", os.MFD_CLOEXEC)
    os.ftruncate(fd, SIZE)
    for at in MARKS:
        os.pwrite(fd, MARK, at)
    yield fd
    os.close(fd)


def expected(at, count):
    """Return what the file holds from *at* on."""
    piece = bytearray(count)
    for mark in MARKS:
        start, end = max(mark, at), min(mark + len(MARK), at + count)
        if start < end:
            piece[start - at : end - at] = MARK[start - mark : end - mark]
    return piece


class Checker(threading.Thread):
    """Receive to the end of the stream: look at every byte around the marks, only count the others, which costs no copy (tcp(7))."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.bytes, self.wrong = sock, 0, None

    def run(self):
        buffer = bytearray(PIECE)
        view = memoryview(buffer)
        while True:
            near = any(mark - AROUND <= self.bytes < mark + len(MARK) + AROUND for mark in MARKS)
            ahead = min((mark - AROUND - self.bytes for mark in MARKS if mark - AROUND > self.bytes), default=PIECE)
            got = self.sock.recv_into(view[:AROUND]) if near else self.sock.recv_into(view[:ahead], 0, socket.MSG_TRUNC)
            if not got:
                return
            if near and self.wrong is None and view[:got] != expected(self.bytes, got):
                self.wrong = self.bytes
            self.bytes += got


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_more_than_a_call_moves(name, large_file, pair):
    """A file of more than 2 GiB arrives, asked for as one chunk, around every mark byte by byte, and no call moves more than 0x7ffff000."""
    cls = MECHANISMS[name]
    why = cls.probe()
    if why is not None:
        pytest.skip(f"{name}: {why.reason} ({why.remedy})")
    sender, receiver = pair()
    cls.prepare(sender, receiver)
    sender, receiver = cls.wrap(sender, receiver)
    checker = Checker(receiver)
    checker.start()
    mechanism = cls(sender, large_file, SIZE, SIZE)
    try:
        accepted, at = [], 0
        while at < SIZE:
            accepted.append(mechanism.send(at, SIZE - at))
            at += accepted[-1]
        mechanism.drain()
    finally:
        mechanism.close()
        sender.shutdown(socket.SHUT_RDWR if at < SIZE else socket.SHUT_WR)
        checker.join(60)
    assert not checker.is_alive()
    assert (checker.bytes, checker.wrong, at) == (SIZE, None, SIZE)
    if cls.calls_are_counted:  # what an event loop does to send a chunk is many calls, however large the chunk
        assert max(accepted) <= MAX_COUNT
        assert len(accepted) > 1
