"""Run a whole study: check the host, make the files, prepare the points, measure generations, store the result."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zcload.cluster.engine import Engine
from zcload.errors import ConfigError, MechanismUnavailableError, StudyError, TimeLimitExceeded, ZcloadError
from zcload.host.doctor import cautions as doctor_cautions
from zcload.host.doctor import findings
from zcload.host.environment import describe
from zcload.host.topology import CgroupLimits, Core, cgroup_limits, read_cores
from zcload.linux import interrupt
from zcload.linux.collector import quiet_collector
from zcload.linux.descriptors import room_for_files
from zcload.model.cautions import Caution, caution
from zcload.model.printable import typed
from zcload.model.progress import Progress, Viewer, nobody
from zcload.model.records.summary import Summary
from zcload.model.records.values import CautionRecord
from zcload.model.study import Study
from zcload.runner import preflight
from zcload.runner.cluster_run import ClusterRun, open_cluster
from zcload.runner.ending import ending
from zcload.runner.header import header_of
from zcload.runner.limits import LONGEST_WAIT_S, concluding_s
from zcload.runner.measurer import Host, InProcess, Measurer
from zcload.runner.needs import open_files
from zcload.runner.point_state import PointState, initial_states
from zcload.runner.quiet import wait_for_quiet
from zcload.runner.replicates import Replicates
from zcload.runner.resume import PreviousRun, check_same, extend, read_previous, restore, time_limit, with_limit
from zcload.runner.rounds import run_crossover, run_points
from zcload.server.leftovers import clear as clear_leftovers
from zcload.store.reader import WINDOWS, Result, StoredRecords
from zcload.store.summarise_file import summarise_file
from zcload.store.writer import Recorder, check_free, write_summary

RESULTS = Path("results")  # where results go without another directory


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run: its *summary*, its directory, and the *error* that ended it early, if one did."""

    summary: Summary
    directory: Path
    error: ZcloadError | None

    @property
    def result(self) -> Result:
        """The same as `Result.load` of the directory, without reading the summary again."""
        return Result(self.summary, self.directory, StoredRecords(self.directory / WINDOWS))

    @property
    def exit_code(self) -> int:
        """0 done, 1 a lane failed or the run did, 130 or 143 interrupted."""
        if self.error is not None:
            return self.error.exit_code
        return int(bool(self.result.failed))


def run(
    study: Study,
    directory: Path | None = None,
    *,
    seed: int | None = None,
    strict: bool = False,
    check_windows: bool = False,
    host_name: bool = False,
    view: Viewer = nobody,
    resume: bool = False,
    wait: bool = False,
    engine: Engine | None = None,
) -> Outcome:
    """Run *study* and store its result in *directory* (default results/<utc time>-<name>).

    A study with a `[cluster]` runs on its hosts; *engine* is for one that its scheduler does not name.

    With *wait* it waits some seconds for other work on the machine to end first.

    With *resume*, resume the interrupted run of *study* in *directory*: finished points stay as they are, unless *study* has a
    longer time limit than the run had.

    Raises ConfigError and MechanismUnavailableError before anything is measured; what goes wrong later is in the outcome,
    with all that was measured until then.
    """
    study = preflight.resolve(study)
    clear_leftovers()  # they take memory that this run needs
    if not resume:
        check_free(directory or RESULTS)
    # Locked before it is read: what another run appends meanwhile would be measured twice.
    with closing(Recorder.reopen(directory)) if resume and directory else nullcontext() as reopened, ExitStack() as hosts:
        cluster = hosts.enter_context(closing(open_cluster(study, view, engine))) if study.cluster else None
        study, cores, out = (cluster.study, (), cluster.out) if cluster else _this_host(study)
        for each in out:
            preflight.require(study, each, strict)
        previous = read_previous(directory) if reopened and directory else None
        if previous and directory:
            study = with_limit(study, previous.limit_of(study, directory))
        seed = previous.header["seed"] if previous else secrets.randbits(32) if seed is None else seed
        now = datetime.now(UTC)
        view(Progress("looking at this host"))
        environment, found = _looked_at(study, cluster, view, host_name, wait)
        # From the moment in which there is a result a signal ends it in order.
        with interrupt.graceful():
            states = initial_states(study, environment, out, devices=cluster is not None and cluster.devices)
            started = f"{now:%Y-%m-%dT%H:%M:%SZ}"
            if previous and reopened and directory:
                check_same(previous, environment, directory)
                recorder = reopened
                _go_on(states, previous, directory, recorder, {"at": started, "environment": environment, "cautions": _dicts(found)})
            else:
                directory = directory or RESULTS / f"{now:%Y%m%dT%H%M%SZ}-{study.name}"
                recorder = Recorder(directory, header_of(study, started, seed, environment, found, cluster.facts() if cluster else None))
            session = _Session(study, Host(cores, environment, out), cluster, seed, previous)
            error = session.measure(states, recorder, view, check_windows)
            if previous is None and isinstance(error, ConfigError) and not any(state.generation for state in states):
                recorder.discard()  # what was asked for cannot be done: there is no result, not even a partial one
                raise error
            return _conclude(recorder, error, view)


