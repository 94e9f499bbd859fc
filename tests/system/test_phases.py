"""A process that is killed or stopped in any phase of a run is told, at once or when the phase's limit is over."""

from __future__ import annotations

import os
import signal

import pytest

from zcload import config
from zcload.lane import payload, verification
from zcload.lane.worker_group import WorkerGroup
from zcload.runner import calibrate, limits
from zcload.runner import point as point_module
from zcload.runner.context import PointContext
from zcload.runner.point import PointRun
from zcload.runner.run import run

STUDY = """
[study]
name = "phases"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "1MiB"
placement = "free"
{workload}
[stop]
max_time = "300ms"
target = "50%"
replicates = 1
min_generations = 2
window = "20ms"
"""
LIMIT_S = 2.0
pytestmark = [pytest.mark.slow, pytest.mark.serial]


def outcome_of(folder, workload=""):
    """Run the study in this process and return its outcome."""
    path = folder / "study.toml"
    path.write_text(STUDY.format(workload=workload))
    return run(config.load(path), folder / "r")


def beside(monkeypatch, holder, name, act, after=False):
    """Have *act* called with the arguments of holder.name before the first call of it, or *after* it; return its result, in a list."""
    whole, met = getattr(holder, name), []

    def changed(*arguments, **more):
        if not met and not after:
            met.append(act(*arguments))
        found = whole(*arguments, **more)
        if not met:
            met.append(act(*arguments))
        return found

    monkeypatch.setattr(holder, name, changed)
    return met


def signalled(signum, pid):
    """Send the signal; return *pid*."""
    os.kill(pid, signum)
    return pid


@pytest.mark.parametrize("role", ["senders", "receivers"])
@pytest.mark.parametrize("phase", ["calibrating", "reporting", "after the last window"])
def test_a_worker_that_nobody_needs_any_more_is_missed(phase, role, tmp_path, monkeypatch):
    """A worker killed after its last use in calibration or in a generation fails its variant, by name and pid; the baseline stays."""

    holder, name = {
        "calibrating": (calibrate, "window_length"),
        "reporting": (PointRun, "_report"),
        "after the last window": (PointRun, "_count_events"),
    }[phase]
    there = []
    bring_up = PointContext._bring_up

    def noted(self, variant, placement, verify, lanes):
        bring_up(self, variant, placement, verify, lanes)
        if variant.name == "sendfile":
            there.append(lanes[variant.name])

    monkeypatch.setattr(PointContext, "_bring_up", noted)
    act = lambda *arguments: signalled(signal.SIGKILL, getattr(there[-1].workers, role)[0].pid)  # noqa: E731 - a line, used once
    met = beside(monkeypatch, holder, name, act, after=phase == "calibrating")
    outcome = outcome_of(tmp_path)
    (reason,) = outcome.result.failed
    assert outcome.exit_code == 1
    assert f"(pid {met[0]})" in reason
    assert "SIGKILL" in reason
    assert "sendfile" in reason


def test_a_killed_lane_of_zcloads_own_is_a_caution(tmp_path, monkeypatch):
    """A lane that measures zcload's own cost fails no variant; a caution says that the cost is unknown, and names the process."""
    met = beside(
        monkeypatch, calibrate, "loop_cost", lambda context, lane: signalled(signal.SIGKILL, lane.workers.senders[0].pid)
    )  # fmt: skip
    outcome = outcome_of(tmp_path)
    assert outcome.exit_code == 0
    (found,) = [each for each in outcome.summary["cautions"] if each["code"] == "own_cost_unknown"]
    assert f"(pid {met[0]})" in found["message"]


def test_a_killed_keeper_is_missed(tmp_path, monkeypatch):
    """The process that holds a veth pair's namespaces is missed at the end of a generation, not only when it is needed again."""
    act = lambda point, *more: signalled(signal.SIGKILL, point.context.network._keeper.pid)  # noqa: E731 - a line, used once
    met = beside(monkeypatch, PointRun, "_count_events", act)
    outcome = outcome_of(tmp_path, 'network = "veth"')
    assert outcome.exit_code == 1
    assert f"keeper 0 (pid {met[0]}): killed by SIGKILL" in str(outcome.error)


@pytest.fixture
def short_limits(monkeypatch):
    """Let every phase take two seconds."""
    for name in ("making_s", "preparing_s", "generation_s", "check_s"):
        monkeypatch.setattr(limits, name, lambda *which: LIMIT_S)


def stop_makers(monkeypatch):
    """Stop each process that makes the file as soon as it is there."""

    def spawned(*arguments, **more):
        worker = whole(*arguments, **more)
        os.kill(worker.pid, signal.SIGSTOP)
        return worker

    whole = payload.spawn
    monkeypatch.setattr(payload, "spawn", spawned)


def stop_workers_at(holder, name, workers):
    """Return what stops all that *workers* finds in the arguments of the first call of holder.name, before it."""

    def prepare(monkeypatch):
        def act(*arguments):
            for worker in workers(*arguments):
                os.kill(worker.pid, signal.SIGSTOP)
            return 0

        beside(monkeypatch, holder, name, act)

    return prepare


def all_of(lanes):
    return [worker for lane in lanes.values() for worker in lane.workers.members]


STOPPED = {
    "making": (stop_makers, "making or reading the file"),
    "setting up": (stop_workers_at(WorkerGroup, "expect", lambda group, *more: group.members), "verifying"),
    "verifying": (stop_workers_at(verification, "_receive_while_moving", lambda lane, *more: lane.workers.senders), "verifying"),
    "calibrating": (stop_workers_at(calibrate, "window_length", lambda context, lanes: all_of(lanes)), "calibrating"),
    "measuring": (stop_workers_at(point_module, "run_block", lambda groups: all_of(groups[0])), "measuring generation 0"),
    "reporting": (stop_workers_at(PointRun, "_report", lambda point, groups, *more: all_of(groups[0])), "measuring generation 0"),
}


@pytest.mark.parametrize("phase", STOPPED)
def test_a_stopped_process_ends_the_phase(phase, short_limits, tmp_path, monkeypatch):
    """Whatever process is stopped for ever, in whatever phase: its limit ends the phase and the run tells which; no process is left."""
    prepare, doing = STOPPED[phase]
    prepare(monkeypatch)
    outcome = outcome_of(tmp_path)
    assert outcome.exit_code == 1
    assert f"{doing}" in str(outcome.error)
    assert f"not done after {LIMIT_S:.0f} s" in str(outcome.error)
