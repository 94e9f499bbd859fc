"""MSG_ZEROCOPY: what the error queue says, that every send is accounted for once, and what happens where nothing may be pinned."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import resource
import socket
import struct
import threading
import time

import pytest
from support.own_memory import status_bytes

from zcload.errors import StudyError
from zcload.linux import memory
from zcload.linux.errqueue import IP_RECVERR, IPV6_RECVERR, SOL_IP, SOL_IPV6, CompletionRange, Ledger, ledger_of, parse
from zcload.linux.memory import address_of, anonymous, slots
from zcload.mechanisms import MECHANISMS
from zcload.mechanisms.base import Mechanism, Unavailable
from zcload.mechanisms.probe_transfer import probe_transfer
from zcload.mechanisms.zerocopy_socket import REAP_EVERY

ZERO_COPY = ("msg_zerocopy", "msg_zerocopy_buffer", "uring_send_zc", "uring_send_zc_fixed")
FROM_BUFFERS = ("msg_zerocopy_buffer", "uring_send_zc_fixed")
NEWEST = 0xFFFFFFFF
CLONE_NEWNET = 0x40000000  # linux/sched.h

pytestmark = pytest.mark.usefixtures("leaks")


def message(first, last, *, number=0, origin=5, code=0, family=4):
    """Return the control message of a completion, as recvmsg(2) gives it."""
    level, kind, offender = (SOL_IP, IP_RECVERR, 16) if family == 4 else (SOL_IPV6, IPV6_RECVERR, 28)
    return level, kind, struct.pack("=IBBBBII", number, origin, 0, code, 0, first, last) + bytes(offender)


def connected(family=socket.AF_INET, send_buffer=None, receive_buffer=None):
    """Connect two TCP sockets; return (sender's end, receiver's end)."""
    with socket.socket(family) as listener:
        if receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        listener.listen(1)
        sender = socket.socket(family)
        if send_buffer:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        sender.connect(listener.getsockname())
        return sender, listener.accept()[0]


def available(name):
    """Return the mechanism's class, or skip with its own reason."""
    why = MECHANISMS[name].probe()
    if why is not None:
        pytest.skip(f"{name}: {why.reason} ({why.remedy})")
    return MECHANISMS[name]


def transfer(cls, sender, receiver, file, chunk, passes=1, stall_s=0.0, spoil=None):
    """Send *file* through a mechanism to a thread that sleeps *stall_s* first; return (what came is right, counters, counts by kind)."""
    digest = hashlib.sha256()

    def take():
        time.sleep(stall_s)
        while part := receiver.recv(100_000):
            digest.update(part)

    thread = threading.Thread(target=take)
    thread.start()
    mechanism = cls(sender, file.fd, file.size, chunk)
    try:
        if spoil:
            spoil(mechanism)
        for _ in range(passes):
            at = 0
            while at < file.size:
                at += mechanism.send(at, min(chunk, file.size - at))
        mechanism.drain()
        return_value = mechanism.completions(), dict(zip(mechanism.calls, mechanism.counts, strict=True))
    finally:
        mechanism.close()
        sender.shutdown(socket.SHUT_WR)
        thread.join(20)
    assert not thread.is_alive()
    return digest.digest() == hashlib.sha256(passes * file.data).digest(), *return_value


# What the error queue says.


@pytest.mark.parametrize(
    ("ancillary", "expected"),
    [
        ([], []),
        ([message(0, 0)], [CompletionRange(0, 0, False)]),  # one send
        ([message(3, 9)], [CompletionRange(3, 9, False)]),  # merged
        ([message(3, 9, code=1)], [CompletionRange(3, 9, True)]),  # copied after all
        ([message(0, 1, family=6)], [CompletionRange(0, 1, False)]),
        ([message(NEWEST, 2, code=1, family=6)], [CompletionRange(NEWEST, 2, True)]),  # over the wrap
        ([message(0, 1), message(5, 5, code=1)], [CompletionRange(0, 1, False), CompletionRange(5, 5, True)]),
    ],
)
def test_ranges_are_read_from_control_messages(ancillary, expected):
    """A control message of either family gives the range of ids and the copied flag."""
    assert parse(ancillary) == expected


