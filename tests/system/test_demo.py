"""`zcload demo`: real transfers of small files, what it does when things go wrong, and what it says of fixed figures."""

from __future__ import annotations

import hashlib
import math
import os
import select
import signal
import statistics
from dataclasses import replace

import pytest

from zcload.errors import ConfigError, StudyError
from zcload.lane.worker import send_message, spawn
from zcload.linux import interrupt
from zcload.oneshot.demo import conclusion, contenders, demo, render, timed_transfer
from zcload.oneshot.demo import rounds as run_module
from zcload.oneshot.demo.contenders import CONTENDERS, READ, READ_256, SENDFILE, SLURP, DemoContender
from zcload.oneshot.demo.result import Demo, Figures, ratio
from zcload.oneshot.demo.timed_transfer import TimedTransfer

SIZE = 3_000_017  # a prime: no step divides it
NAMES = (SLURP, SENDFILE, READ, READ_256)


@pytest.fixture(autouse=True)
def nothing_left():
    """Every test must leave as many descriptors as it found, and no child process."""
    before = sorted(os.listdir("/proc/self/fd"))
    yield
    interrupt.requested = None
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def fake(monkeypatch):
    """Replace the transfers by a list of what would have run; no process is forked but for the file."""
    ran = []

    def transfer(contender, source, *, verify=False):
        ran.append(("verify " if verify else "") + contender.name)
        return TimedTransfer(1.0, 0.5, 0.25, 7)

    monkeypatch.setattr(run_module, "transfer", transfer)
    return ran


def test_seconds_stand_beside_the_notes_only_for_its_size():
    """Beside a file of another size than the note's stand rates: 2.4 GB in 1.2538 s are 15.3 Gbit/s, and 500 MB in 1 s are 4."""
    made = tuple(Figures(name, "", (1.0, 1.0), (0.5, 0.5), (0.5, 0.5), (7, 7)) for name in NAMES)
    text = render(Demo(None, 500_000_000, "0" * 64, 7, 2, made, (), "6.1", 2))
    (row,) = [line for line in text.splitlines() if line.split()[:1] == [SLURP] and "±" not in line and "15.3" in line]
    assert "1.2538" not in text
    assert row.split()[3:6] == ["4.00", "15.3,", "17.9"]


@pytest.mark.serial
def test_a_small_demo_runs_every_contender():
    """Every contender has a figure a round and a verified digest, and no process used more CPU than there was time."""
    result = demo(size=SIZE, rounds=2, seed=7)
    assert tuple(each.name for each in result.contenders) == NAMES
    assert (result.file, result.file_bytes, result.rounds, result.seed, result.error) == (None, SIZE, 2, 7, None)
    for each in result.contenders:
        assert each.skipped is None
        assert len(each.seconds) == len(each.sender_cpu_s) == len(each.receiver_cpu_s) == len(each.sender_minor_faults) == 2
        assert all(seconds > 0 for seconds in each.seconds)
        assert all(0 < cpu < seconds + 0.05 for cpu, seconds in zip(each.sender_cpu_s, each.seconds, strict=True))
        assert all(cpu > 0 for cpu in each.receiver_cpu_s)
    assert result.sha256 in render(result)


