"""io_uring: the binding (queues, overflow, signals, timeouts, closing), why there may be none, and what broken links do."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from support.kernel import RELEASE, older_than

from zcload.errors import StudyError
from zcload.linux import uring
from zcload.linux import uring_abi as abi
from zcload.linux.memory import address_of, anonymous
from zcload.linux.uring import Ring, why_not
from zcload.linux.uring_buffers import BufferRing
from zcload.mechanisms import MECHANISMS, FileEndedEarly
from zcload.mechanisms.uring_base import Notified, Ringed

LINKED = ("uring_read_send", "uring_send_zc_fixed", "uring_splice")
RINGED = tuple(name for name, cls in MECHANISMS.items() if issubclass(cls, Ringed) and cls.moves_payload)

pytestmark = pytest.mark.usefixtures("leaks")


@pytest.fixture
def ring_of():
    """Return a function that makes a ring, or skips with the reason why there is none; rings end with the test."""
    made = []

    def make(**how):
        why = why_not(())
        if why is not None:
            pytest.skip(f"io_uring: {why[0]} ({why[1]})")
        made.append(Ring(**how))
        return made[-1]

    yield make
    for ring in made:
        ring.close()


@pytest.fixture
def pipe():
    """Return the two ends of an empty pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def available(name):
    """Return the mechanism's class, or skip with its own reason."""
    why = MECHANISMS[name].probe()
    if why is not None:
        pytest.skip(f"{name}: {why.reason} ({why.remedy})")
    return MECHANISMS[name]