@pytest.mark.parametrize(
    ("ancillary", "why"),
    [
        ([(socket.SOL_SOCKET, 29, bytes(16))], "nobody asked for it"),  # a timestamp
        ([message(0, 0, number=errno.ECONNREFUSED, origin=2)], "error 111 of origin 2"),  # an ICMP error
        ([message(0, 0, origin=4)], "origin 4"),  # a transmit timestamp
        ([(SOL_IP, IP_RECVERR, bytes(8))], "8 bytes"),
    ],
)
def test_anything_else_in_the_error_queue_is_an_error(ancillary, why):
    """A message that is no completion is never taken for one."""
    with pytest.raises(StudyError, match=why):
        parse(ancillary)


@pytest.mark.parametrize(
    ("first", "last", "sends"), [(0, 0, 1), (0, 1, 2), (7, 9, 3), (NEWEST, NEWEST, 1), (NEWEST, 0, 2), (NEWEST - 1, 3, 6)]
)
def test_ranges_include_both_ends_and_wrap(first, last, sends):
    """A range holds both its ends, over the wrap of 32 bits too."""
    assert CompletionRange(first, last, False).sends == sends


# The ledger.


def test_ids_wrap_after_32_bits():
    """The id after 2^32 - 1 is 0, and a range over the wrap completes what lies on both sides of it."""
    ledger = Ledger(first=NEWEST - 1)
    assert [ledger.hand(10) for _ in range(4)] == [NEWEST - 1, NEWEST, 0, 1]
    ledger.complete(CompletionRange(NEWEST, 0, True))
    assert list(ledger.pending) == [NEWEST - 1, 1]
    assert (ledger.completions, ledger.copied, ledger.pinned_bytes, ledger.pinned_bytes_max) == (2, 2, 20, 40)


def test_completions_may_come_out_of_order():
    """Ranges complete in any order, as after a retransmission, and the copied ones are counted apart."""
    ledger = Ledger()
    for _ in range(5):
        ledger.hand(1)
    for done in (CompletionRange(3, 4, True), CompletionRange(0, 1, False), CompletionRange(2, 2, False)):
        ledger.complete(done)
    assert not ledger.pending
    assert (ledger.completions, ledger.copied) == (5, 2)
    assert ledger.missing() == "nothing"


@pytest.mark.parametrize(
    ("done", "why"),
    [
        (CompletionRange(0, 0, False), "send 0 is not out"),  # a duplicate
        (CompletionRange(0, 1, False), "send 0 is not out"),  # partly a duplicate
        (CompletionRange(3, 3, False), "send 3 is not out"),  # never made
        (CompletionRange(2, 3, False), "send 3 is not out"),
        (CompletionRange(2, 1, False), "only 2 are out"),  # nearly 2^32 sends
    ],
)
def test_a_completion_that_does_not_add_up_is_an_error(done, why):
    """A send that is completed twice, or was never made, is an error and not a shrug."""
    ledger = Ledger()
    for _ in range(3):
        ledger.hand(1)
    ledger.complete(CompletionRange(0, 0, False))
    with pytest.raises(StudyError, match=why):
        ledger.complete(done)


def test_ids_go_on_with_the_socket(source_file):
    """A second mechanism on the same socket continues the socket's ids, and its counters begin at 0."""
    file = source_file(30_000)
    sender, receiver = connected()
    with sender, receiver:
        for _ in range(2):
            mechanism = available("msg_zerocopy")(sender, file.fd, file.size, 10_000)
            for at in range(0, 30_000, 10_000):
                assert mechanism.send(at, 10_000) == 10_000
            mechanism.drain()
            assert mechanism.completions()["completions"] == 3
            mechanism.close()
        assert ledger_of(sender).hand(1) == 6


# What the kernel does.


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("name", ZERO_COPY)
def test_loopback_copies_all(name, family, source_file):
    """On loopback every completion says that the kernel copied (msg_zerocopy.rst, "Loopback"), one completion for each send."""
    if family == socket.AF_INET6 and not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this kernel has no IPv6 (boot without ipv6.disable=1)")
    file = source_file(1_000_003)
    sender, receiver = connected(family)
    with sender, receiver:
        right, counters, _ = transfer(available(name), sender, receiver, file, 50_000)
    assert right
    assert counters["completions"] == counters["copied"] >= 21
    assert counters["fallback_bytes"] == 0
    assert 0 < counters["pinned_bytes_max"] <= file.size