@pytest.mark.serial
def test_a_file_of_one_s_own(tmp_path):
    """The user's file is sent as it is, and its digest is the file's."""
    path = tmp_path / "own"
    path.write_bytes(b"zcload" * 1000)
    result = demo(str(path), rounds=1)
    assert (result.file, result.file_bytes) == (str(path), 6000)
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"file": "missing"}, "missing: no such file or directory"),
        ({"file": "."}, "is a directory"),
        ({"file": "empty"}, "empty is empty: there is nothing to compare"),
        ({"file": "some", "size": 5}, "--size: a file of your own has its own size"),
        ({"size": 0}, "--size: 0 bytes are nothing to send"),
        ({"size": 1 << 60}, "--size: a file of 1 EiB does not fit"),
        ({"size": 1000, "rounds": 0}, "--rounds: 0 rounds measure nothing"),
    ],
)
def test_usage_errors(arguments, words, tmp_path, monkeypatch):
    """What cannot be measured is refused before anything is made, exit code 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").touch()
    (tmp_path / "some").write_bytes(b"x")
    with pytest.raises(ConfigError) as caught:
        demo(**arguments)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_every_contender_is_verified_and_then_runs_once_a_round(fake):
    """Each contender is verified once before anything is timed, and every round holds each exactly once."""
    demo(size=1000, rounds=3, seed=1)
    assert fake[:4] == [f"verify {name}" for name in NAMES]
    for start in (4, 8, 12):
        assert sorted(fake[start : start + 4]) == sorted(NAMES)
    assert len(fake) == 16


def test_the_seed_decides_the_order(fake):
    """The same seed gives the same order, another seed another one."""
    orders = []
    for seed in (1, 1, 2):
        fake.clear()
        demo(size=1000, rounds=4, seed=seed)
        orders.append(tuple(fake))
    assert orders[0] == orders[1] != orders[2]


def test_a_seed_is_drawn_and_recorded(fake):
    """Without a seed one is drawn, and it repeats the order of that run."""
    result = demo(size=1000, rounds=4)
    first = list(fake)
    fake.clear()
    assert demo(size=1000, rounds=4, seed=result.seed).seed == result.seed
    assert fake == first


def test_progress_is_told_between_transfers(fake):
    """The viewer is called before each transfer with the round and the contender, and the fraction never falls in a phase."""
    seen = []
    demo(size=1000, rounds=2, seed=1, view=lambda progress: seen.append((len(fake), progress)))
    phases = [(count, p) for count, p in seen if p.phase in ("verifying", "measuring")]
    assert [count for count, _ in phases] == list(range(12))
    measuring = [p for _, p in phases if p.phase == "measuring"]
    assert [p.detail for p in measuring] == [f"round {1 + i // 4} of 2: {name}" for i, name in enumerate(fake[4:])]
    assert [p.fraction for p in measuring] == sorted(p.fraction for p in measuring)


@pytest.mark.parametrize(
    ("memory", "size"),
    [(6_000_000_000, 2_400_000_000), (2_000_000_000, 600_000_000), (400_000_000, 60_000_000)],
)
def test_the_default_file_is_the_largest_that_fits_twice(memory, size, monkeypatch):
    """Without FILE and --size the note's 2.4 GB are taken where they fit twice, else a smaller round size, and that is said."""
    monkeypatch.setattr(run_module, "available_memory", lambda: memory)
    point, notes = run_module._file(None, None)
    assert point.file_size == size
    assert bool(notes) == (size != 2_400_000_000)
    assert all("not the note's 2.4 GB" in note for note in notes)


def test_without_memory_there_is_no_demo(monkeypatch):
    """Where not even the smallest size fits twice the demo is refused, not tried."""
    monkeypatch.setattr(run_module, "available_memory", lambda: 270 << 20)
    with pytest.raises(ConfigError, match="not enough memory"):
        demo()


def test_slurp_is_skipped_where_its_copy_does_not_fit(fake, monkeypatch):
    """A contender whose copy of the file does not fit is skipped with the reason, and the rest goes on."""
    monkeypatch.setattr(run_module, "_out", lambda source: {SLURP: "no room"})
    result = demo(size=1500, rounds=2, seed=1)
    assert result.figures(SLURP) == Figures(SLURP, CONTENDERS[0].what, skipped="no room")
    assert len(result.figures(SENDFILE).seconds) == 2
    assert "The note's first sender was left out: no room." in conclusion(result)
    assert "skipped: no room" in " ".join(render(result).split())


def test_only_slurp_needs_a_copy(monkeypatch):
    """The memory rule names slurp alone, with what it needs and what there is."""

    class FakeSource:
        size = 2_400_000_000

    monkeypatch.setattr(run_module, "available_memory", lambda: 1_268_435_456)
    assert run_module._out(FakeSource()) == {SLURP: "it reads the whole file into memory: 2.4 GB, and 1 GB can be used"}
    monkeypatch.setattr(run_module, "available_memory", lambda: 3_000_000_000)
    assert run_module._out(FakeSource()) == {}


def test_memory_that_runs_short_later_skips_too(fake, monkeypatch):
    """A contender that no longer fits in a later round is left out from there on, and its pairs are not mixed with others'."""
    looks = []

    def out(source):
        looks.append(1)
        return {SLURP: "gone"} if len(looks) > 1 + 4 else {}  # one look at the start and one a transfer

    monkeypatch.setattr(run_module, "_out", out)
    result = demo(size=1500, rounds=3, seed=1)
    assert (result.rounds, result.error) == (3, None)
    assert [each.name for each in result.contenders if each.skipped == "gone"] == [SLURP]
    assert [len(each.seconds) for each in result.contenders] == [0, 3, 3, 3]
    assert fake.count(SLURP) == 1


