"""The contracts of mechanisms and sinks, held over every pair that is registered: a new one is tested by being registered."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from support.contenders import PAYLOAD, SMALLEST_BUFFER, WITH_OPTIONS, WITH_SINKS, available, connected, opened, receiving

from zcload.linux.memory import PAGE
from zcload.mechanisms import MECHANISMS, FileEndedEarly, Mechanism, Unavailable
from zcload.mechanisms.sendfile import Sendfile
from zcload.sinks import SINKS, Sink
from zcload.sinks.recv import Recv

PRIME = 65_537  # just above a chunk, a pipe and sixteen pages
SEVERAL_BUFFERS = 3_000_017  # prime, and more than the sockets hold
# Every size in chunks of every size. With every pair each chunk and each size once; all nine with one sink for each mechanism, and with
# one mechanism for each sink; the rest nightly.
CHUNKS_AND_SIZES = [
    (chunk, size, (i + j) % 3 == 1) for i, chunk in enumerate((4095, 65_536, 400_000)) for j, size in enumerate((1, PRIME, SEVERAL_BUFFERS))
]


def delivery(case, chunk, size, always):
    """Return a pair of WITH_SINKS with a chunk and a size as parameters."""
    name, _, sink = case.values
    mark = pytest.mark.slow if sink == "recv" or name == "read_send" else pytest.mark.nightly
    return pytest.param(*case.values, chunk, size, id=f"{case.id}-{chunk}-{size}", marks=[*case.marks, *([] if always else [mark])])


DELIVERIES = [delivery(case, *more) for case in WITH_SINKS for more in CHUNKS_AND_SIZES]


pytestmark = pytest.mark.usefixtures("leaks")


def send_pass(mechanism, size):
    """Send one pass as the senders' loop does, and return what each call accepted."""
    accepted, offset = [], 0
    while offset < size:
        count = min(mechanism.chunk, size - offset)
        moved = mechanism.send(offset, count)
        assert 1 <= moved <= count
        accepted.append(moved)
        offset += moved
    mechanism.drain()
    return accepted


def send_passes(mechanism, size, passes):
    """Send several passes."""
    for _ in range(passes):
        send_pass(mechanism, size)


@contextmanager
def signal_storm(every_s=0.0005):
    """Interrupt the main thread all the time with a signal whose handler only counts; yields the count as a list's length."""
    seen, over, target = [], threading.Event(), threading.main_thread().ident
    # SIGALRM is the test runner's own clock, hence another signal and a thread that sends it.
    previous = signal.signal(signal.SIGUSR1, lambda signum, frame: seen.append(signum))

    def storm():
        while not over.wait(every_s):
            signal.pthread_kill(target, signal.SIGUSR1)

    thread = threading.Thread(target=storm, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGUSR1, previous)


@pytest.mark.parametrize(("name", "options", "sink", "chunk", "size"), DELIVERIES)
def test_delivers_the_file_unchanged(name, options, sink, chunk, size, pair, source_file):
    """The receiver gets exactly the file's bytes, in order, twice for two passes, whatever the chunk and the size."""
    file = source_file(size)
    sender, receiver = connected(name, pair, send_buffer=65_536)
    with receiving(sink, sender, receiver) as thread, opened(name, sender, file, chunk, options) as mechanism:
        for _ in range(2):
            assert sum(send_pass(mechanism, size)) == size
    assert thread.holds(2 * file.data)


@pytest.mark.parametrize("receive_chunk", [1, 4095, 1 << 20])
@pytest.mark.parametrize("sink", SINKS)
def test_a_sink_takes_everything_whatever_its_chunk(sink, receive_chunk, pair, source_file):
    """A sink returns at most its chunk, and every byte once."""
    file = source_file(4099)
    sender, receiver = pair()
    with receiving(sink, sender, receiver, chunk=receive_chunk) as thread:
        sender.sendall(file.data)
    assert thread.holds(file.data)