@dataclass(frozen=True, slots=True)
class _Session:
    """What one session of a run measures and where: the whole run, or a part of one that is resumed."""

    study: Study
    host: Host
    cluster: ClusterRun | None
    seed: int
    previous: PreviousRun | None

    def measure(self, states: Sequence[PointState], recorder: Recorder, view: Viewer, check_windows: bool) -> ZcloadError | None:
        """Measure the points of *states*; return what ended that early, if anything did."""
        quota, affinity = cgroup_limits(), os.sched_getaffinity(0)
        try:
            with ending() as end, ExitStack() as stack:
                measurer = self._measurer(stack, recorder, view)
                stack.callback(measurer.close)
                if self.study.crossover is not None:
                    run_crossover(measurer, states, self.study.crossover, recorder.write)
                else:
                    run_points(measurer, states, recorder.write, check_windows)
        finally:
            os.sched_setaffinity(0, affinity)
        return _tell_throttling(quota, recorder, end.error)

    def _measurer(self, stack: ExitStack, recorder: Recorder, view: Viewer) -> Measurer:
        """Return who measures: the cluster, a fresh process for each replicate, or this process, which *stack* then keeps quiet."""
        seeds, first = str(self.seed), 0
        if self.previous:
            seeds, first = f"{self.seed}, session {self.previous.sessions + 1}", self.previous.replicates
        if self.cluster is not None:
            return self.cluster.measurer(seeds, recorder.write, view, first)
        if self.study.stop.replicates > 1:
            return Replicates(self.study, self.host, seeds, recorder, view, first)
        stack.enter_context(quiet_collector())
        stack.enter_context(room_for_files(open_files(self.study)))
        return InProcess(self.study, self.host, random.Random(seeds), recorder.write, view)


def _looked_at(
    study: Study, cluster: ClusterRun | None, view: Viewer, host_name: bool, wait: bool
) -> tuple[Mapping[str, Any], list[Caution]]:
    """Return the facts of the host that measures (of a cluster: of the first that sends), and what there spoils a result."""
    if cluster is not None:
        environment, found = cluster.environment, cluster.cautions()
    else:
        environment = describe(host_name=host_name)
        found = doctor_cautions(findings(study=study, sample=wait_for_quiet(view, LONGEST_WAIT_S if wait else 0.0)))
    return environment, [*found, *preflight.cautions(study, environment)]


def _go_on(states: Sequence[PointState], previous: PreviousRun, directory: Path, recorder: Recorder, session: Mapping[str, object]) -> None:
    """Bring *states* to where the *previous* run in *directory* ended, and record that a new *session* resumes it."""
    limit_s = time_limit(states[0].study)
    restore(states, StoredRecords(directory / WINDOWS))
    extended = extend(states, limit_s) if limit_s > previous.max_time_s else ()
    for record in ({"kind": "resumed", "after": previous.ended, "max_time_s": limit_s, **session}, *extended):
        recorder.write(record)


def _conclude(recorder: Recorder, error: ZcloadError | None, view: Viewer) -> Outcome:
    """Evaluate what was recorded and close the result; *error* is what ended the measurement early. Raises StudyError."""
    error = _store(recorder, {"kind": "end", "complete": error is None, "reason": str(error) if error else "done"}, error)
    view(Progress("evaluating"))
    with closing(recorder):
        summary = _evaluate(recorder.directory / WINDOWS)
        try:
            write_summary(recorder.directory, summary)
        except StudyError as caught:
            error = error or caught
    return Outcome(summary, recorder.directory, error)


def _evaluate(path: Path) -> Summary:
    """Return the summary of what was recorded at *path*.

    Raises StudyError if somebody took the file away or changed it, or if it takes too long: the windows stay, and are evaluated by
    whoever reads the result.
    """
    try:
        with interrupt.limited(concluding_s(path.stat().st_size), lambda: "evaluating"):
            return summarise_file(path)
    except (ConfigError, OSError) as error:
        raise StudyError(f"cannot evaluate what was measured: {error}") from None
    except TimeLimitExceeded as error:
        raise StudyError(f"{error}; nothing is lost, evaluate it with: zcload report {typed(path.parent)}") from None


def _this_host(study: Study) -> tuple[Study, tuple[Core, ...], list[dict[str, MechanismUnavailableError]]]:
    """Check this host for *study*; return that, the host's cores, and for each point the variants that cannot run. Raises ConfigError."""
    cores = read_cores()
    preflight.check_host(study, cores)
    return study, cores, [preflight.unavailable(study, point) for point in study.points]


def _tell_throttling(before: CgroupLimits, recorder: Recorder, error: ZcloadError | None) -> ZcloadError | None:
    """Record a caution if the CPU quota of the control group has stopped the run since *before*."""
    now = cgroup_limits()
    stopped = (now.throttled or 0) - (before.throttled or 0)
    if before.throttled is None or now.throttled is None or stopped <= 0:
        return error
    found = caution("throttled", throttled=stopped, periods=max(stopped, (now.periods or 0) - (before.periods or 0)))
    return _store(recorder, {"kind": "caution", **found.as_dict()}, error)


def _store(recorder: Recorder, record: dict[str, Any], error: ZcloadError | None) -> ZcloadError | None:
    """Store the last record; a disk that is full may be what ended the run, and is no reason to lose its report."""
    try:
        recorder.write(record)
    except StudyError as caught:
        return error or caught
    return error


def _dicts(cautions: Iterable[Caution]) -> list[CautionRecord]:
    return [caution.as_dict() for caution in cautions]