def test_an_interrupted_demo_keeps_its_whole_rounds(fake, monkeypatch):
    """A signal in round 3 leaves the figures of rounds 1 and 2, the error that ended it, and its exit code."""

    def view(progress):
        if progress.detail.startswith("round 3"):
            interrupt.requested = signal.SIGINT

    result = demo(size=1000, rounds=5, seed=1, view=view)
    assert (result.rounds, result.error.exit_code) == (2, 130)
    assert all(len(each.seconds) == 2 for each in result.contenders)
    assert "(partial: interrupted by SIGINT)" in render(result)


def test_an_interrupt_before_a_whole_round_is_raised(fake):
    """Without one whole round there is no result, and the interrupt is the answer."""

    def view(progress):
        if progress.phase == "measuring":
            interrupt.requested = signal.SIGTERM

    with pytest.raises(interrupt.Interrupted) as caught:
        demo(size=1000, rounds=5, seed=1, view=view)
    assert caught.value.exit_code == 143


@pytest.mark.serial
@pytest.mark.parametrize(
    ("send", "words"),
    [
        (lambda sock, path: sock.sendall(b"x" * 999), "wrong: 999 of 1000 bytes arrived"),
        (lambda sock, path: sock.sendall(b"x" * 1000), "wrong: what arrived is not the file"),
        (lambda sock, path: os.kill(os.getpid(), signal.SIGKILL), "wrong, sender 0"),
        (lambda sock, path: os.open(path + "-missing", os.O_RDONLY), "FileNotFoundError"),
    ],
)
def test_a_contender_that_does_not_send_the_file(send, words, monkeypatch):
    """Missing bytes, wrong bytes, a killed sender and one that raises are each one line that names the contender."""
    monkeypatch.setattr(run_module, "CONTENDERS", (DemoContender("wrong", "", send),))
    with pytest.raises(StudyError) as caught:
        demo(size=1000, rounds=1)
    assert words in str(caught.value)


@pytest.mark.serial
def test_a_file_changed_between_rounds_ends_the_demo(tmp_path):
    """A file that is written to during the demo ends it with that reason and keeps the rounds before."""
    path = tmp_path / "own"
    path.write_bytes(b"zcload" * 1000)

    def view(progress):
        if progress.detail.startswith("round 2"):
            path.write_bytes(b"zcload" * 1001)

    result = demo(str(path), rounds=3, view=view)
    assert result.rounds == 1
    assert "6000" in str(result.error)


@pytest.mark.serial
def test_killing_the_coordinator_kills_the_workers():
    """kill -9 of the demo's process ends its sender and receiver, however long the transfer would have taken."""

    def stuck(control):
        def wait(sock, path):
            send_message(control, sender=os.getpid())
            signal.pause()

        contenders_ = (DemoContender("stuck", "", wait),)
        run_module.CONTENDERS = contenders_
        # A transfer closes what it does not need: the test's own channel must stay open in the sender.
        original = timed_transfer.spawn
        timed_transfer.spawn = lambda lane, role, index, body, keep, cpus: original(
            lane, role, index, body, [*keep, control.fileno()], cpus
        )
        demo(size=1000, rounds=1)

    coordinator = spawn("test", "demo", 0, stuck, [], None)
    try:
        pid = coordinator.receive(60, "the sender")["sender"]
        watch = os.pidfd_open(pid)
        try:
            os.kill(coordinator.pid, signal.SIGKILL)
            assert select.select([watch], [], [], 5)[0]
        finally:
            os.close(watch)
    finally:
        coordinator.end()