def drained(receiver, count):
    """Receive exactly *count* bytes."""
    receiver.settimeout(60)
    parts = []
    while count and (part := receiver.recv(min(count, 1 << 16))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


# The binding.


def test_every_operation_has_one_result_in_order(ring_of):
    """Operations submitted with one call come back once each, with their tags, in the order in which they ended."""
    ring = ring_of(entries=8)
    for round_ in range(5):
        for number in range(8):
            ring.prepare(abi.NOP, -1, 0, 0, tag=8 * round_ + number)
        ring.enter(8)
        assert ring.reap() == [(8 * round_ + number, 0, 0) for number in range(8)]
    assert ring.enters == 5
    assert ring.unanswered == 0


def test_completions_beyond_the_ring_are_kept(ring_of):
    """Completions that find no room in the completion queue wait outside of it and are handed out in order, none lost."""
    ring = ring_of(entries=4, completions=4)
    for round_ in range(3):
        for number in range(4):
            ring.prepare(abi.NOP, -1, 0, 0, tag=4 * round_ + number)
        ring.enter(0)
    assert ring._words[ring._sq_flags] & abi.SQ_CQ_OVERFLOW
    assert [tag for tag, _, _ in ring.reap()] == list(range(12))
    assert ring.unanswered == 0


def test_the_indexes_wrap(ring_of):
    """Head and tail go over 2^32 as the kernel's own do."""
    ring = ring_of(entries=2)
    assert (ring._tail, ring._head) == (0, 0)
    for number in range(100):
        ring.prepare(abi.NOP, -1, 0, 0, tag=number)
        ring.enter(1)
        assert ring.reap() == [(number, 0, 0)]
    assert (ring._tail, ring._head) == (100, 100)


def test_a_full_submission_queue_is_a_bug_of_the_caller(ring_of):
    """More operations at a time than the ring has entries are refused, not overwritten."""
    ring = ring_of(entries=2)
    for number in range(2):
        ring.prepare(abi.NOP, -1, 0, 0, tag=number)
    with pytest.raises(AssertionError, match="2 entries"):
        ring.prepare(abi.NOP, -1, 0, 0, tag=2)
    ring.enter(2)


@pytest.mark.parametrize("mode", uring._MODES)
def test_older_kernels_get_an_older_mode(mode, ring_of, monkeypatch):
    """Where the kernel refuses newer set-up flags the ring is made without them, and works."""
    if not uring._ORDERED and not mode & abi.SETUP_DEFER_TASKRUN:
        pytest.skip("only x86 keeps the order of memory that a ring without DEFER_TASKRUN needs (use an x86 machine)")
    real = uring.syscall

    def older(number, a, b, *rest):
        if number == abi.SETUP and abi.PARAMS.unpack(ctypes.string_at(b, abi.PARAMS.size))[2] & ~(mode | abi.SETUP_CQSIZE):
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(number, a, b, *rest)

    monkeypatch.setattr(uring, "syscall", older)
    ring = ring_of()
    assert ring.mode == mode
    ring.prepare(abi.NOP, -1, 0, 0, tag=1)
    ring.enter(1)
    assert ring.reap() == [(1, 0, 0)]


def test_a_signal_ends_the_wait_and_not_the_operation(ring_of, pipe):
    """A signal makes enter return without a result, its handler runs, and the operation ends as if nothing had been."""
    ring, (reader, writer) = ring_of(), pipe
    buffer = bytearray(5)
    seen = []
    previous = signal.signal(signal.SIGUSR1, lambda *_: seen.append(time.monotonic()))
    me = threading.get_ident()
    timer = threading.Timer(0.05, lambda: signal.pthread_kill(me, signal.SIGUSR1))
    timer.start()
    try:
        ring.prepare(abi.READ, reader, address_of(buffer), 5, -1, tag=7)
        ring.enter(1)  # submits, and the wait after it is what the signal ends
        assert len(seen) == 1
        assert ring.reap() == []
        os.write(writer, b"hello")
        while not (found := ring.reap()):
            ring.enter(1)
    finally:
        signal.signal(signal.SIGUSR1, previous)
        timer.join()
    assert found == [(7, 5, 0)]
    assert buffer == b"hello"


def test_a_wait_has_an_end(ring_of, pipe):
    """A wait with a timeout says that the time has passed."""
    ring = ring_of()
    assert ring.enter(1, 0.02) is False
    buffer = bytearray(1)
    ring.prepare(abi.READ, pipe[0], address_of(buffer), 1, -1, tag=1)
    ring.enter(1, 0.02)
    assert ring.unanswered == 1
    assert ring.enter(1, 0.02) is False


def test_close_ends_what_is_under_way(ring_of, pipe):
    """An operation that nobody waited for is cancelled by close: it takes no byte any more and writes into no memory."""
    ring, (reader, writer) = ring_of(), pipe
    buffer = bytearray(4)
    ring.prepare(abi.READ, reader, address_of(buffer), 4, -1, tag=1)
    ring.enter(0)
    ring.close()
    assert ring.unanswered == 0
    ring.close()
    os.write(writer, b"late")
    assert os.read(reader, 4) == b"late"
    assert buffer == bytes(4)


def test_the_kernel_says_which_operations_it_has(ring_of):
    """The operations that zcload has a number for are among those that the kernel lists, NOP first of all."""
    ring = ring_of()
    assert abi.NOP in ring.supported()
    assert abi.READ in ring.supported()
    assert 255 not in ring.supported()


def test_provided_buffers_are_taken_in_order(ring_of, pair):
    """A bundle sends the provided buffers in order, over the end of their ring too, and `reset` takes back what was not used."""
    ring, (sender, receiver) = ring_of(), pair()
    memory = anonymous(4096)
    memory[:12] = b"abcdefghijkl"
    address, buffers = address_of(memory), provided(ring, 4)
    for round_ in range(3):  # 9 buffers in a ring of 4
        for number in range(3):
            buffers.provide(address + 4 * number, 4, number)
        buffers.publish()
        assert bundle(ring, sender.fileno(), buffers.group, round_) == 12
        assert drained(receiver, 12) == b"abcdefghijkl"
    buffers.provide(address, 4, 0)
    buffers.publish()
    buffers.reset()
    assert bundle(ring, sender.fileno(), buffers.group, 3) == -errno.ENOBUFS
    buffers.provide(address + 8, 4, 0)
    buffers.publish()
    assert bundle(ring, sender.fileno(), buffers.group, 4) == 4
    assert drained(receiver, 4) == b"ijkl"
    assert (ring.unanswered, ring._multishot) == (0, set())  # a long run would else collect the tags of all its sends
    ring.close()
    buffers.close()


def provided(ring, entries):
    """Return a ring of provided buffers, or skip where the kernel is too old for bundles of them."""
    if older_than(6, 10):
        pytest.skip(f"Linux {RELEASE} sends no bundles of provided buffers; remedy: use Linux 6.10 or newer")
    return BufferRing(ring, entries)


def bundle(ring, fd, group, tag):
    """Send what is provided as a bundle, and return the result of all its completions."""
    flags = {"entry_flags": abi.IOSQE_BUFFER_SELECT, "priority": abi.RECVSEND_BUNDLE, "buffer": group, "multishot": True}
    ring.prepare(abi.SEND, fd, 0, 0, tag=tag, op_flags=socket.MSG_WAITALL, **flags)
    sent = 0
    while ring.unanswered:
        ring.enter(1)
        for _, result, _ in ring.reap():
            sent += result if not sent or result > 0 else 0
    return sent


def test_an_operation_that_goes_on_is_answered_at_its_end(ring_of, pair):
    """A multishot receive counts as one operation until the completion without F_MORE, and `close` cancels one that is armed."""
    ring, (sender, receiver) = ring_of(), pair()
    memory = anonymous(8192)
    buffers = provided(ring, 2)
    for number in range(2):
        buffers.provide(address_of(memory) + 4096 * number, 4096, number)
    buffers.publish()
    for tag in (1, 2):
        flags = {"entry_flags": abi.IOSQE_BUFFER_SELECT, "priority": abi.RECV_MULTISHOT, "buffer": buffers.group, "multishot": True}
        ring.prepare(abi.RECV, receiver.fileno(), 0, 0, tag=tag, **flags)
    sender.send(b"x" * 100)
    ring.enter(1)
    assert [(result, bool(flags & abi.CQE_F_MORE)) for _, result, flags in ring.reap()] == [(100, True)]
    assert ring.unanswered == 2
    ring.close()
    assert ring.unanswered == 0
    buffers.close()


def test_the_layouts_are_those_of_the_kernels_header(tmp_path):
    """Provided buffers have the offsets, and operations and flags the numbers, of linux/io_uring.h."""
    ours = [abi.BUF.size, abi.BUF_BYTES, abi.BUF_TAIL, abi.BUF_REG.size, abi.REGISTER_PBUF_RING, abi.UNREGISTER_PBUF_RING]
    ours += [abi.RECV, abi.RECV_MULTISHOT, abi.RECVSEND_FIXED_BUF, abi.IOSQE_BUFFER_SELECT, abi.CQE_F_BUFFER, abi.CQE_BUFFER_SHIFT]
    assert ours == [14, 16, 14, 40, 22, 23, 27, 2, 4, 32, 1, 16]
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: apt-get install gcc, to hold the layout against this machine's linux/io_uring.h")
    theirs = [
        "offsetof(struct io_uring_buf, bid) + sizeof(__u16)", "sizeof(struct io_uring_buf)", "offsetof(struct io_uring_buf_ring, tail)",
        "sizeof(struct io_uring_buf_reg)", "IORING_REGISTER_PBUF_RING", "IORING_UNREGISTER_PBUF_RING", "IORING_OP_RECV",
        "IORING_RECV_MULTISHOT", "IORING_RECVSEND_FIXED_BUF", "IOSQE_BUFFER_SELECT", "IORING_CQE_F_BUFFER", "IORING_CQE_BUFFER_SHIFT",
    ]  # fmt: skip
    source = tmp_path / "layout.c"
    numbers = ", ".join(f"(int)({each})" for each in theirs)
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/io_uring.h>\n"
        f'int main(void) {{ int all[] = {{{numbers}}}; for (int i = 0; i < {len(theirs)}; i++) printf("%d ", all[i]); return 0; }}\n'
    )
    built = subprocess.run([compiler, "-o", tmp_path / "layout", source], capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"linux/io_uring.h of this machine is too old: {built.stderr.splitlines()[0]} (apt-get upgrade linux-libc-dev)")
    told = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True).stdout
    assert [int(number) for number in told.split()] == ours


