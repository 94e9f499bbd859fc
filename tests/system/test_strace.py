"""What the system calls really were: a lane under strace makes the calls that it declares and counts, and no others."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from support.paths import SUPPORT

import zcload
from zcload.mechanisms import MECHANISMS, RELAYS, mechanism_called
from zcload.sinks import SINKS

SCRIPT = SUPPORT / "lane_under_strace.py"
FILE_SIZE = (1 << 20) + 4096 + 5  # prime to chunk and page
CHUNK = 256 << 10
SMALL_PIPE = 64 << 10  # what pipe(2) gives

# One call has several names, by C library and machine; reports use the first.
SAME = {
    "sendto": "send",
    "recvfrom": "recv",
    "pwrite64": "pwrite",
    "newfstatat": "fstat",
    "pread64": "pread",
    "preadv2": "preadv",
    "pselect6": "select",
    "_newselect": "select",
    "epoll_pwait": "epoll_wait",
    "_llseek": "lseek",
}
MAKES_OBJECTS = {"copyfileobj", "sendmsg_vectors", "socket_sendfile"}  # so the interpreter may get memory for them at any time
MEMORY = {"brk", "mmap", "munmap", "mremap", "madvise"}

OF_A_RECORD = 5 + 1 + 16  # what a record of TLS 1.3 adds to its plain text: head, type, tag (RFC 8446, 5.2)

COUNTED = {name: cls for name, cls in MECHANISMS.items() if cls.calls_are_counted}
CASES = [(name, {}, "") for name in COUNTED]
CASES += [(name, {option: True}, "") for name, cls in COUNTED.items() for option in cls.options]
CASES += [("splice", {}, "refused")]
IDS = ["-".join([name, *options, *([f"pipe {pipe}"] if pipe else [])]) for name, options, pipe in CASES]
# Its scope brings the tests of a case together, so that processes that run tests side by side seldom trace one case each.
EVERY_CASE = pytest.mark.parametrize("case", range(len(CASES)), ids=IDS, scope="module")


@dataclass(frozen=True)
class Call:
    """One line of strace: the call's name as reports use it, its arguments as text, and what it returned."""

    name: str
    arguments: str
    result: int | None

    @property
    def fd(self):
        """Return (number, what it refers to) of the first argument."""
        number, what = re.match(r"(\d+)<([^>]*(?:->[^>]*)?)>", self.arguments).groups()
        return int(number), what

    def number(self, place):
        """Return the number that stands at a place among the arguments, counted from the end if negative."""
        return int(self.arguments.split(", ")[place], 0)


@dataclass(frozen=True)
class Run:
    """What a lane told of itself, and each process's calls."""

    told: dict
    calls: dict[int, list[Call]]
    verified: bool

    def windows(self, sender):
        """Return a sender's calls in each window, from being woken at the gate to waiting there again."""
        gate = self.told["gates"][sender]
        calls = self.calls[self.told["senders"][sender]]
        woken = [i for i, call in enumerate(calls) if call.name == "read" and call.fd[0] == gate]
        first = 1 if self.verified else 0
        return [calls[woken[i] + 1 : woken[i + 1]] for i in (first, first + 1)]

    def counted(self, role, worker, window):
        """Return what the board says of a worker's calls in a window, by kind."""
        before, after = self.told["records"][window][f"{role}s"][worker]
        return dict(zip(self.told[f"{role}_calls"], (b - a for a, b in zip(before[3:], after[3:], strict=True)), strict=True))


def parsed(text):
    """Return the calls of one process's log."""
    calls = []
    for line in text.splitlines():
        found = re.match(r"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)", line)
        if found:
            name, arguments, result = found.groups()
            calls.append(Call(SAME.get(name, name), arguments, None if result == "?" else int(result, 0)))
    return calls


