"""Resume an interrupted run in its own directory: check that it may be, and restore the state of its points from their records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zcload import __version__
from zcload.analysis.point_data import sort_out
from zcload.analysis.tally import idle_cores
from zcload.errors import ConfigError, Problem
from zcload.runner.point_state import FAILED, PointState
from zcload.store.reader import WINDOWS, read_records

# Facts of the host that may change between the parts of a resumed run without changing what its figures mean.
_MAY_DIFFER = frozenset(("host_name", "memory_bytes", "cgroup_memory_limit_bytes"))
_EVENTS_ONLY = frozenset(("sample", "sampler", "reports"))  # what going on needs nothing of

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PreviousRun:
    """What an interrupted run left: its *header*, the records of each point by number, how often it was resumed, why it ended."""

    header: Mapping[str, Any]
    points: Mapping[int, list[Record]]
    sessions: int
    ended: str


def read_previous(directory: Path) -> PreviousRun:
    """Read the interrupted run in *directory*; raises ConfigError if it is complete, or not a run."""
    path = directory / WINDOWS
    if not path.exists():
        raise ConfigError(Problem(f"holds no {WINDOWS}: there is no run to resume", file=str(directory), key="--resume"))
    records = read_records(path)
    header, last = records[0], records[-1]
    if last["kind"] == "end" and last["complete"]:
        raise ConfigError(
            Problem(
                "is complete: there is nothing to resume", file=str(directory), key="--resume", remedy=f"zcload run {directory} repeats it"
            )
        )
    points: dict[int, list[Record]] = defaultdict(list)
    for record in records[1:]:
        if "point" in record and record["kind"] not in _EVENTS_ONLY:
            points[record["point"]].append(record)
    ended = last["reason"] if last["kind"] == "end" else "killed"
    return PreviousRun(header, points, 1 + sum(record["kind"] == "resumed" for record in records), ended)


def check_same(previous: PreviousRun, environment: Mapping[str, Any], directory: Path) -> None:
    """Raise ConfigError if this host, or this zcload, is not the one that the run began on: its figures would not be one result."""
    if previous.header["zcload_version"] != __version__:
        what = f"was begun with zcload {previous.header['zcload_version']}, this is {__version__}"
        raise ConfigError(Problem(what, file=str(directory), key="--resume", remedy="use the zcload that began it"))
    then = previous.header["environment"]
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


def restore(state: PointState, records: Sequence[Record]) -> None:
    """Bring *state* to where the *records* of its point, left by an interrupted run, ended. Calibration then chooses nothing anew."""
    events: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        events[record["kind"]].append(record)
    state.digest = next((record["digest"] for record in events["verified"]), None)
    for failed in events["failed"]:
        state.out[failed["variant"]] = failed["reason"]
    for stopped in events["stopped"]:
        state.stopped = stopped["reason"]
        if state.stopped.startswith(FAILED):
            state.failed = state.stopped.removeprefix(FAILED)
    stop = state.study.stop
    if events["calibrated"]:
        state.chosen = events["calibrated"][-1]
        state.study = replace(state.study, stop=replace(stop, window_s=state.chosen["window_s"]))
    state.idle = [record for record in events["idle"] if record["purpose"] == "measure"]
    state.tolerance.blocks = sum(block["purpose"] == "measure" for block in events["block"])
    state.tolerance.repeats = sum(block["fate"] == "repeated" for block in events["block"])
    state.generation = 1 + max((record["generation"] for record in events["generation"]), default=-1)
    spans: dict[int, list[int]] = defaultdict(list)
    for window in events["window"]:
        spans[window["generation"]] += [window["open_ns"], window["rest_ns"]]
    state.spent_s = sum(max(times) - min(times) for times in spans.values()) / 1e9
    state.take_in(sort_out(records, idle_cores(state.idle)).used(), stop.replicates if stop.replicates > 1 else stop.min_generations)


def replicates_of(previous: PreviousRun) -> int:
    """Return how many replicates the interrupted run had begun."""
    numbers = [r.get("replicate") for records in previous.points.values() for r in records if r["kind"] == "generation"]
    return 1 + max((number for number in numbers if number is not None), default=-1)