def test_ratio_is_the_paired_geometric_mean():
    """Proportional rounds give the ratio without spread; others the t interval of the logarithms, computed here by hand."""
    found = ratio((1.0, 2.0, 4.0), (2.0, 4.0, 8.0))
    assert (found.estimate, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    logs = [math.log(0.5), math.log(0.4), math.log(0.6)]
    half = 4.302652729911275 * statistics.stdev(logs) / math.sqrt(3)  # Student's t, 95 %, 2 degrees of freedom
    found = ratio((1.0, 0.8, 1.2), (2.0, 2.0, 2.0))
    mean = statistics.fmean(logs)
    assert (found.estimate, found.low, found.high) == pytest.approx((math.exp(mean), math.exp(mean - half), math.exp(mean + half)))


@pytest.mark.parametrize(("values", "base"), [((), ()), ((1.0,), (1.0,)), ((1.0, 2.0), ()), ((0.0, 1.0), (1.0, 1.0))])
def test_there_is_no_ratio_of_too_little(values, base):
    """One round, a skipped contender and a clock that did not move have no ratio, and nothing is invented."""
    assert ratio(values, base) is None


SPREAD = {SLURP: (0.99, 1.0, 1.02), SENDFILE: (1.01, 1.0, 0.98), READ: (1.0, 0.99, 1.01), READ_256: (1.0, 1.0, 1.03)}


def figures(name, seconds, sender, receiver, faults):
    what = next(each.what for each in CONTENDERS if each.name == name)
    columns = (tuple(value * factor for factor in SPREAD[name]) for value in (seconds, sender, receiver))
    return Figures(name, what, *columns, (faults,) * 3)


def record(slurp=(1.2, 1.0, 0.4), sendfile=(0.5, 0.1, 0.45), read=(0.81, 0.4, 0.35), **more):
    return Demo(
        file=None,
        file_bytes=2_400_000_000,
        sha256="ab" * 32,
        seed=11,
        rounds=3,
        contenders=(
            figures(SLURP, *slurp, 586_000),
            figures(SENDFILE, *sendfile, 30),
            figures(READ, *read, 60),
            figures(READ_256, 0.78, 0.41, 0.33, 110),
        ),
        notes=("a note",),
        kernel="6.1.0",
        cpus=4,
        **more,
    )


def noisy(name):
    what = next(each.what for each in CONTENDERS if each.name == name)
    return Figures(name, what, (0.5, 1.0, 2.0), (0.5, 1.0, 2.0), (0.5, 1.0, 2.0), (1, 1, 1))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        pytest.param(
            record(),
            [
                "Time, sendfile-64k against slurp_send: 59 % (55..62) less. In the note's two runs: 51 % less.",
                "Time, read_send-64k against slurp_send: 33 % (31..35) less. Both copy every byte: the difference is fresh memory "
                "(586,000 page faults against 60), and that slurping sends nothing until all is read.",
                "Time, sendfile-64k against read_send-64k: 38 % (35..42) less. This is the copy that zero-copy saves, and the "
                "second system call of every step.",
                "So of slurp's time about 33 % is slurping, 26 % is the copy, and 41 % is what sendfile takes too.",
            ],
            id="the note is right",
        ),
        pytest.param(
            record(sendfile=(1.4, 0.5, 1.2)),
            [
                "Time, sendfile-64k against slurp_send: 16 % (7.4..25) more. In the note's two runs: 51 % less, which is not seen here.",
                "Time, read_send-64k against slurp_send: 33 % (31..35) less. Both copy every byte: the difference is fresh memory "
                "(586,000 page faults against 60), and that slurping sends nothing until all is read.",
                "Time, sendfile-64k against read_send-64k: 72 % (63..82) more. Leaving out the copy costs time here.",
            ],
            id="sendfile is slower",
        ),
    ],
)
def test_the_words_say_what_the_intervals_say(result, expected):
    """The sentences on time follow the direction of the intervals, and the shares are told only where both differences are shown."""
    assert conclusion(result)[: len(expected)] == expected
    assert any(line.startswith("So of slurp's time") for line in conclusion(result)) == (len(expected) == 4)


@pytest.mark.parametrize(
    ("sendfile", "verdict"),
    [
        ((0.5, 0.1, 0.45), "Against read_send-64k sendfile frees CPU on this machine."),
        ((0.5, 0.6, 0.45), "Against read_send-64k sendfile costs CPU, it frees none on this machine."),
    ],
)
def test_the_verdict_on_cpu_is_of_both_ends(sendfile, verdict):
    """Whether CPU is freed is said of sender and receiver together, against the honest copy; the sender alone is a detail."""
    line = conclusion(record(sendfile=sendfile))[-1]
    assert line.startswith("CPU of both ends, sendfile-64k against read_send-64k: ")
    assert "; the sender alone " in line
    assert line.endswith(verdict)


def test_what_is_not_shown_is_not_said():
    """Where an interval holds 1 the sentences say that no difference is shown, and name no saving, no cause and no share."""
    base = record()
    result = replace(base, contenders=(base.contenders[0], noisy(SENDFILE), noisy(READ), base.contenders[3]))
    lines = conclusion(result)
    assert "Time, sendfile-64k against slurp_send: no difference shown (ratio 0.83, 0.15..4.48). " in lines[0]
    assert lines[0].endswith("In the note's two runs: 51 % less, which is not seen here.")
    assert lines[1].endswith("Fresh memory is not shown to cost time here.")
    assert lines[2].endswith("no difference shown (ratio 1.00, 1.00..1.00). That leaving out the copy saves time is not shown here.")
    assert not any(line.startswith("So of") for line in lines)
    assert lines[-1].endswith("Against read_send-64k it is not shown that sendfile frees CPU on this machine.")