# No io_uring.


@pytest.mark.parametrize(
    ("number", "switch", "reason", "remedy"),
    [
        (errno.ENOSYS, None, "no io_uring", "CONFIG_IO_URING"),
        (errno.EPERM, 2, "kernel.io_uring_disabled = 2", "sysctl -w kernel.io_uring_disabled=0"),
        (errno.EPERM, 1, "for this user", "kernel.io_uring_group"),
        (errno.EPERM, 0, "seccomp", "seccomp profile"),
        (errno.EPERM, None, "seccomp", "seccomp profile"),
        (errno.EACCES, 0, "security module", "seccomp profile"),
        (errno.ENOMEM, 0, "locked memory", "ulimit -l"),
        (errno.EMFILE, 0, "too many open files", "io_uring_setup(2)"),
    ],
)
def test_no_ring_has_a_reason_and_a_remedy(number, switch, reason, remedy, monkeypatch):
    """What io_uring_setup fails with is told in words, with what would change it."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(uring, "syscall", refuse)
    monkeypatch.setattr(uring, "_switch", lambda: switch)
    found = why_not((abi.READ,))
    assert found is not None
    assert reason in found[0]
    assert remedy in found[1]
    for name in RINGED:
        why = MECHANISMS[name].probe()
        assert why is not None
        assert (why.reason, why.remedy) == found


def test_a_missing_operation_is_named(ring_of, monkeypatch):
    """A kernel without an operation is told which one is missing and which Linux has it."""
    ring_of()
    monkeypatch.setattr(Ring, "supported", lambda self: frozenset({abi.NOP, abi.READ, abi.SEND}))
    assert why_not((abi.READ, abi.SEND)) is None
    assert why_not((abi.SPLICE, abi.SEND_ZC)) == (
        "io_uring of this kernel has no IORING_OP_SPLICE, IORING_OP_SEND_ZC",
        "Linux 6.2 or newer",
    )


def test_the_switch_of_this_host_is_a_number_or_absent():
    """kernel.io_uring_disabled is 0, 1 or 2 where there is one."""
    assert uring._switch() in (None, 0, 1, 2)


# The mechanisms.


@pytest.mark.parametrize("name", LINKED)
def test_a_file_that_gives_less_breaks_the_link_and_loses_nothing(name, pair, source_file):
    """Where the file ends inside a chunk the linked send is cancelled; what there is goes out by hand, then the file ended early."""
    file = source_file(100_003)
    sender, receiver = pair()
    mechanism = available(name)(sender, file.fd, 150_000, 150_000)
    assert mechanism.send(0, 150_000) == 100_003
    assert drained(receiver, 100_003) == file.data
    with pytest.raises(FileEndedEarly, match="ended at byte 100003, and its size was 150000"):
        mechanism.send(100_003, 49_997)
    mechanism.drain()
    assert mechanism.completions()["broken_links"] >= 1
    if isinstance(mechanism, Notified):
        assert mechanism.completions()["completions"] == 1  # the cancelled send's notification is none
    mechanism.close()


@pytest.mark.parametrize("name", RINGED)
def test_a_chunk_is_one_call(name, pair, source_file):
    """A chunk costs one io_uring_enter, and another one only where the notification of an earlier chunk ends its wait."""
    file = source_file(160_000)
    sender, receiver = pair()
    mechanism = available(name)(sender, file.fd, file.size, 16_000)
    for at in range(0, 160_000, 16_000):
        assert mechanism.send(at, 16_000) == 16_000
    calls = mechanism.counts[0]
    assert calls == 10 or (isinstance(mechanism, Notified) and 10 < calls <= 20)
    assert drained(receiver, 160_000) == file.data
    mechanism.drain()
    mechanism.close()


def test_a_pipe_smaller_than_the_chunk_moves_it_in_pieces(pair, source_file, monkeypatch):
    """uring_splice never asks for more than its pipe holds: nobody would drain it meanwhile."""
    from zcload.linux import descriptors

    monkeypatch.setattr("zcload.mechanisms.uring_splice.sized_pipe", lambda wanted: descriptors.sized_pipe(1))
    file = source_file(200_000)
    sender, receiver = pair()
    mechanism = available("uring_splice")(sender, file.fd, file.size, 200_000)
    assert mechanism.pipe_bytes == 1 << 16
    moved = mechanism.send(0, 200_000)
    assert moved == 1 << 16
    assert drained(receiver, moved) == file.data[:moved]
    assert mechanism.completions()["pipe_bytes"] == 1 << 16
    mechanism.close()


@pytest.mark.parametrize(
    ("name", "since", "refused"),
    [
        ("uring_send_bundle", "6.10", abi.REGISTER_PBUF_RING),
        ("uring_send_zc_mapped", "6.2", abi.REGISTER_BUFFERS),
    ],
)
def test_a_kernel_that_lacks_what_a_mechanism_registers_is_named(name, since, refused, monkeypatch):
    """Where the kernel does not know what a mechanism registers, the probe says so and names the Linux that does."""
    available(name)
    real = uring.syscall

    def older(number, a, b, *rest):
        if number == abi.REGISTER and b == refused:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(number, a, b, *rest)

    monkeypatch.setattr(uring, "syscall", older)
    monkeypatch.setattr("zcload.mechanisms.probe_transfer._results", {})
    why = MECHANISMS[name].probe()
    assert (why.reason, why.remedy) == ("this kernel's io_uring lacks a flag that zcload needs", f"use Linux {since} or newer")


def test_a_bundle_that_is_cut_short_loses_and_repeats_nothing(pair, source_file, monkeypatch):
    """Where a bundle ends early, here for lack of buffers, the rest is provided anew and arrives once."""
    file = source_file(1_000_003)
    sender, receiver = pair()
    mechanism = available("uring_send_bundle")(sender, file.fd, file.size, file.size)
    real, resets = mechanism._buffers.provide, []
    monkeypatch.setattr(mechanism._buffers, "provide", lambda address, size, number: number < 2 and real(address, size, number))
    monkeypatch.setattr(mechanism._buffers, "reset", lambda reset=mechanism._buffers.reset: (resets.append(1), reset()))
    got = bytearray()
    while len(got) < file.size:
        sent = mechanism.send(len(got), file.size - len(got))
        got += drained(receiver, sent)
    assert got == file.data
    assert mechanism.completions()["short"] == len(resets) > 3
    mechanism.close()


def test_a_registered_file_is_sent_from_several_buffers(pair, source_file, monkeypatch):
    """A file larger than one registered buffer is registered in parts, and no send crosses from one part into the next."""
    monkeypatch.setattr("zcload.mechanisms.uring_send_zc_mapped._LARGEST", 1 << 16)
    file = source_file(200_003)
    sender, receiver = pair()
    mechanism = available("uring_send_zc_mapped")(sender, file.fd, file.size, 50_000)
    got, sends = bytearray(), []
    while len(got) < file.size:
        sends.append(mechanism.send(len(got), min(50_000, file.size - len(got))))
        got += drained(receiver, sends[-1])
    assert got == file.data
    assert sends[:4] == [50_000, 15_536, 50_000, 15_536]
    assert mechanism.counts[1] == 1  # one fstat a pass
    assert mechanism.completions()["registered_bytes"] == file.size
    mechanism.drain()
    mechanism.forget()
    assert mechanism.completions()["registered_bytes"] == 0
    assert mechanism.send(0, 1000) == 1000
    assert drained(receiver, 1000) == file.data[:1000]
    mechanism.close()


def test_a_notification_of_nothing_is_an_error(pair, source_file):
    """A notification for a send that is not out is never shrugged off."""
    file = source_file(10_000)
    sender, _ = pair()
    mechanism = available("uring_send_zc")(sender, file.fd, file.size, 10_000)
    mechanism.send(0, 10_000)
    mechanism.drain()
    with pytest.raises(StudyError, match="send 1, which is not pending"):
        mechanism._take(1, 0, abi.CQE_F_NOTIF)
    mechanism.close()


def test_a_handler_that_raises_leaves_nothing_under_way(pair, source_file):
    """A signal handler that raises in the middle of a blocked chunk ends in close, and nothing is sent after it."""
    file = source_file(1 << 22)
    sender, receiver = pair(send_buffer=1 << 16, receive_buffer=1 << 16)
    mechanism = available("uring_read_send")(sender, file.fd, file.size, 1 << 22)

    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    previous = signal.signal(signal.SIGUSR1, stop)
    me = threading.get_ident()
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(me, signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(Stop):
            mechanism.send(0, 1 << 22)
    finally:
        signal.signal(signal.SIGUSR1, previous)
        timer.join()
    mechanism.close()
    sender.shutdown(socket.SHUT_WR)
    got = drained(receiver, 1 << 22)
    assert len(got) < 1 << 22
    assert file.data.startswith(got)


def test_all_of_a_ring_is_given_back(ring_of, leaks):
    """After close a ring has neither a descriptor nor a mapping left."""
    ring_of().close()

    def mappings():
        with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
            return sum("io_uring" in line for line in maps)

    before = leaks()
    without = mappings()
    ring = ring_of()
    memory = anonymous(4096)
    ring.register_buffers((address_of(memory), 4096))
    assert mappings() == without + 2
    ring.close()
    memory.close()
    assert mappings() == without
    assert leaks() == before
