"""Perf counters of other processes: what may be counted, what is, that they cost nothing where they are not, and why not."""

from __future__ import annotations

import errno
import os
import signal

import pytest
from support.fake_results import Cost, Result, header, lane

from zcload.analysis.summary import summarise
from zcload.host.machine import Machine
from zcload.linux import perf_event
from zcload.linux.perf_event import Ability, PerfCounters, ability
from zcload.report.tables.overview import method
from zcload.runner.perf_window import count


@pytest.fixture
def child():
    """Fork a process that hops between CPUs on the first byte, waits for the second, and is gone with the test."""
    reader, writer = os.pipe()
    answers, answer = os.pipe()
    pid = os.fork()
    if not pid:
        os.read(reader, 1)
        for _ in range(10):
            for cpu in sorted(os.sched_getaffinity(0))[:2]:
                os.sched_setaffinity(0, {cpu})
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.write(answer, b".")
        os.read(reader, 1)
        os._exit(0)

    def work():
        os.write(writer, b".")
        assert os.read(answers, 1) == b"."

    yield pid, work
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for fd in (reader, writer, answers, answer):
        os.close(fd)


def able_to(event):
    able = ability()
    if event not in able.events:
        pytest.skip(f"{event}: {able.reasons[event]} (run the tests as root, on a machine of its own)")
    return able


@pytest.mark.parametrize("event", perf_event.EVENTS)
def test_an_event_of_another_process_is_counted(event, child, leaks):
    """A counter that is attached to a blocked process counts what that does afterwards, and its descriptors are given back."""
    able, (pid, work), before = able_to(event), child, leaks()
    if event == "migrations" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one CPU only (give it two)")
    counters = PerfCounters([pid], able)
    counters.start()
    assert counters.read()[event] == 0
    work()
    assert counters.read()[event] > 0
    counters.close()
    counters.close()
    assert leaks() == before


def test_every_event_is_counted_or_has_a_reason():
    """What cannot be counted says why, in words."""
    able = ability()
    assert set(able.events) | set(able.reasons) == set(perf_event.EVENTS)
    assert not set(able.events) & set(able.reasons)
    assert all(able.reasons.values())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOENT, "no pmu"),
        (errno.EACCES, "perf_event_paranoid"),
        (errno.ENOSYS, "no perf_event_open"),
        (errno.EBUSY, "busy"),
    ],
)
def test_reasons(code, words, monkeypatch):
    """Each way to be refused has its reason."""

    def refuse(pid, event, user_only):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(perf_event, "_open", refuse)
    able = ability()
    assert able.events == ()
    assert all(words in reason.lower() for reason in able.reasons.values())


def test_an_ordinary_user_counts_in_user_space(in_child):
    """Where the kernel may not be counted, what happens in the kernel is left out, with its reason, and the rest says so."""
    if os.geteuid():
        pytest.skip("only root can become another user (run the tests as root)")

    def run():
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        return ability()

    with open("/proc/sys/kernel/perf_event_paranoid", encoding="ascii") as setting:
        paranoid = int(setting.read())
    able = in_child(run)
    assert able.user_only == (paranoid >= 2 and "migrations" in able.reasons)
    assert ("migrations" in able.events) == (paranoid < 2)


@pytest.mark.serial
def test_a_lane_is_counted_in_a_window_of_its_own(leaks, lane_of):
    """A window with counters attached tells the bytes and events of both roles, and leaves no descriptor."""
    able = able_to("migrations")
    running = lane_of()
    before = leaks()
    machine = Machine()
    counted = count(running, able, 0.02, machine)
    machine.close()
    assert counted["bytes"] > 0
    assert set(counted["senders"]) == set(counted["receivers"]) == set(able.events)
    assert leaks() == before
    running.tear_down()


@pytest.mark.serial
def test_relays_are_counted_too(leaks, lane_of):
    """The window with counters has the relays' events beside those of both ends."""
    able = able_to("migrations")
    running = lane_of("relay_splice", origin="sendfile")
    before = leaks()
    machine = Machine()
    counted = count(running, able, 0.02, machine)
    machine.close()
    assert set(counted["relays"]) == set(counted["senders"]) == set(able.events)
    assert leaks() == before
    running.tear_down()


def test_figures_by_perf():
    """Events are divided by the bytes of their own windows; an event without a counter has no figure, with a reason."""
    result = Result(header([lane("copy"), lane("sendfile")]))
    result.event("perf", events=["cycles", "migrations"], reasons={"instructions": "none left"}, user_only=True)
    for number in range(6):
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2)})
        for name, cycles in (("copy", 800), ("sendfile", 200)):
            seen = {"cycles": cycles, "instructions": None, "migrations": 1}
            result.event(
                "counters",
                generation=number,
                lane=name,
                bytes=1000,
                senders=seen,
                receivers={**seen, "cycles": 500},
                relays={"cycles": 300},
            )
    summary = summarise(result.end())
    (point,) = summary["points"]
    copy = point["variants"][0]["metrics"]
    assert (copy["sender_cycles_per_byte"]["estimate"], copy["receiver_cycles_per_byte"]["estimate"]) == (0.8, 0.5)
    assert copy["relay_cycles_per_byte"]["estimate"] == 0.3
    assert copy["relay_migrations_per_gb"]["estimate"] is None
    assert copy["sender_migrations_per_gb"]["estimate"] == pytest.approx(1e6)
    assert copy["sender_instructions_per_byte"]["estimate"] is None
    assert "perf" in copy["sender_instructions_per_byte"]["reason"]
    assert "perf counted cycles, migrations in user space only (kernel.perf_event_paranoid); not instructions: none left" in method(
        summary, point
    )


def test_without_perf_there_is_a_reason_and_no_figure():
    """A host that cannot count says why; older results, that did not try, say nothing."""
    able = Ability((), {"cycles": "no unit"}, False)
    result = Result(header([lane("copy")]))
    result.event("perf", events=list(able.events), reasons=able.reasons, user_only=False)
    result.generation(0, {"copy": Cost(0.4)})
    summary = summarise(result.end())
    assert "perf counted nothing; not cycles: no unit" in method(summary, summary["points"][0])
    assert not [line for line in method(summary, {**summary["points"][0], "perf": None}) if "perf" in line]
