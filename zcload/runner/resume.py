"""Resume an interrupted run in its own directory: check that it may be, and restore the state of its points from their records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from zcload import __version__
from zcload.analysis.events import Events
from zcload.analysis.point_data import Sorting
from zcload.analysis.tally import IdleUse
from zcload.errors import ConfigError, Problem
from zcload.model.records.lines import Header, Line
from zcload.runner.point_state import FAILED, PointState
from zcload.store.reader import WINDOWS, each_record, read_header

# Facts of the host that may change between the parts of a resumed run without changing what its figures mean.
_MAY_DIFFER = frozenset(("host_name", "memory_bytes", "cgroup_memory_limit_bytes"))
_EVENTS_ONLY = frozenset(("sample", "sampler", "reports"))  # what going on needs nothing of


@dataclass(frozen=True, slots=True)
class PreviousRun:
    """What an interrupted run left: its *header*, the records of each point by number, how often it was resumed, why it ended."""

    header: Header
    points: Mapping[int, list[Line]]
    sessions: int
    ended: str


def read_previous(directory: Path) -> PreviousRun:
    """Read the interrupted run in *directory*; raises ConfigError if it is complete, or not a run."""
    path = directory / WINDOWS
    header, last, sessions = read_header(path), None, 1
    points: dict[int, list[Line]] = defaultdict(list)
    for record in each_record(path):
        last = record
        sessions += record["kind"] == "resumed"
        number = record.get("point")
        if isinstance(number, int) and record["kind"] not in _EVENTS_ONLY:
            points[number].append(record)
    if last is not None and last["kind"] == "end" and last["complete"]:
        raise ConfigError(
            Problem(
                "is complete: there is nothing to resume", file=str(directory), key="--resume", remedy=f"zcload run {directory} repeats it"
            )
        )
    ended = last["reason"] if last is not None and last["kind"] == "end" else "killed"
    return PreviousRun(header, points, sessions, ended)


def check_same(previous: PreviousRun, environment: Mapping[str, object], directory: Path) -> None:
    """Raise ConfigError if this host, or this zcload, is not the one that the run began on: its figures would not be one result."""
    if previous.header["zcload_version"] != __version__:
        what = f"was begun with zcload {previous.header['zcload_version']}, this is {__version__}"
        raise ConfigError(Problem(what, file=str(directory), key="--resume", remedy="use the zcload that began it"))
    then: Mapping[str, object] = previous.header["environment"]
    differ = [key for key in then if key not in _MAY_DIFFER and key in environment and then[key] != environment[key]]
    if differ:
        listed = "; ".join(f"{key} was {then[key]!r} and is {environment[key]!r}" for key in differ[:3])
        more = f"; and {len(differ) - 3} more" if len(differ) > 3 else ""
        remedy = f"zcload run {directory} repeats the study as a result of its own"
        raise ConfigError(
            Problem(
                f"was begun on another host, or on this one in another state: {listed}{more}",
                file=str(directory),
                key="--resume",
                remedy=remedy,
            )
        )


def restore(state: PointState, records: Iterable[Line]) -> None:
    """Bring *state* to where the *records* of its point, left by an interrupted run, ended. Calibration then chooses nothing anew."""
    events, sorting = Events(), Sorting()
    spans: dict[int, tuple[int, int]] = {}
    state.idle = IdleUse()
    for record in records:
        events.take(record)
        sorting.take(record)
        match record["kind"]:
            case "idle" if record["purpose"] == "measure":
                state.idle.take(record["machine"])
            case "block":
                state.tolerance.blocks += record["purpose"] == "measure"
                state.tolerance.repeats += record["fate"] == "repeated"
            case "generation":
                state.generation = max(state.generation, record["generation"] + 1)
            case "window":
                first, last = spans.get(record["generation"], (record["open_ns"], record["rest_ns"]))
                spans[record["generation"]] = min(first, record["open_ns"]), max(last, record["rest_ns"])
    state.digest = next((record["digest"] for record in events.verified), None)
    for failed in events.failed:
        state.out[failed["variant"]] = failed["reason"]
    for stopped in events.stopped:
        state.stopped = stopped["reason"]
        if state.stopped.startswith(FAILED):
            state.failed = state.stopped.removeprefix(FAILED)
    stop = state.study.stop
    if events.calibrated:
        state.chosen = events.calibrated
        state.study = replace(state.study, stop=replace(stop, window_s=state.chosen["window_s"]))
    state.spent_s = sum(last - first for first, last in spans.values()) / 1e9
    state.take_in(sorting.finish(state.idle.cores).used(), stop.replicates if stop.replicates > 1 else stop.min_generations)


def replicates_of(previous: PreviousRun) -> int:
    """Return how many replicates the interrupted run had begun."""
    numbers = [r.get("replicate") for records in previous.points.values() for r in records if r["kind"] == "generation"]
    return 1 + max((number for number in numbers if number is not None), default=-1)