@pytest.mark.parametrize(("name", "options", "sink"), WITH_SINKS)
def test_short_sends_lose_and_repeat_nothing(name, options, sink, pair, source_file):
    """With the smallest buffers and signals all the time the file still arrives unchanged."""
    file = source_file(150_001)
    # Below the config's least buffer a zero-copy send of whole pages no longer fits the receiver's queue and crawls (12 KB in 9 s).
    tells = MECHANISMS[name].completions is not Mechanism.completions
    sender, receiver = connected(name, pair, send_buffer=1, receive_buffer=4096 if tells else 1)
    assert sender.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == SMALLEST_BUFFER
    with receiving(sink, sender, receiver, chunk=5000, pause=0.0002) as thread, opened(name, sender, file, 65_536, options) as mechanism:
        with signal_storm() as signals:
            send_pass(mechanism, file.size)
        assert signals
    assert thread.holds(file.data)


@pytest.mark.parametrize("name", PAYLOAD)
def test_a_slow_receiver_is_waited_for(name, pair, source_file):
    """A sender that outruns its receiver blocks in its call and then goes on: nothing is dropped and nothing polled."""
    file = source_file(SEVERAL_BUFFERS)
    sender, receiver = connected(name, pair, send_buffer=65_536, receive_buffer=65_536)
    with receiving("recv", sender, receiver, chunk=200_000, pause=0.002) as thread, opened(name, sender, file, 400_000) as mechanism:
        calls = len(send_pass(mechanism, file.size))
    assert thread.holds(file.data)
    assert calls <= file.size // 4096


@pytest.mark.parametrize("when", ["before", "while blocked"])
@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_a_peer_that_goes_away_raises(name, options, when, pair, source_file):
    """A closed connection is EPIPE or ECONNRESET for the sender: neither silence nor SIGPIPE."""
    file = source_file(1 << 20)
    sender, receiver = connected(name, pair, send_buffer=65_536, receive_buffer=65_536)
    leave = threading.Timer(0.05, receiver.close)  # with bytes unread, which is a reset
    if when == "before":
        receiver.close()
    else:
        leave.start()
    try:
        with (
            opened(name, sender, file, 65_536, options) as mechanism,
            pytest.raises(OSError, match=r"Broken pipe|Connection reset") as caught,
        ):
            send_passes(mechanism, file.size, 20)
        assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)
    finally:
        leave.cancel()
        if leave.ident:
            leave.join()


@pytest.mark.parametrize("left", [0, 65_636])
@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_a_truncated_file_is_an_error(name, options, left, pair, source_file, in_child):
    """A file that is cut short while it is sent gives FileEndedEarly or an error of the call, and never SIGBUS."""
    file = source_file(1 << 20)
    sender, receiver = connected(name, pair, send_buffer=65_536)

    def send_on():
        with receiving("recv", sender, receiver), opened(name, sender, file, 65_536, options) as mechanism:
            mechanism.send(0, mechanism.chunk)
            os.ftruncate(file.fd, left)
            try:
                at = mechanism.chunk
                while at < file.size:  # what is left of the pass; a mechanism that holds the file already gets through
                    at += mechanism.send(at, min(mechanism.chunk, file.size - at))
                send_pass(mechanism, file.size)
            except FileEndedEarly as error:
                return str(error)
            except OSError as error:
                return error.errno
            return "no error"

    outcome = in_child(send_on)
    assert outcome in (errno.EFAULT, errno.ENODATA) or f"and its size was {file.size}" in str(outcome)


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_a_file_truncated_during_the_call_is_no_sigbus(name, options, pair, source_file, in_child):
    """A file that another thread cuts short while the sender is blocked in its call ends in an error, not in a dead process."""
    file = source_file(4 << 20)
    sender, receiver = connected(name, pair, send_buffer=65_536, receive_buffer=65_536)

    def send_on():
        def cut():
            time.sleep(0.02)
            os.ftruncate(file.fd, 4096)
            while receiver.recv(1 << 20):
                pass

        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            with opened(name, sender, file, file.size, options) as mechanism:
                for _ in range(2):
                    send_pass(mechanism, file.size)
        except (FileEndedEarly, OSError) as error:
            return getattr(error, "errno", None) or "ended early"
        finally:
            sender.shutdown(socket.SHUT_WR)
            cutter.join()
        return "no error"

    assert in_child(send_on) in (errno.EFAULT, errno.ENODATA, "ended early")


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_drain_and_close_twice_are_harmless(name, options, pair, source_file):
    """A mechanism can be drained and closed at any time and any number of times."""
    file = source_file(PRIME)
    sender, receiver = connected(name, pair)
    with receiving("recv", sender, receiver), opened(name, sender, file, 4096, options) as mechanism:
        mechanism.drain()
        mechanism.send(0, mechanism.chunk)
        for _ in range(2):
            mechanism.drain()
        for _ in range(2):
            mechanism.close()
    with opened(name, sender, file, 4096, options) as unused:
        unused.close()


