"""The crossover section: the axes and their values, and the study that searches along them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from zcload.config.sections import CHUNK, FILE_SIZE, PROCESSES, VARIANT_NAME, Section, WorkloadSection, key
from zcload.config.values import RATE, Kind, choice, duration, or_word, percent, text
from zcload.model.study import Crossover, Sizes, Study
from zcload.model.units import ValueRefused

FEWEST = 3  # values: with two there is nothing to bisect
NO_RATE = "'max' is not a rate: expected a rate such as 1Gbit/s"


@dataclass(frozen=True, slots=True)
class Axis:
    """A workload key to look along: the kind of its values, and from where to where by default, as text."""

    kind: Kind
    low: Any = None
    high: Any = None


_AXES = {
    "chunk": Axis(CHUNK, "4KiB", "1MiB"),
    "file_size": Axis(FILE_SIZE, "64KiB", "64MiB"),
    "transfer_size": Axis(FILE_SIZE, "4KiB", "4MiB"),
    "senders": Axis(PROCESSES, 1, 8),
    "rate": Axis(RATE),
}
_VALUE = or_word(
    "auto",
    text("a value", r"[0-9][0-9A-Za-z./]{0,31}", "4KiB", expected="a value in the units of that key", numbers=True),
    stands_for="auto",
)


class CrossoverSection(Section):
    """Where along one workload key does a contender start to beat the baseline? With this section a run looks for it."""

    sweep: Annotated[str, choice(*_AXES)] = Field(description="Sweep this workload key.")
    contender: Annotated[str | None, or_word("auto", VARIANT_NAME)] = key(
        "auto", "Name of the variant to compare with the baseline; 'auto': the only other one."
    )
    low: Annotated[int | str, _VALUE] = key(
        "auto",
        "Smallest value, in the units of that key; 'auto': 4KiB for chunk, 64KiB for file_size, 4KiB for transfer_size, 1 for senders.",
    )
    high: Annotated[int | str, _VALUE] = key(
        "auto", "Largest value; 'auto': 1MiB for chunk, 64MiB for file_size, 4MiB for transfer_size, 8 for senders."
    )
    precision: Annotated[float, percent("0%", "1000%")] = key(
        "50%", "Stop when the upper end of the crossover's interval is at most this far above the lower."
    )
    max_time: Annotated[float, duration("1ms", "8760h")] = key("4m", "Search at most this long in total, including the set-up of points.")


def with_values(section: CrossoverSection, workload: WorkloadSection, given: Mapping[str, Any]) -> tuple[WorkloadSection, dict[str, Any]]:
    """Return *workload*, and what the user has *given* of it, with the ascending values to look at for the key that is swept."""
    found: list[Any] = getattr(workload, section.sweep) if section.sweep in given else axis_values(section.sweep, section.low, section.high)
    if section.sweep == "transfer_size":
        plain = sorted(size.values[0] if isinstance(size, Sizes) else size for size in found)
        found = [Sizes((size,)) for size in plain]
    else:
        found = sorted(found)
    return workload.model_copy(update={section.sweep: found}), {**given, section.sweep: found}


def as_search(section: CrossoverSection, study: Study, given: Mapping[str, Any]) -> Study:
    """Return the resolved *study* as a search: the two variants alone, no best chunk, and the search's own time."""
    contender = section.contender or next(v.name for v in study.variants if v.name != study.baseline and not v.aa)
    written = dict(study.config)
    if section.sweep not in given:  # the section says which values
        written["workload"] = {key: value for key, value in written["workload"].items() if key != section.sweep}
    return replace(
        study,
        variants=tuple(v for v in study.variants if v.name in (study.baseline, contender) or v.aa),
        stop=replace(study.stop, max_time_s=section.max_time),
        best_chunk=False,  # the two are compared at the same value
        crossover=Crossover(section.sweep, contender, section.precision, section.max_time),
        config=written,
    )


def axis_values(sweep: str, low: int | str, high: int | str) -> list[int]:
    """Return the values of *sweep* to look at from *low* to *high*, both as the section takes them: low x 1, 1.5, 2, 3, 4, 6 ..., and high.

    Raises ValueRefused, with the key at fault as its second argument.
    """
    first, last = _end(sweep, "low", low), _end(sweep, "high", high)
    found = {first, last}
    for power in range(64):
        found.update(step // 2 for step in (2 * first << power, 3 * first << power) if step % 2 == 0 and step // 2 < last)
    if len(found) < FEWEST or first >= last:
        raise _refused("high", f"the range contains fewer than {FEWEST} values: expected a low well below high")
    return sorted(found)


def _end(sweep: str, end: str, given: int | str) -> int:
    """Return the value at the *end* of the axis, the axis's own where none is *given*."""
    axis = _AXES[sweep]
    value = getattr(axis, end) if given == "auto" else given
    if value is None:
        raise _refused(end, f"{sweep} has no default range", "set crossover.low and crossover.high")
    try:
        parsed = axis.kind.parse(value)
    except ValueRefused as refused:
        raise _refused(end, refused.what, refused.remedy) from None
    if parsed is None:
        raise _refused(end, NO_RATE)
    return int(parsed)


def _refused(end: str, what: str, remedy: str | None = None) -> ValueRefused:
    error = ValueRefused(what, remedy)
    error.args = (what, end)
    return error