def test_one_round_concludes_nothing():
    """A single round has no error bar: the only sentence says so."""
    base = record()
    single = tuple(
        Figures(f.name, f.what, f.seconds[:1], f.sender_cpu_s[:1], f.receiver_cpu_s[:1], f.sender_minor_faults[:1]) for f in base.contenders
    )
    result = replace(base, rounds=1, contenders=single)
    assert conclusion(result) == ["One round has no error bar, so nothing can be concluded: run at least two (--rounds 5)."]
    assert "1 round," in render(result)


def test_the_note_s_figures_are_quoted_exactly():
    """The published seconds are the note's, to every digit it printed."""
    assert contenders.NOTE_SECONDS == {
        "slurp_send": (1.2538435459136963, 1.0714919567108154),
        "sendfile-64k": (0.5658297538757324, 0.5623219013214111),
    }
    assert contenders.NOTE_BYTES == 2_400_000_000


GOLDEN = """\
2.4 GB over loopback, 3 rounds, Linux 6.1.0, CPUs: 4

  Time, sendfile-64k against slurp_send: 59 % (55..62) less. In the note's two runs: 51 % less.
  Time, read_send-64k against slurp_send: 33 % (31..35) less. Both copy every byte: the difference
    is fresh memory (586,000 page faults against 60), and that slurping sends nothing until all is
    read.
  Time, sendfile-64k against read_send-64k: 38 % (35..42) less. This is the copy that zero-copy
    saves, and the second system call of every step.
  So of slurp's time about 33 % is slurping, 26 % is the copy, and 41 % is what sendfile takes too.
  CPU of both ends, sendfile-64k against slurp_send: 61 % (58..64) less; the sender alone 90 %
    (89..91) less, the receiver alone 12 % (3.6..21) more. Against slurp_send sendfile frees CPU on
    this machine.
  CPU of both ends, sendfile-64k against read_send-64k: 27 % (23..31) less; the sender alone 75 %
    (74..76) less, the receiver alone 28 % (21..36) more. Against read_send-64k sendfile frees CPU
    on this machine.

Medians (lowest..highest); note, 2015: its two runs, in seconds

  sender                       seconds      note, 2015    sender    receiver     both      page
                                                           CPU s       CPU s    CPU s    faults
  --------------  --------------------  --------------  --------  ----------  -------  --------
  slurp_send         1.20 (1.19..1.22)  1.2538, 1.0715      1.00       0.400     1.40    586000
  sendfile-64k    0.500 (0.490..0.505)  0.5658, 0.5623     0.100       0.450    0.550        30
  read_send-64k   0.810 (0.802..0.818)               -     0.400       0.350    0.750        60
  read_send-256k  0.780 (0.780..0.803)               -     0.410       0.330    0.740       110

Ratios, paired round by round, each with its 95 % interval

  sender                     time /             time /         both CPU /         both CPU /
                         slurp_send      read_send-64k         slurp_send      read_send-64k
  --------------  -----------------  -----------------  -----------------  -----------------
  slurp_send                      1  1.49 (1.44..1.53)                  1  1.87 (1.82..1.93)
  sendfile-64k    0.41 (0.38..0.45)  0.62 (0.58..0.65)  0.39 (0.36..0.42)  0.73 (0.69..0.77)
  read_send-64k   0.67 (0.65..0.69)                  1  0.53 (0.52..0.55)                  1
  read_send-256k  0.65 (0.65..0.66)  0.97 (0.95..1.00)  0.53 (0.52..0.54)  1.00 (0.97..1.02)

Senders
  slurp_send: the whole file into fresh memory, then sendall: the note's first sender
  sendfile-64k: sendfile in steps of 64 KiB: the note's second sender
  read_send-64k: read and send in steps of 64 KiB through one reused buffer
  read_send-256k: the same in steps of 256 KiB

Notes
  a note

How it was measured
  File: made in memory, incompressible; SHA-256
    abababababababababababababababababababababababababababababababab, which every sender's receiver
    got in a round before the timed ones.
  One transfer on a fresh connection a measurement, sender and receiver forked for it, each round in
    random order (seed 11). Seconds: after connect until the sender has closed, opening and reading
    included, as the note timed it. The receiver takes 64 KiB a call into a new object, as the
    note's did.
  CPU: each process's own clock. On loopback each end does part of the other's work, so what counts
    is both together. No NIC is involved: for one, for equal load, or for tighter intervals, use
    `zcload run`.
"""


def test_the_report_of_a_fixed_record():
    """The report is a pure function of the record: these figures give this text."""
    assert render(record()) == GOLDEN