@pytest.mark.parametrize("sink", SINKS)
def test_a_sink_closes_twice(sink):
    """A sink can be closed any number of times."""
    made = available(SINKS[sink])(4096)
    made.close()
    made.close()


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_nothing_stays_open(name, options, pair, source_file, leaks):
    """A mechanism gives back every descriptor, also after an error and in the middle of a pass."""
    file = source_file(PRIME)
    sender, receiver = connected(name, pair)
    before = leaks()
    with opened(name, sender, file, 4096, options) as mechanism:
        mechanism.send(0, mechanism.chunk)
    assert leaks() == before
    receiver.close()
    now = leaks()
    with opened(name, sender, file, 4096, options) as mechanism, pytest.raises(OSError, match=r"Broken pipe|Connection reset"):
        send_passes(mechanism, file.size, 100)
    assert leaks() == now


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_counts_every_kind_of_call(name, options, pair, source_file):
    """A mechanism has a count for every kind of call it declares, and none of them stays 0 over its life."""
    file = source_file(PRIME)
    sender, receiver = connected(name, pair)
    with receiving("recv", sender, receiver), opened(name, sender, file, 4096, options) as mechanism:
        assert mechanism.counts == [0] * len(mechanism.calls)
        sends = len(send_pass(mechanism, file.size))
        mechanism.close()
        assert len(mechanism.counts) == len(mechanism.calls)
        assert all(mechanism.counts)
        assert max(mechanism.counts, default=sends) >= sends
        assert bool(mechanism.calls) == mechanism.calls_are_counted


@pytest.mark.parametrize("sink", SINKS)
def test_a_sink_counts_every_receive(sink, pair):
    """A sink's counts grow with what it receives, the call that finds the end included."""
    sender, receiver = pair()
    made = available(SINKS[sink])(4096)
    assert made.counts == [0] * len(made.calls)
    made.attach(receiver)
    sender.sendall(b"abc")
    sender.shutdown(socket.SHUT_WR)
    assert [made.receive(receiver), made.receive(receiver)] == [3, 0]
    assert len(made.counts) == len(made.calls)
    assert sum(made.counts) >= (1 if made.takes_ahead else 2)  # one call may bring both
    made.close()


@pytest.mark.parametrize(("name", "cls"), [*MECHANISMS.items(), *SINKS.items()])
def test_declares_what_the_others_must_know(name, cls):
    """Each mechanism and sink has the name it is registered under, a summary of one line, and says whether this host can run it."""
    assert cls.name == name
    assert cls.summary
    assert "\n" not in cls.summary
    assert issubclass(cls, Mechanism if name in MECHANISMS else Sink)
    why = cls.probe()
    assert why is None or (isinstance(why, Unavailable) and why.reason)
    assert all(kind in (bool, int, str) or isinstance(kind, range | tuple) for kind in cls.options.values())