def test_the_error_queue_is_read_every_16_sends(source_file):
    """Sixteen sends go without a look at the error queue, then it is read without waiting; drain waits for what is left."""
    file = source_file(17_000)
    sender, receiver = connected()
    with sender, receiver:
        mechanism = available("msg_zerocopy")(sender, file.fd, file.size, 1000)
        reads = []
        for number in range(REAP_EVERY + 1):
            mechanism.send(1000 * number, 1000)
            reads.append(mechanism.counts[1])
        assert reads[: REAP_EVERY - 1] == [0] * (REAP_EVERY - 1)
        assert reads[-1] >= 1
        mechanism.drain()
        mechanism.close()
        assert mechanism.completions()["completions"] == REAP_EVERY + 1
        assert mechanism.counts[2] >= 1  # poll


@pytest.mark.parametrize("name", ZERO_COPY)
def test_a_receiver_that_takes_nothing_is_named_by_drain(name, source_file):
    """Sends that stay out because the receiver takes nothing end drain with what is out and for how long."""
    file = source_file(1 << 20)
    sender, receiver = connected(send_buffer=4 << 20, receive_buffer=4096)
    with sender, receiver:
        mechanism = available(name)(sender, file.fd, file.size, 1 << 18)
        mechanism.send(0, 1 << 18)
        with pytest.raises(StudyError, match=r"still holds .*0\.2 s after the last"):
            mechanism.drain(timeout_s=0.2)
        mechanism.close()


def test_a_lost_completion_is_found(source_file):
    """A gap, an id that the kernel never completes, ends drain with an error that names it."""
    file = source_file(30_000)
    sender, receiver = connected()
    with sender, receiver:
        mechanism = available("msg_zerocopy")(sender, file.fd, file.size, 10_000)
        ledger_of(sender).hand(99)  # a send that the kernel knows nothing of: its ids are now one behind ours
        mechanism.send(0, 10_000)
        with pytest.raises(StudyError, match="the oldest number 1"):
            mechanism.drain(timeout_s=0.2)
        mechanism.close()


# Buffers.


class NeverOut(list):
    """The ids of a ring's slots for a mechanism that does not look at them."""

    def __getitem__(self, index):
        return -1


@pytest.mark.parametrize("careful", [True, False])
@pytest.mark.parametrize("name", FROM_BUFFERS)
def test_a_buffer_is_not_used_again_before_its_time(name, careful, source_file, monkeypatch):
    """A ring that wraps many times while its receiver stalls delivers the file; without the wait for completions it does not."""
    monkeypatch.setattr(memory, "RING_BYTES", 1 << 17)
    file = source_file(2_000_003)
    sender, receiver = connected(send_buffer=1 << 20, receive_buffer=1 << 16)

    def forget(mechanism):
        mechanism._sends = NeverOut(mechanism._sends)

    with sender, receiver:
        right, counters, _ = transfer(available(name), sender, receiver, file, 1 << 15, stall_s=0.1, spoil=None if careful else forget)
    assert right == careful
    assert counters["slots"] == 4
    assert (counters["waits"] > 0) == careful
    if careful:
        assert counters["pinned_bytes_max"] <= 1 << 17


@pytest.mark.parametrize(
    ("size", "chunk", "most", "expected"),
    [
        (1 << 30, 1 << 18, None, (1 << 18, 16)),
        (1 << 30, 1 << 22, None, (1 << 22, 2)),  # at least two
        (1 << 30, 4095, None, (4096, 1024)),  # whole pages
        (1, 1 << 30, None, (4096, 1024)),  # a small file needs no large slot
        (1 << 40, 1 << 31, 1 << 29, (1 << 29, 2)),
    ],
)
def test_rings_of_buffers(size, chunk, most, expected):
    """A ring has slots of whole pages for a chunk, 4 MiB of them and at least two."""
    assert slots(size, chunk, most) == expected


def test_private_memory_is_the_ring():
    """Mechanisms with buffers declare their ring, those with a mapping nothing."""
    assert {name: MECHANISMS[name].private_bytes(1 << 30, 1 << 18) for name in ZERO_COPY} == {
        "msg_zerocopy": 0,
        "msg_zerocopy_buffer": 4 << 20,
        "uring_send_zc": 0,
        "uring_send_zc_fixed": 4 << 20,
    }


def test_the_address_of_read_only_memory(source_file):
    """The address of a read-only mapping is that of its first byte, and asking for it does not keep the mapping from being closed."""
    file = source_file(5000)
    mapping = mmap.mmap(file.fd, file.size, prot=mmap.PROT_READ)
    assert ctypes.string_at(address_of(mapping), 5000) == file.data
    mapping.close()
    with pytest.raises(TypeError):
        address_of(7)
    with pytest.raises(BufferError):
        address_of(memoryview(b"abcd")[::2])
    with anonymous(8192) as pages:
        assert address_of(pages) % 4096 == 0


