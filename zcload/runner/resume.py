"""Resume a run in its directory: check that this is possible, restore the state of its points, measure finished ones further."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zcload import __version__
from zcload.analysis.events import Events
from zcload.analysis.point_data import Sorting
from zcload.analysis.tally import IdleUse
from zcload.errors import ConfigError, Problem
from zcload.model.printable import typed
from zcload.model.records.lines import Header, Line, first_time_limit
from zcload.model.study import Study
from zcload.model.units import format_duration, human_duration
from zcload.runner.point_state import FAILED, TARGET_REACHED, TIME_LIMIT, PointState
from zcload.runner.rounds import OUT_OF_TIME
from zcload.store.reader import WINDOWS, each_record, read_header

# Facts of the host that may change between the parts of a resumed run without changing what its figures mean.
_MAY_DIFFER = frozenset(("host_name", "memory_bytes", "cgroup_memory_limit_bytes"))
_EVENTS_ONLY = frozenset(("sample", "sampler", "reports"))  # what going on needs nothing of
_EXTENDABLE = (TARGET_REACHED, TIME_LIMIT, OUT_OF_TIME)


@dataclass(frozen=True, slots=True)
class PreviousRun:
    """What a run left: its *header*, how many sessions it had, why the last of them *ended*, how many *replicates* it had begun.

    *max_time_s* is its time limit, which an earlier resumption may have raised. Its records stay where they are: see `restore`.
    """

    header: Header
    replicates: int
    sessions: int
    ended: str
    max_time_s: float
    complete: bool

    def limit_of(self, study: Study, directory: Path) -> float:
        """Return the time limit (s) under which *study*, with the limit of its header or another, resumes this run.

        Raises ConfigError if the run is complete and the limit is not raised, or if it is lowered.
        """
        wanted, first = time_limit(study), first_time_limit(self.header)
        if wanted != first and wanted <= self.max_time_s:
            what = f"{human_duration(wanted)} is not more than the limit so far, {human_duration(self.max_time_s)}"
            remedy = f"zcload run --resume {typed(directory)} --max-time {format_duration(2 * self.max_time_s)}"
            raise ConfigError(Problem(what, file=str(directory), key="--max-time", remedy=remedy))
        if wanted == first and self.complete:
            more = f"zcload run --resume {typed(directory)} --max-time TIME measures it further, zcload run {typed(directory)} repeats it"
            raise ConfigError(Problem("is complete: there is nothing to resume", file=str(directory), key="--resume", remedy=more))
        return wanted if wanted != first else self.max_time_s


def time_limit(study: Study) -> float:
    """Return how long (s) each point of *study* may be measured; in a search it is for all points together."""
    return study.crossover.max_time_s if study.crossover else study.stop.max_time_s


def with_limit(study: Study, max_time_s: float) -> Study:
    """Return *study* with another time limit (s)."""
    if study.crossover:
        return replace(study, crossover=replace(study.crossover, max_time_s=max_time_s))
    return replace(study, stop=replace(study.stop, max_time_s=max_time_s))


def read_previous(directory: Path) -> PreviousRun:
    """Read the run in *directory*, a record at a time; raises ConfigError if it holds none."""
    path = directory / WINDOWS
    header, last, sessions, replicates = read_header(path), None, 1, 0
    limit_s = first_time_limit(header)
    for record in each_record(path):
        last = record
        if record["kind"] == "resumed":
            sessions += 1
            limit_s = record.get("max_time_s", limit_s)
        elif record["kind"] == "generation":
            number = record.get("replicate")
            replicates = max(replicates, 0 if number is None else 1 + number)
    end = last if last is not None and last["kind"] == "end" else None
    return PreviousRun(header, replicates, sessions, end["reason"] if end else "killed", limit_s, bool(end and end["complete"]))


def extend(states: Sequence[PointState], max_time_s: float) -> list[dict[str, object]]:
    """Let the points of *states* that ended at their target or time limit be measured further, up to *max_time_s*.

    Returns the records to write of that. Raises ConfigError if nothing is left to measure.
    """
    found = [state for state in states if state.stopped in _EXTENDABLE]
    if not found and not any(state.going for state in states):
        what = "no point can be measured further: each has failed, or its search has found what it looked for"
        raise ConfigError(Problem(what, key="--resume", remedy="repeat the study: zcload run RESULT_DIR"))
    for state in found:
        state.stopped, state.extended = None, True
    return [{"kind": "extended", "point": state.index, "max_time_s": max_time_s} for state in found]


def check_same(previous: PreviousRun, environment: Mapping[str, object], directory: Path) -> None:
    """Raise ConfigError if host or zcload differ from those that the run began with: its figures would not be one result."""
    if previous.header["zcload_version"] != __version__:
        what = f"was begun with zcload {previous.header['zcload_version']}, this is {__version__}"
        raise ConfigError(Problem(what, file=str(directory), key="--resume", remedy="use the zcload that began it"))
    then: Mapping[str, object] = previous.header["environment"]
    differ = [key for key in then if key not in _MAY_DIFFER and key in environment and then[key] != environment[key]]
    if differ:
        listed = "; ".join(f"{key} was {then[key]!r} and is {environment[key]!r}" for key in differ[:3])
        more = f"; and {len(differ) - 3} more" if len(differ) > 3 else ""
        remedy = f"zcload run {typed(directory)} repeats the study as a result of its own"
        raise ConfigError(
            Problem(
                f"was begun on another host, or on this one in another state: {listed}{more}",
                file=str(directory),
                key="--resume",
                remedy=remedy,
            )
        )


def restore(states: Iterable[PointState], records: Iterable[Line]) -> None:
    """Bring *states* to where the *records* of an earlier session ended, read once. Calibration then chooses nothing anew."""
    restorations = {state.index: _Restoration(state) for state in states}
    begun: set[int] = set()
    for record in records:
        number = record.get("point")
        if isinstance(number, int) and number in restorations and record["kind"] not in _EVENTS_ONLY:
            restorations[number].take(record)
            begun.add(number)
    for number in begun:
        restorations[number].finish()


class _Restoration:
    """Takes the records of one point and brings its *state* to where they end. Windows are added up, not kept."""

    def __init__(self, state: PointState) -> None:
        self._state, self._events, self._sorting, self._idle = state, Events(), Sorting(), IdleUse()
        self._spans: dict[int, tuple[int, int]] = {}

    def take(self, record: Line) -> None:
        self._events.take(record)
        self._sorting.take(record)
        state = self._state
        match record["kind"]:
            case "idle" if record["purpose"] == "measure":
                self._idle.take(record["machine"])
            case "block" if record["purpose"] == "measure":
                state.tolerance.blocks += 1
                state.tolerance.repeats += record["fate"] == "repeated"
            case "extended":
                state.extended = True
            case "generation":
                state.generation = max(state.generation, record["generation"] + 1)
            case "window":
                first, last = self._spans.get(record["generation"], (record["open_ns"], record["rest_ns"]))
                self._spans[record["generation"]] = min(first, record["open_ns"]), max(last, record["rest_ns"])

    def finish(self) -> None:
        state, events = self._state, self._events
        state.idle = self._idle
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
        state.spent_s = sum(last - first for first, last in self._spans.values()) / 1e9
        least = stop.replicates if stop.replicates > 1 else stop.min_generations
        state.take_in(self._sorting.finish(state.idle.cores).used(), least)