@pytest.mark.parametrize("name", SINKS)
def test_a_sink_writes_where_its_options_say(name):
    """The buffer of a sink begins at a page, or *buffer_offset* bytes into one where the sink takes that option."""
    cls = available(SINKS[name])
    for options in [{}] + [{"buffer_offset": 16}] * ("buffer_offset" in cls.options):
        sink = cls(5000, **options)
        try:
            assert sink.buffer_address is None or sink.buffer_address % PAGE == options.get("buffer_offset", 0)
            assert sink.buffer_address is not None or not options
        finally:
            sink.close()


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_a_buffer_lies_where_the_options_say(name, options, pair, source_file):
    """The buffer or kept mapping of a mechanism begins at a page, or *buffer_offset* bytes into one."""
    sender, _ = connected(name, pair)
    with opened(name, sender, source_file(PRIME), 5000, options) as mechanism:
        offset = options.get("buffer_offset", 0)
        assert mechanism.buffer_address % PAGE == offset if mechanism.buffer_address is not None else not offset


def test_a_sink_that_redefines_receive_is_received_through_it(pair):
    """A subclass that only redefines `receive` does not inherit the shortcut around it."""

    class Counting(Recv):
        def receive(self, sock):
            return 7

    assert Counting(100).receiver(pair()[1])() == 7
    assert not Counting.one_call


@pytest.mark.parametrize("name", [name for name, cls in MECHANISMS.items() if cls.one_call])
def test_a_mechanism_of_one_call_has_one_kind_that_the_loop_counts(name, pair, source_file):
    """What a mechanism of one call returns for the loop moves what `send` moves, counts nothing, and returns 0 past the end."""
    file = source_file(PRIME)
    sender, receiver = connected(name, pair)
    assert len(MECHANISMS[name].calls) == 1
    with receiving("recv", sender, receiver), opened(name, sender, file, 4096) as mechanism:
        assert mechanism.sender()(0, 4096) == mechanism.send(0, 4096) == 4096
        assert mechanism.sender()(file.size, 1) == 0
        assert mechanism.counts == [1]


def test_a_mechanism_that_redefines_send_is_run_through_it(pair, source_file):
    """A subclass that only redefines `send` does not inherit the shortcut around it, nor what the loop would count."""

    class Counting(Sendfile):
        one_call = True

        def send(self, offset, count):
            return 7

    file = source_file(PRIME)
    mechanism = Counting(pair()[0], file.fd, file.size, 4096)
    assert mechanism.sender()(0, 4096) == 7
    assert not Counting.one_call
    assert Sendfile.one_call


def test_a_mixin_that_redefines_send_or_receive_is_run_through():
    """A class that takes `send` or `receive` from a mixin does not inherit the shortcut around it; one that changes neither does."""

    class Mixin:
        def send(self, offset, count):
            return 7

        def receive(self, sock):
            return 7

    class Mixed(Mixin, Sendfile):
        pass

    class Alike(Sendfile):
        pass

    class MixedSink(Mixin, Recv):
        pass

    assert (Mixed.sender, Mixed.one_call) == (Mechanism.sender, False)
    assert (Alike.sender, Alike.one_call) == (Sendfile.sender, True)
    assert (MixedSink.receiver, MixedSink.one_call) == (Sink.receiver, False)


@pytest.mark.parametrize("name", PAYLOAD)
def test_completions_are_counters(name, pair, source_file):
    """What a mechanism tells of its completions is a dictionary of whole numbers, before and after it has sent."""
    file = source_file(PRIME)
    sender, receiver = connected(name, pair)
    with receiving("recv", sender, receiver), opened(name, sender, file, 65_536) as mechanism:
        before = mechanism.completions()
        send_pass(mechanism, file.size)
        after = mechanism.completions()
    assert all(type(value) is int for counters in (before, after) for value in counters.values())
    assert set(before) <= set(after)


