"""Every mechanism moves small files: other open files and ranges, over one connection or a new one each, whatever interrupts it."""

from __future__ import annotations

import os
import random
import signal
import socket

import pytest
from support.contenders import SMALLEST_BUFFER, WITH_OPTIONS, available, connected, opened, receiving

from zcload.mechanisms import MECHANISMS

pytestmark = pytest.mark.usefixtures("leaks")
LARGE = 1 << 20
RANGES = [(0, 1), (4096, 4096), (8192, 70_000), (LARGE - 4096, 4096), (4096, 200_001), (LARGE // 2, 4095), (0, 65_536)]


def send_small(mechanism, file, offset, size):
    """Send one small file as the load does, from an open file of its own."""
    fd = os.open(f"/proc/self/fd/{file.fd}", os.O_RDONLY)
    try:
        mechanism.begin(fd, offset, size)
        while size:
            moved = mechanism.send(offset, min(mechanism.chunk, size))
            offset, size = offset + moved, size - moved
        mechanism.end()
    finally:
        os.close(fd)


def held(file, ranges):
    """Return what the small files hold, one after another."""
    return b"".join(file.data[offset : offset + size] for offset, size in ranges)


@pytest.mark.parametrize("chunk", [4095, 65_536])
@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_ranges_of_other_open_files_arrive(name, options, chunk, pair, source_file):
    """Pointed at open files that are closed after each range, a mechanism sends exactly those bytes, and no descriptor is left."""
    file = source_file(LARGE)
    sender, receiver = connected(name, pair)
    with opened(name, sender, file, chunk, options) as mechanism:
        with receiving("recv", sender, receiver) as thread:
            for offset, size in RANGES * 3:
                send_small(mechanism, file, offset, size)
            mechanism.drain()
        assert thread.holds(held(file, RANGES * 3))


@pytest.mark.parametrize(("name", "options"), [case for case in WITH_OPTIONS if MECHANISMS[case.values[0]].reconnects])
def test_a_mechanism_goes_on_over_another_connection(name, options, pair, source_file):
    """With a new connection for each small file every one of them gets its own bytes, and completions are counted over all."""
    file = source_file(LARGE)
    first, _ = connected(name, pair)
    with opened(name, first, file, 65_536, options) as mechanism:
        for offset, size in RANGES:
            sender, receiver = pair()
            mechanism.reconnect(sender)
            with receiving("recv", sender, receiver) as thread:
                send_small(mechanism, file, offset, size)
                mechanism.drain()
            assert thread.holds(file.data[offset : offset + size])
            sender.close()
        told = mechanism.completions()
        if told.get("completions"):
            assert told["completions"] + told.get("fallback_sends", 0) >= len(RANGES)


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_small_files_survive_signals_and_short_sends(name, options, pair, source_file):
    """With smallest buffers, a slow receiver and an alarm every 0.3 ms the small files arrive whole and in order."""
    file = source_file(LARGE)
    sender, receiver = connected(name, pair, send_buffer=1, receive_buffer=SMALLEST_BUFFER)
    rng = random.Random(4)
    ranges = [(4096 * rng.randrange(200), rng.randrange(1, 20_000)) for _ in range(12)]
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        with opened(name, sender, file, 65_536, options) as mechanism:
            with receiving("recv", sender, receiver, chunk=2048, pause=0.0002) as thread:
                signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
                try:
                    for offset, size in ranges:
                        send_small(mechanism, file, offset, size)
                    mechanism.drain()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            assert thread.holds(held(file, ranges))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen


def test_a_small_file_beyond_the_end_is_an_error_of_every_mechanism(pair, source_file):
    """A file that was truncated under its small files is told as such, or the socket's error: never a crash, never silence."""
    for name, cls in MECHANISMS.items():
        if not cls.moves_payload or cls.probe() is not None:
            continue
        file = source_file(LARGE)
        sender, _ = connected(name, pair)
        with opened(name, sender, file, 65_536) as mechanism:
            os.ftruncate(file.fd, 4096)
            with pytest.raises((cls.ended_early(mechanism, 0).__class__, OSError)):
                send_small(mechanism, file, 65_536, 4096)


def test_mappings_are_made_for_each_small_file_and_let_go_of(pair, source_file):
    """mmap_send maps each small file anew and unmaps it, unless it is to keep one mapping; the counts say so."""
    file = source_file(LARGE)
    for options, maps in (({}, len(RANGES)), ({"keep_mapping": True}, 1)):
        sender, receiver = pair()
        with opened("mmap_send", sender, file, 1 << 20, options) as mechanism:
            with receiving("recv", sender, receiver):
                for offset, size in RANGES:
                    send_small(mechanism, file, offset, size)
            counts = dict(zip(mechanism.calls, mechanism.counts, strict=True))
            assert (counts["mmap"], counts["munmap"]) == (maps, len(RANGES) if not options else 0)
            assert counts["send"] >= len(RANGES)


def test_null_claims_small_files_too():
    """What moves nothing can be pointed at any file: it gives the cost of the loop around it."""
    mine, theirs = socket.socketpair()
    with mine, theirs:
        mechanism = available(MECHANISMS["null"])(mine, 0, LARGE, 65_536)
        mechanism.begin(7, 4096, 10)
        assert mechanism.send(4096, 10) == 10
        mechanism.end()
        mechanism.close()
