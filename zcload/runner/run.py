"""Run a whole study: check the host, make the files, prepare the points, measure generations, store the result."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zcload import __version__
from zcload.cluster.engine import Engine
from zcload.errors import ConfigError, MechanismUnavailableError, StudyError, ZcloadError
from zcload.host.doctor import cautions as doctor_cautions
from zcload.host.doctor import findings
from zcload.host.environment import describe
from zcload.host.process_limits import out_of_resource
from zcload.host.topology import CgroupLimits, Core, cgroup_limits, read_cores
from zcload.lane.connections import choose_congestion
from zcload.lane.network import address_of
from zcload.linux import interrupt
from zcload.linux.descriptors import room_for_files
from zcload.model.cautions import Caution, caution
from zcload.model.progress import Progress, Viewer, nobody
from zcload.model.records.lines import SCHEMA
from zcload.model.records.summary import Summary
from zcload.model.records.values import CautionRecord
from zcload.model.sizes import format_sizes
from zcload.model.study import Point, Study
from zcload.runner import preflight
from zcload.runner.block import Emit
from zcload.runner.cluster_run import open_cluster
from zcload.runner.collector import quiet_collector
from zcload.runner.lane_facts import lane_facts
from zcload.runner.measurer import Host, InProcess, Measurer
from zcload.runner.plan import point_name
from zcload.runner.point_state import PointState, initial_states
from zcload.runner.quiet import LONGEST_WAIT_S, wait_for_quiet
from zcload.runner.replicates import Replicates
from zcload.runner.resume import check_same, extend, read_previous, restore, time_limit, with_limit
from zcload.runner.rounds import run_crossover, run_points, swept_value
from zcload.server.leftovers import clear as clear_leftovers
from zcload.store.reader import WINDOWS, Result, StoredRecords
from zcload.store.summarise_file import summarise_file
from zcload.store.writer import Recorder, check_free, write_summary

RESULTS = Path("results")  # where results go without another directory
VETH_MTU = 1500  # what the kernel gives a veth pair: ETH_DATA_LEN, linux/if_ether.h


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
        if cluster is not None:
            environment, found = cluster.environment, cluster.cautions()
        else:
            environment = describe(host_name=host_name)
            found = doctor_cautions(findings(study=study, sample=wait_for_quiet(view, LONGEST_WAIT_S if wait else 0.0)))
        found += preflight.cautions(study, environment)
        affinity = os.sched_getaffinity(0)
        started = f"{now:%Y-%m-%dT%H:%M:%SZ}"
        error: ZcloadError | None = None
        # From the moment in which there is a result a signal ends it in order.
        with interrupt.graceful():
            states = initial_states(study, environment, out, devices=cluster is not None and cluster.devices)
            if previous and reopened and directory:
                check_same(previous, environment, directory)
                recorder, limit_s = reopened, time_limit(study)
                restore(states, StoredRecords(directory / WINDOWS))
                extended = extend(states, limit_s) if limit_s > previous.max_time_s else ()
                session = {"at": started, "after": previous.ended, "max_time_s": limit_s, "environment": environment}
                for record in ({"kind": "resumed", **session, "cautions": _dicts(found)}, *extended):
                    recorder.write(record)
            else:
                directory = directory or RESULTS / f"{now:%Y%m%dT%H%M%SZ}-{study.name}"
                recorder = Recorder(directory, _header(study, started, seed, environment, found, cluster.facts() if cluster else None))
            quota = cgroup_limits()
            host, seeds = Host(cores, environment, out), f"{seed}, session {previous.sessions + 1}" if previous else str(seed)
            with ExitStack() as stack:
                try:
                    measurer: Measurer
                    first = previous.replicates if previous else 0
                    if cluster is not None:
                        measurer = cluster.measurer(seeds, recorder.write, view, first)
                    elif study.stop.replicates > 1:
                        measurer = Replicates(study, host, seeds, recorder, view, first)
                    else:
                        stack.enter_context(quiet_collector())
                        stack.enter_context(room_for_files(preflight.open_files(study)))
                        measurer = InProcess(study, host, random.Random(seeds), recorder.write, view)
                    stack.callback(measurer.close)
                    _measure(states, measurer, recorder.write, check_windows)
                except ZcloadError as caught:
                    error = caught
                except (OSError, MemoryError) as caught:
                    if (what := out_of_resource(caught)) is None:
                        raise
                    error = StudyError(what)
                finally:
                    os.sched_setaffinity(0, affinity)
                error = _tell_throttling(quota, recorder, error)
                if previous is None and isinstance(error, ConfigError) and not any(state.generation for state in states):
                    recorder.discard()  # what was asked for cannot be done: there is no result, not even a partial one
                    raise error
                error = _store(recorder, {"kind": "end", "complete": error is None, "reason": str(error) if error else "done"}, error)
                view(Progress("evaluating"))
                summary = _evaluate(recorder.directory / WINDOWS)
                try:
                    write_summary(recorder.directory, summary)
                except StudyError as caught:
                    error = error or caught
                recorder.close()
        return Outcome(summary, recorder.directory, error)


def _evaluate(path: Path) -> Summary:
    """Return the summary of what was recorded at *path*; raises StudyError if somebody took the file away or changed it."""
    try:
        return summarise_file(path)
    except ConfigError as error:
        raise StudyError(f"cannot evaluate what was measured: {error}") from None


def _this_host(study: Study) -> tuple[Study, tuple[Core, ...], list[dict[str, MechanismUnavailableError]]]:
    """Check this host for *study*; return that, the host's cores, and for each point the variants that cannot run. Raises ConfigError."""
    cores = read_cores()
    preflight.check_host(study, cores)
    return study, cores, [preflight.unavailable(study, point) for point in study.points]