@cache
def strace_refuses():
    """Return why processes cannot be traced here, or None."""
    if shutil.which("strace") is None:
        return "no strace here (install the package strace)"
    tried = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True)
    if tried.returncode:
        return (
            f"strace may not trace: {tried.stderr.strip()} (allow ptrace: kernel.yama.ptrace_scope = 0, or CAP_SYS_PTRACE in a container)"
        )
    return None


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """Return a function that runs a lane under strace, once for all tests that ask for the same."""
    runs = {}

    def run(case=None, *, name=None, options=None, senders=2, sink="recv", raw=(), rate_bps=None):
        mechanism, options, pipe = CASES[case] if name is None else (name, options or {}, "")
        key = (mechanism, tuple(options.items()), pipe, senders, sink, raw, rate_bps)
        why = mechanism_called(mechanism).probe() or mechanism_called(mechanism).probe_options(options)
        why = strace_refuses() or (f"{mechanism}: {why.reason} ({why.remedy})" if why else None)
        if why:
            pytest.skip(why)
        if key not in runs:
            folder = tmp_path_factory.mktemp("strace")
            verify = mechanism_called(mechanism).moves_payload
            asked = {"mechanism": mechanism, "options": options, "pipe": pipe, "senders": senders, "sink": sink, "rate_bps": rate_bps}
            asked |= {"size": FILE_SIZE, "chunk": CHUNK, "verify": verify}
            command = ["strace", "-ff", "-y", "-s", "16", "-e", "signal=none", "-o", str(folder / "log")]
            command += [part for call in raw for part in ("-e", f"raw={call}")]
            where = [str(Path(zcload.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
            path = {**os.environ, "PYTHONPATH": os.pathsep.join(where)}
            done = subprocess.run(
                [*command, sys.executable, SCRIPT, json.dumps(asked)], capture_output=True, text=True, env=path, timeout=300
            )
            assert done.returncode == 0, done.stderr
            logs = {int(log.suffix[1:]): parsed(log.read_text(errors="replace")) for log in folder.iterdir()}
            runs[key] = Run(json.loads(done.stdout), logs, verify)
        return runs[key]

    return run


def without_memory(calls, mechanism):
    """Leave the calls out that get memory, where the mechanism holds the whole file or makes Python objects for each chunk."""
    if mechanism not in MAKES_OBJECTS and MECHANISMS[mechanism].private_bytes(FILE_SIZE, CHUNK) < FILE_SIZE:
        return calls
    return [call for call in calls if call.name not in MEMORY]


# Senders.


@EVERY_CASE
def test_senders_make_only_their_mechanisms_calls(case, traced):
    """From the gate's opening to parking a sender makes the calls that its mechanism declares, and no other."""
    run, mechanism = traced(case), CASES[case][0]
    for sender in range(2):
        for calls in run.windows(sender):
            assert {call.name for call in without_memory(calls, mechanism)} - set(MECHANISMS[mechanism].calls) == set()


@EVERY_CASE
def test_the_boards_counts_are_what_was_called(case, traced):
    """Of each kind of call the board counts exactly as many as the sender made in the window."""
    run, mechanism = traced(case), CASES[case][0]
    for sender in range(2):
        for window, calls in enumerate(run.windows(sender)):
            made = Counter(call.name for call in without_memory(calls, mechanism))
            counted = run.counted("sender", sender, window)
            assert counted == {kind: made[kind] for kind in MECHANISMS[mechanism].calls}
            assert any(counted.values()) == bool(MECHANISMS[mechanism].calls)


@EVERY_CASE
def test_the_boards_bytes_are_what_the_calls_moved(case, traced):
    """The bytes that a sender claims for a window are those that its calls put into the socket."""
    run = traced(case)
    for sender in range(2):
        for window, calls in enumerate(run.windows(sender)):
            before, after = run.told["records"][window]["senders"][sender]
            if any(call.name == "io_uring_enter" for call in calls):
                # What an entry of a ring moved does not show in the system call: the receiver's count has to do.
                received = [b[1] - a[1] for a, b in run.told["records"][window]["receivers"]]
                sent = sum(b[1] - a[1] for a, b in run.told["records"][window]["senders"])
                assert sum(received) == sent
                assert (sent > 0) == MECHANISMS[CASES[case][0]].moves_payload
                continue
            moved = sum(call.result for call in calls if call.name in ("send", "sendmsg", "sendfile"))
            moved += sum(call.result for call in calls if call.name == "splice" and "socket:" in call.arguments)
            moved += sum(call.result - OF_A_RECORD for call in calls if call.name == "write")  # tls_send's: a record each
            assert after[1] - before[1] == moved


# What moves the payload of a mechanism that counts no calls, what brings it into user space, and what its event loop waits with.
UNCOUNTED = {
    ("asyncio_sendfile", "asyncio"): ({"sendfile"}, None, "epoll_wait"),
    ("asyncio_write", "asyncio"): ({"send", "sendmsg"}, "pread", "epoll_wait"),
    ("asyncio_write", "uvloop"): ({"write", "writev"}, "pread", "epoll_wait"),
}


def test_all_that_count_nothing_are_traced():
    """Every mechanism that counts no calls is traced, with each loop that it can run in."""
    assert {name for name, _ in UNCOUNTED} == set(MECHANISMS) - set(COUNTED)


@pytest.mark.parametrize(("name", "loop"), UNCOUNTED)
def test_what_cannot_be_counted_is_not(name, loop, traced):
    """A mechanism in an event loop reports no calls; the calls that move its payload are known, and the bytes are what they moved."""
    run = traced(name=name, options={"loop": loop})
    moves, reads, waits = UNCOUNTED[name, loop]
    waited = moved = 0
    for sender in range(2):
        for window, traced_calls in enumerate(run.windows(sender)):
            # An event loop wakes itself over descriptors of its own; what several writes left behind goes in one sendmsg or writev.
            calls = [call for call in traced_calls if call.name not in ("read", "write") or "socket:" in call.arguments.split(", ")[0]]
            made = Counter(call.name for call in calls)
            waited += made[waits]
            assert not {"sendfile", "send", "write", "sendmsg", "splice", "read", "pread", "preadv"} & set(made) - {*moves, reads}
            before, after = run.told["records"][window]["senders"][sender]
            assert len(after) == 3
            in_window = sum(max(call.result, 0) for call in calls if call.name in moves)
            assert after[1] - before[1] == in_window
            moved += in_window
    assert waited > 0
    assert moved > 0


@pytest.mark.parametrize("name", ["sendfile", "splice"])
def test_zero_copy_senders_read_no_payload(name, traced):
    """A sender that copies nothing makes its one kind of call only, and so none that brings the file's bytes into its memory."""
    run = traced(name=name)
    for sender in range(2):
        for calls in run.windows(sender):
            assert {call.name for call in calls} == {name}


def test_sendfile_moves_a_chunk_a_call(traced):
    """sendfile is asked for a chunk, or for what is left of the file, from the memory file to the socket."""
    for calls in traced(name="sendfile").windows(0):
        for call in calls:
            assert "socket:" in call.arguments.split(", ")[0]
            offset = int(re.search(r", \[(\d+)\]", call.arguments)[1])
            assert call.number(-1) == min(CHUNK, FILE_SIZE - offset)


def test_read_send_uses_one_buffer(traced):
    """read_send reads a chunk with preadv and sends it from the same address every time."""
    run = traced(name="read_send", raw=("sendto",))
    addresses = set()
    for sender in range(2):
        for calls in run.windows(sender):
            assert [call.name for call in calls] == ["preadv", "send"] * (len(calls) // 2)
            for read, sent in zip(calls[::2], calls[1::2], strict=True):
                assert read.result == sent.number(2)
                assert 0 < read.result <= CHUNK
                addresses.add((sender, sent.number(1)))
    assert len(addresses) == 2  # one buffer a sender


def test_read_send_sends_what_it_has_read(traced):
    """What read_send sends begins with the bytes that its read brought just before."""
    for calls in traced(name="read_send").windows(0):
        for read, sent in zip(calls[::2], calls[1::2], strict=True):
            shown = [re.search(r'"((?:[^"\\]|\\.)*)"', call.arguments)[1] for call in (read, sent)]
            assert shown[0] == shown[1]


@pytest.mark.parametrize("case", [i for i, (name, _, _) in enumerate(CASES) if name == "splice"], ids=["own pipe", "pipe refused"])
def test_splice_moves_the_pipes_size_and_never_more(case, traced):
    """Each fill of the pipe asks for a chunk or the pipe's size, whichever is less, and is emptied before the next."""
    run = traced(case)
    pipe = SMALL_PIPE if CASES[case][2] else CHUNK
    full = 0
    for calls in run.windows(0):
        inside = 0
        for call in calls:
            if "pipe:" in call.arguments.split(", ")[0]:
                assert call.number(-2) == inside
                inside -= call.result
            else:
                assert inside == 0
                offset = int(re.search(r", \[(\d+)\]", call.arguments)[1])
                assert call.number(-2) == min(pipe, FILE_SIZE - offset)
                inside += call.result
                full += call.result == pipe
        assert inside == 0
    assert full


def test_a_pipe_is_sized_to_the_chunk(traced):
    """The splice sender has its pipe made as large as the chunk before its first window."""
    run = traced(name="splice")
    for pid in run.told["senders"]:
        assert any(call.name == "fcntl" and "F_SETPIPE_SZ" in call.arguments and call.result == CHUNK for call in run.calls[pid])


def test_slurp_send_reads_the_whole_file_in_each_window(traced):
    """Every window of slurp_send has the reads of whole passes: as many bytes read as sent."""
    in_all = 0  # on a busy machine the sender may get no CPU time in one of the windows
    for calls in traced(name="slurp_send").windows(0):
        read = sum(call.result for call in calls if call.name == "read")
        assert read == sum(call.result for call in calls if call.name == "send")
        assert read % FILE_SIZE == 0
        in_all += read
    assert in_all


@pytest.mark.parametrize("name", ["read_send", "sendfile", "null"])
def test_a_paced_sender_makes_its_mechanisms_calls_and_sleeps(name, traced):
    """At a rate a window has the mechanism's calls and the pacing's sleep, counted apart from them, and no other call."""
    run = traced(name=name, rate_bps=1e9)
    slept = 0
    for sender in range(2):
        for window, calls in enumerate(run.windows(sender)):
            made = Counter(call.name for call in calls)
            assert made.pop("clock_nanosleep", 0) == run.told["records"][window]["pacing"]["sleeps"][sender]
            assert made == {kind: count for kind, count in run.counted("sender", sender, window).items() if count}
            slept += len(calls) - sum(made.values())
    assert slept


def test_an_unpaced_sender_never_sleeps(traced):
    """Without a rate no sender sleeps, and its windows' records say nothing of pacing."""
    run = traced(name="sendfile")
    assert not any(call.name == "clock_nanosleep" for sender in range(2) for calls in run.windows(sender) for call in calls)
    assert not any("pacing" in record for record in run.told["records"])


# Receivers.


@pytest.mark.parametrize("senders", [1, 2])
# zerocopy_receive makes several calls before it learns that the stream has ended: where its last receive begins does not show. What a ring
# received does not show either; the next test is for that.
@pytest.mark.parametrize("sink", [name for name, cls in SINKS.items() if name != "zerocopy_receive" and not cls.takes_ahead])
def test_receivers_make_only_their_sinks_calls(sink, senders, traced):
    """A receiver makes its sink's calls, and epoll_wait where it has several connections, and the board counts them exactly."""
    run = traced(name="sendfile", senders=senders, sink=sink)
    calls = run.calls[run.told["receivers"][0]]
    (ready,) = (i for i, call in enumerate(calls) if call.name == "send" and "ready" in call.arguments)
    kinds = {*SINKS[sink].calls, *(("epoll_wait",) if senders > 1 else ())}
    assert set(run.told["receiver_calls"]) == kinds
    end = next(i for i, call in enumerate(calls) if call.name in SINKS[sink].calls and call.result == 0)
    made = [call for call in calls[ready + 1 : end] if not call.name.startswith("epoll_c")]  # the waiting's own set-up
    while made[-1].name == "epoll_wait":
        made.pop()  # it woke to the end of the stream
    assert {call.name for call in made} == kinds
    final = run.told["records"][-1]["receivers"][0][1]
    assert dict(zip(run.told["receiver_calls"], final[3:], strict=True)) == Counter(call.name for call in made)


@pytest.mark.parametrize("senders", [1, 2])
@pytest.mark.parametrize("sink", [name for name, cls in SINKS.items() if cls.takes_ahead])
def test_a_receiver_with_a_ring_makes_no_call_but_entering_it(sink, senders, traced):
    """With any number of connections the receiver only enters its ring, less often than it receives, and the board counts it exactly."""
    run = traced(name="sendfile", senders=senders, sink=sink)
    calls = run.calls[run.told["receivers"][0]]
    (ready,) = (i for i, call in enumerate(calls) if call.name == "send" and "ready" in call.arguments)
    made = []
    for call in calls[ready + 1 :]:
        if call.name not in SINKS[sink].calls:
            break
        made.append(call)
    assert run.told["receiver_calls"] == list(SINKS[sink].calls)
    (counted,) = run.told["records"][-1]["receivers"][0][1][3:]
    assert counted <= len(made) <= counted + 1 + senders  # the calls that wake to the ends of the streams are not published
    assert counted > 0


def test_discard_copies_nothing(traced):
    """The discarding receiver asks TCP to drop the bytes in every one of its calls."""
    run = traced(name="sendfile", senders=1, sink="discard")
    calls = run.calls[run.told["receivers"][0]]
    (ready,) = (i for i, call in enumerate(calls) if call.name == "send" and "ready" in call.arguments)
    taken = [call for call in calls[ready + 1 :] if call.name == "recv"]
    assert taken
    assert all("MSG_TRUNC" in call.arguments for call in taken)


# Relays.


@pytest.mark.parametrize("name", RELAYS)
def test_relays_make_only_their_calls(name, traced):
    """From being ready to the end of its stream a relay makes the calls that it declares, no others, and the board counts them exactly."""
    run = traced(name=name)
    for relay, pid in enumerate(run.told["relays"]):
        calls = run.calls[pid]
        (ready,) = (i for i, call in enumerate(calls) if call.name == "send" and "ready" in call.arguments)
        end = next(i for i, call in enumerate(calls) if call.name == RELAYS[name].calls[0] and call.result == 0)
        made = Counter(call.name for call in calls[ready + 1 : end])
        final = run.told["records"][-1]["relays"][relay][1]
        assert dict(zip(run.told["relay_calls"], final[3:], strict=True)) == made
        assert set(made) == set(RELAYS[name].calls)
        assert all(f", {CHUNK}, " in call.arguments for call in calls[ready + 1 : end] if call.name == "recv")


def test_a_splicing_relay_moves_every_byte_through_its_pipe_and_none_through_its_memory(traced):
    """What relay_splice takes off one socket goes into a pipe and from there into the other, all of it before it takes more."""
    run = traced(name="relay_splice")
    for relay, pid in enumerate(run.told["relays"]):
        calls = [call for call in run.calls[pid] if call.name == "splice"]
        inside = taken = 0
        for call in calls:
            source, _, target, *_ = call.arguments.split(", ")
            if "pipe:" in source:
                assert "socket:" in target
                inside -= call.result
                assert inside >= 0
            else:
                assert inside == 0
                assert "socket:" in source
                assert "pipe:" in target
                inside += call.result
                taken += call.result
        assert inside == 0
        assert taken >= run.told["records"][-1]["relays"][relay][1][1] > FILE_SIZE // 2


# The coordinator.


def last_reading(calls, begin, end):
    """Return the place of the machine's last reading: what the coordinator does after it, such as looking for the dead, is in no window."""
    return max(i for i, call in enumerate(calls[:end]) if i > begin and call.name == "pread" and call.fd[1] == "/proc/stat")


@pytest.mark.parametrize("window", [0, 1])
@pytest.mark.parametrize("name", ["read_send", "null"])
def test_the_coordinator_only_opens_sleeps_and_looks(name, window, traced):
    """Between a window's readings the coordinator writes once to each gate, sleeps, and reads clocks and states: nothing else."""
    run = traced(name=name)
    calls = run.calls[run.told["coordinator"]]
    begin, end = (next(i for i, call in enumerate(calls) if f"/mark/{mark}{window}" in call.arguments) for mark in ("begin", "end"))
    between = calls[begin + 1 : last_reading(calls, begin, end) + 1]
    assert {call.name for call in between} == {"clock_gettime", "pread", "write", "select"}
    writes = [call for call in between if call.name == "write"]
    assert sorted(call.fd[0] for call in writes) == sorted(run.told["gates"])
    assert all("eventfd" in call.fd[1] and call.result == 8 for call in writes)
    pids = run.told["senders"] + run.told["receivers"]
    looked_at = Counter(call.fd[1] for call in between if call.name == "pread")
    assert looked_at.pop("/proc/stat") == 2
    assert set(looked_at) == {f"/proc/{pid}/stat" for pid in pids}
    first, last = (i for i, call in enumerate(between) if call.name == "write")
    assert [call.name for call in between[:first]] == ["clock_gettime"] * len(pids) + ["pread", "clock_gettime"]
    assert [call.name for call in between[first : last + 2]] == ["write", "write", "select"]


def test_nothing_is_said_while_a_window_is_open(traced):
    """No message passes between a worker and the coordinator in a window: neither writes to or reads from their socket."""
    run = traced(name="sendfile")
    calls = run.calls[run.told["coordinator"]]
    for window in range(2):
        begin, end = (next(i for i, call in enumerate(calls) if f"/mark/{mark}{window}" in call.arguments) for mark in ("begin", "end"))
        between = calls[begin : last_reading(calls, begin, end) + 1]
        assert not any(call.name in ("send", "recv", "sendmsg", "recvmsg") for call in between)