# Nothing may be pinned.


def loopback_up():
    """Bring up lo in a network namespace of one's own (netdevice(7): SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack_from("h", fcntl.ioctl(sock, 0x8913, request), 16)[0]
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))


def with_optmem(limit, name, file, chunk):
    """Transfer *file* in a network namespace with net.core.optmem_max at *limit*; None where there can be none."""
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            return None
        loopback_up()
        with open("/proc/sys/net/core/optmem_max", "w", encoding="ascii") as setting:
            setting.write(str(limit))
    except OSError:
        return None
    sender, receiver = connected()
    with sender, receiver:
        return transfer(MECHANISMS[name], sender, receiver, file, chunk)


@pytest.mark.parametrize("name", ["msg_zerocopy", "msg_zerocopy_buffer"])
def test_without_option_memory_the_bytes_go_as_copies(name, source_file, in_child):
    """Where net.core.optmem_max has no room, every send fails with ENOBUFS twice, goes as a plain one, and the file arrives."""
    if os.geteuid():
        pytest.skip("a network namespace needs root (run the tests as root)")
    available(name)
    file = source_file(1_000_003)
    outcome = in_child(lambda: with_optmem(1, name, file, 50_000))
    if outcome is None:
        pytest.skip("net.core.optmem_max cannot be set in a network namespace (Linux 6.8 or newer, CAP_SYS_ADMIN)")
    right, counters, counts = outcome
    assert right
    assert counters["fallback_sends"] == 21
    assert counters["fallback_bytes"] == file.size
    assert counters["enobufs"] == 42
    assert counters["completions"] == 0
    assert counts["send"] == 63


def test_with_little_option_memory_some_go_as_copies(source_file, in_child):
    """Where option memory holds a few sends, what does not fit is counted as copied, what fits as completed, and the file arrives."""
    if os.geteuid():
        pytest.skip("a network namespace needs root (run the tests as root)")
    available("msg_zerocopy")
    file = source_file(3_000_017)
    outcome = in_child(lambda: with_optmem(1400, "msg_zerocopy", file, 600_000))
    if outcome is None:
        pytest.skip("net.core.optmem_max cannot be set in a network namespace (Linux 6.8 or newer, CAP_SYS_ADMIN)")
    right, counters, _ = outcome
    assert right
    assert counters["completions"] + counters["fallback_sends"] >= 6
    assert counters["completions"] > 0


def as_nobody(run, limit=256 << 10):
    """Give up root for good, lock at most *limit* bytes, then *run*."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    return run()


def without_rights(in_child, name, file, chunk):
    """Transfer *file* as a user who may lock 256 KiB."""
    if os.geteuid():
        pytest.skip("only root can become a user with no locked memory in use (run the tests as root)")
    available(name)

    def run():
        sender, receiver = connected()
        with sender, receiver:
            return transfer(MECHANISMS[name], sender, receiver, file, chunk)

    return in_child(lambda: as_nobody(run))


@pytest.mark.parametrize(
    ("name", "refused"), [("msg_zerocopy", "enobufs"), ("msg_zerocopy_buffer", "enobufs"), ("uring_send_zc", "enomem")]
)
def test_beyond_the_limit_of_locked_memory_bytes_go_as_copies(name, refused, source_file, in_child):
    """A chunk larger than RLIMIT_MEMLOCK cannot be pinned: it is refused twice, goes as a copy, is counted, and the file arrives."""
    file = source_file(3_000_017)
    right, counters, _ = without_rights(in_child, name, file, 400_000)
    assert right
    assert counters["fallback_bytes"] >= 2_800_000  # the last chunk is small enough to be pinned
    assert counters[refused] == 2 * counters["fallback_sends"]


def test_registered_buffers_shrink_to_the_limit_of_locked_memory(source_file, in_child):
    """The ring of registered buffers is halved until it may be pinned, and the file arrives through what is left of it."""
    file = source_file(3_000_017)
    right, counters, _ = without_rights(in_child, "uring_send_zc_fixed", file, 1 << 16)
    assert right
    assert 2 <= counters["slots"] <= 4
    assert counters["fallback_bytes"] == 0