def _header(
    study: Study, started: str, seed: int, environment: Mapping[str, Any], found: Iterable[Caution], cluster: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the first line of a result: what is measured, how and where."""
    return {
        "kind": "header",
        "schema": SCHEMA,
        "name": study.name,
        "zcload_version": __version__,
        "started": started,
        "seed": seed,
        "schedule": study.schedule,
        "baseline": study.baseline,
        "stop": {
            "target": study.stop.target,
            "margin": study.stop.margin,
            "max_time_s": study.stop.max_time_s,
            "replicates": study.stop.replicates,
        },
        "crossover": crossover_facts(study),
        "config": dict(study.config),
        "environment": environment,
        "cautions": _dicts(found),
        **({"cluster": cluster} if cluster else {}),
        "points": [
            {
                "name": point_name(study, point),
                "point": point_facts(point, environment["congestion_default"] if study.serves else None, cluster is not None),
                "lanes": [lane_facts(variant, point) for variant in study.contenders(point)],
            }
            for point in study.points
        ],
    }


def _dicts(cautions: Iterable[Caution]) -> list[CautionRecord]:
    return [caution.as_dict() for caution in cautions]


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


def point_facts(point: Point, system_congestion: str | None = None, across: bool = False) -> dict[str, Any]:
    """Return a point as data, with units in its keys; null where a value is automatic or unlimited.

    *system_congestion* is what its connections use if none is set. *across*: between hosts.
    """
    return {
        "chunk_bytes": point.chunk,
        "file_bytes": point.file_size,
        **({"file_pages": point.file_pages} if point.file is None and point.dir is None else {}),
        "senders": point.senders,
        "receivers": point.receiver_count,
        "rate_bps": point.rate_bps,
        "receive_chunk_bytes": point.receive_chunk,
        "receive_buffer_offset_bytes": point.receive_buffer_offset,
        "sink": point.sink,
        **({"origin": point.origin} if point.origin else {}),
        "placement": point.placement,
        "cache": point.cache,
        "transfer": point.transfer,
        "transfer_size": format_sizes(point.transfer_size) if point.transfer_size else None,
        "transfer_bytes": sum(point.sizes) / len(point.sizes) if point.sizes else None,
        "transfer_sizes": len(point.sizes) or None,
        "connection": point.connection if point.sizes else None,
        "header_bytes": point.header_bytes or None,
        "arrivals": point.arrivals if point.sizes else None,
        "transfers_per_s": point.transfers_per_s,
        "network": "hosts" if across else point.network,
        "mtu_bytes": (point.mtu or VETH_MTU) if point.network == "veth" else None,
        "offloads": point.offloads if point.network == "veth" else None,
        "gso_max_bytes": point.gso_max_size,
        "address": address_of(point),
        "socket_buffer_bytes": point.socket_buffer,
        "congestion": system_congestion or choose_congestion(point.congestion)[1],
        "file": "auto" if point.file is None else point.file,
        "dir": "auto" if point.dir is None else point.dir,
    }


def crossover_facts(study: Study) -> dict[str, Any] | None:
    """Return the crossover of a study as data; None for an ordinary study. The values are those of the points, in order."""
    if study.crossover is None:
        return None
    least = study.stop.min_generations
    return {
        **asdict(study.crossover),
        "min_generations": least,
        "values": [swept_value(study, number) for number in range(len(study.points))],
    }


def _measure(states: Sequence[PointState], measurer: Measurer, emit: Emit, check_windows: bool) -> None:
    study = states[0].study
    if study.crossover is not None:
        run_crossover(measurer, states, study.crossover, emit)
    else:
        run_points(measurer, states, emit, check_windows)