@pytest.mark.parametrize("name", [name for name, cls in MECHANISMS.items() if not cls.moves_payload])
def test_what_moves_no_payload_moves_none(name, pair, source_file):
    """A mechanism that declares no payload accepts every byte, makes one call a chunk or none, and sends nothing."""
    file = source_file(PRIME)
    sender, receiver = connected(name, pair)
    with opened(name, sender, file, 4096) as mechanism:
        assert sum(send_pass(mechanism, file.size)) == file.size
        assert mechanism.counts in ([], [-(-file.size // 4096)])
        assert mechanism.completions() == {}
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(1)


def test_what_moves_nothing():
    """Two mechanisms declare that they move no payload, and every other one names one of them for what zcload itself costs in it."""
    bare = {name for name, cls in MECHANISMS.items() if not cls.moves_payload}
    assert bare == {"null", "uring_null"} == {cls.overhead for cls in MECHANISMS.values()}


@pytest.mark.parametrize(("keep", "maps", "unmaps"), [(False, 3, 3), (True, 1, 0)])
def test_mmap_send_maps_once_per_pass_or_once(keep, maps, unmaps, pair, source_file):
    """mmap_send maps and unmaps once per pass, or with keep_mapping once for good, until it is closed."""
    file = source_file(PRIME)
    sender, receiver = connected("mmap_send", pair)
    kinds = MECHANISMS["mmap_send"].calls
    with receiving("recv", sender, receiver) as thread, opened("mmap_send", sender, file, 4096, {"keep_mapping": keep}) as mechanism:
        for _ in range(3):
            send_pass(mechanism, file.size)
        made = dict(zip(kinds, mechanism.counts, strict=True))
        assert (made["mmap"], made["munmap"]) == (maps, unmaps)
        mechanism.close()
        assert mechanism.counts[kinds.index("munmap")] == maps
    assert thread.holds(3 * file.data)


def test_slurp_send_reads_once_per_pass(pair, source_file):
    """slurp_send sends what the file held when the pass began, and reads it anew for the next."""
    file = source_file(PRIME)
    sender, receiver = connected("slurp_send", pair)
    with receiving("recv", sender, receiver) as thread, opened("slurp_send", sender, file, 4096) as mechanism:
        count = mechanism.send(0, 10)
        os.pwrite(file.fd, b"changed", 0)
        while count < file.size:
            count += mechanism.send(count, min(4096, file.size - count))
        send_pass(mechanism, file.size)
        reads = mechanism.counts[mechanism.calls.index("read")]
    assert thread.holds(file.data + b"changed" + file.data[7:])
    assert reads == 4  # per pass one that gives the file and one that finds its end
    assert mechanism.whole_pass
    assert not mechanism.uses_chunk


def test_slurp_send_begins_a_pass_with_a_read(pair, source_file):
    """A pass that begins before the last one was finished, as after verification, reads the file anew."""
    file = source_file(PRIME)
    sender, receiver = connected("slurp_send", pair)
    with receiving("recv", sender, receiver) as thread, opened("slurp_send", sender, file, 4096) as mechanism:
        assert mechanism.send(0, 10) == 10
        os.pwrite(file.fd, b"changed", 0)
        assert mechanism.send(0, 10) == 10
    assert thread.holds(file.data[:10] + b"changed" + file.data[7:10])


def test_slurp_send_holds_one_file_at_most(pair, source_file):
    """slurp_send lets go of a pass's memory when the pass ends, and says beforehand that it needs the whole file."""
    file = source_file(PRIME)
    sender, receiver = connected("slurp_send", pair)
    with receiving("recv", sender, receiver), opened("slurp_send", sender, file, 4096) as mechanism:
        send_pass(mechanism, file.size)
        assert mechanism._view is None
    assert MECHANISMS["slurp_send"].private_bytes(1000, 10) == 1000


@pytest.mark.parametrize(
    ("name", "file_size", "chunk", "needed"), [("read_send", 1000, 10, 10), ("sendfile", 1000, 10, 0), ("null", 1000, 10, 0)]
)
def test_private_memory_is_declared(name, file_size, chunk, needed):
    """A mechanism says what private memory one sender needs: a buffer, or nothing."""
    assert MECHANISMS[name].private_bytes(file_size, chunk) == needed


@pytest.mark.parametrize("names", [MECHANISMS, SINKS])
def test_names_are_words_for_config_files(names):
    """Every registered name is a plain word that a config can hold without quotes."""
    assert all(name.isidentifier() and name == name.lower() for name in names)