def test_registered_buffers_that_cannot_be_pinned_are_an_error(source_file, in_child):
    """Two buffers that exceed RLIMIT_MEMLOCK are refused with the limit's name and the remedy, and leave nothing open."""
    file = source_file(1 << 20)
    if os.geteuid():
        pytest.skip("only root can become a user with no locked memory in use (run the tests as root)")
    cls = available("uring_send_zc_fixed")

    def run():
        sender, receiver = connected()
        before = sorted(os.listdir("/proc/self/fd"))
        with sender, receiver:
            try:
                cls(sender, file.fd, file.size, 1 << 18)
            except StudyError as error:
                return str(error), sorted(os.listdir("/proc/self/fd")) == before
        return "no error", False

    said, clean = in_child(lambda: as_nobody(run))
    assert "RLIMIT_MEMLOCK" in said
    assert "ulimit -l" in said
    assert clean


@pytest.mark.parametrize("name", ZERO_COPY)
def test_pinned_memory_is_given_back(name, source_file):
    """After close neither locked nor pinned memory of the process is more than before."""
    cls = available(name)
    file = source_file(1 << 20)
    sender, receiver = connected()
    before = [status_bytes(field) for field in ("VmPin", "VmLck")]
    with sender, receiver:
        mechanism = cls(sender, file.fd, file.size, 1 << 16)
        mechanism.send(0, 1 << 16)
        during = status_bytes("VmPin")
        assert (during - before[0] == 4 << 20) == (name == "uring_send_zc_fixed")
        mechanism.drain()
        mechanism.close()
        deadline = time.monotonic() + 60
        while [status_bytes(field) for field in ("VmPin", "VmLck")] != before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [status_bytes(field) for field in ("VmPin", "VmLck")] == before


# Probing.


class Broken(Mechanism):
    """A mechanism that raises what it is told to, or moves other bytes."""

    raises: Exception | None = None

    def send(self, offset, count):
        if self.raises:
            raise self.raises
        return self.sock.send(bytes(count))


@pytest.mark.parametrize(
    ("raises", "reason", "remedy"),
    [
        (OSError(errno.EINVAL, "Invalid argument"), "too old", "newer"),
        (OSError(524, "Unknown error 524"), "too old", "newer"),  # SO_ZEROCOPY on a socket that has none
        (OSError(errno.ENOBUFS, "No buffer space available"), "no buffer space", "ulimit -l"),
        (StudyError("lost"), "lost", None),
        (None, "other bytes", "report this as a bug"),
    ],
)
def test_a_trial_that_fails_says_why(raises, reason, remedy):
    """A probe_transfer transfer that fails gives its reason and, where there is one, the remedy."""
    cls = type("Tried", (Broken,), {"raises": raises})
    why = probe_transfer(cls, Unavailable("too old", "newer"))
    assert why is not None
    assert reason in why.reason
    assert remedy is None or remedy in (why.remedy or "")


# A file that is changed while it is on its way.


@pytest.mark.parametrize(
    ("name", "reached"),
    [
        ("read_send", "none"),
        ("slurp_send", "none"),
        ("mmap_send", "none"),
        ("sendfile", "all"),
        ("splice", "all"),
        ("msg_zerocopy", "part"),  # what has reached the receiver's queue was copied there, the rest waits in the sender's
        ("msg_zerocopy_buffer", "none"),
        ("uring_read_send", "none"),
        ("uring_send_zc", "part"),
        ("uring_send_zc_fixed", "none"),
        ("uring_send_zc_mapped", "none"),
        ("uring_send_bundle", "none"),
        ("uring_splice", "all"),
        ("vmsplice", "all"),
        ("sendmsg_vectors", "none"),
        ("socket_sendfile", "all"),
        ("copyfileobj", "none"),
    ],
)
def test_whose_bytes_a_late_change_reaches(name, reached, source_file):
    """What is written to the file after a send arrives where the file's own pages were handed over, and nowhere else."""
    file = source_file(1 << 18)
    sender, receiver = connected(send_buffer=1 << 20, receive_buffer=1 << 16)
    with sender, receiver:
        mechanism = available(name)(sender, file.fd, file.size, file.size)
        at = 0
        while at < file.size:
            at += mechanism.send(at, file.size - at)
        os.pwrite(file.fd, bytes(byte ^ 255 for byte in file.data), 0)
        mechanism.close()
        got = bytearray()
        while len(got) < file.size and (part := receiver.recv(1 << 16)):
            got += part
    changed = sum(a != b for a, b in zip(got, file.data, strict=True))
    assert reached == ("none" if not changed else "all" if changed == file.size else "part")
