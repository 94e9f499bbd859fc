"""The crossover section: the axes to look along and their values, what only other keys show to be wrong, and the study that looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from zcload.config.finding import Finding, near_miss
from zcload.config.registries import moves_payload
from zcload.config.sections import CHUNK, FILE_SIZE, PROCESSES, VARIANT_NAME, Section, WorkloadSection, key
from zcload.config.values import RATE, Kind, choice, duration, or_word, percent, text
from zcload.model.study import Crossover, Sizes, Study
from zcload.model.units import ValueRefused, shown

FEWEST = 3  # values: with two there is nothing to bisect
NO_RATE = ValueRefused("'max' is no rate: expected a rate such as 1Gbit/s")


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
    "auto", text("a value", r"[0-9][0-9A-Za-z./]{0,31}", "4KiB", expected="a value as that key takes it", numbers=True), stands_for="auto"
)


class CrossoverSection(Section):
    """Where along one workload key does a contender start to beat the baseline? With this section a run looks for it."""

    sweep: Annotated[str, choice(*_AXES)] = Field(description="The workload key to look along.")
    contender: Annotated[str | None, or_word("auto", VARIANT_NAME)] = key(
        "auto", "Name of the variant that may beat the baseline; 'auto': the only other one."
    )
    low: Annotated[int | str, _VALUE] = key(
        "auto",
        "Least value to look at, as that key takes it; 'auto': 4KiB for chunk, 64KiB for file_size, 4KiB for transfer_size, 1 for senders.",
    )
    high: Annotated[int | str, _VALUE] = key(
        "auto", "Largest value to look at; 'auto': 1MiB for chunk, 64MiB for file_size, 4MiB for transfer_size, 8 for senders."
    )
    precision: Annotated[float, percent("0%", "1000%")] = key(
        "50%", "The search ends when the upper end of the crossing's interval is no more than this above the lower."
    )
    max_time: Annotated[float, duration("1ms", "8760h")] = key("4m", "Longest time for the whole search, set-up of its points included.")


def with_values(section: CrossoverSection, workload: WorkloadSection, given: Mapping[str, Any]) -> tuple[WorkloadSection, dict[str, Any]]:
    """Return *workload*, and what the user has *given* of it, with the ascending values to look at for the key that is swept."""
    found: list[Any] = getattr(workload, section.sweep) if section.sweep in given else values_of(section.model_dump())
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


def values_of(crossover: Mapping[str, Any]) -> list[int]:
    """Return the values to look at between the section's *low* and *high*: low x 1, 1.5, 2, 3, 4, 6 ..., and high.

    Raises ValueRefused, with the key at fault as its second argument.
    """
    axis = _AXES[crossover["sweep"]]
    ends = {}
    for end in ("low", "high"):
        value = crossover.get(end, "auto")
        value = getattr(axis, end) if value == "auto" else value
        if value is None:
            raise _refused(ValueRefused(f"a {crossover['sweep']} has no natural range", "set crossover.low and crossover.high"), end)
        try:
            ends[end] = axis.kind.parse(value)
            if ends[end] is None:
                raise NO_RATE
        except ValueRefused as refused:
            raise _refused(refused, end) from None
    low, high = ends["low"], ends["high"]
    found = {low, high}
    for power in range(64):
        found.update(step // 2 for step in (2 * low << power, 3 * low << power) if step % 2 == 0 and step // 2 < high)
    if len(found) < FEWEST or low >= high:
        raise _refused(ValueRefused(f"the range holds fewer than {FEWEST} values: expected low well below high"), "high")
    return sorted(found)


def _refused(error: ValueRefused, key: str) -> ValueRefused:
    error.args = (error.what, key)
    return error


def find_crossover(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the crossover section of a raw *tree* in the light of the others."""
    crossover, workload = tree.get("crossover"), tree.get("workload", {})
    if not isinstance(crossover, dict) or not isinstance(workload, dict) or crossover.get("sweep") not in _AXES:
        return
    sweep = crossover["sweep"]
    yield from _contender(tree, crossover)
    if sweep == "chunk":
        own = [i for i, v in enumerate(_long_form(tree)) if v.get("chunk") is not None]
        yield from (
            Finding(("variant", i, "chunk"), "the crossover sweeps the chunk: expected variants without one of their own") for i in own
        )
    for other, value in workload.items():
        if other != sweep and isinstance(value, list) and len(value) > 1:
            yield Finding(("workload", other), f"a crossover is looked for along one key, which is {shown(sweep)}: expected one value")
    if sweep == "file_size" and workload.get("file", "auto") != "auto":
        yield Finding(("workload", "file"), "a file of yours has one size: expected 'auto' where file_size is swept")
    if sweep == "transfer_size" and workload.get("transfer", "stream") not in ("per-file", ["per-file"]):
        path = ("workload", "transfer") if "transfer" in workload else ("crossover", "sweep")
        yield Finding(path, "only files that are sent one by one have this size", "set workload.transfer to 'per-file'")
    given: Any = workload.get(sweep)
    if sweep in workload and not isinstance(given, list):
        remedy = "make it a list of the values to look at, or leave it out and set crossover.low and crossover.high"
        yield Finding(("workload", sweep), "this is what the crossover sweeps", remedy)
    elif sweep in workload:
        yield from _listed(sweep, given, crossover)
    else:
        try:
            values_of(crossover)
        except ValueRefused as refused:
            yield Finding(("crossover", refused.args[1]), refused.what, refused.remedy)


def _listed(sweep: str, given: list[Any], crossover: Mapping[str, Any]) -> Iterator[Finding]:
    if sweep == "transfer_size":
        mixed = [i for i, value in enumerate(given) if isinstance(value, str) and value.startswith(("mix:", "file:"))]
        yield from (Finding(("workload", sweep, i), "several sizes at once are no place on an axis: expected one size") for i in mixed)
    if len(given) < FEWEST:
        yield Finding(("workload", sweep), f"{len(given)} values leave nothing to look for: expected {FEWEST} or more")
    if "max" in given:
        yield Finding(("workload", sweep, given.index("max")), NO_RATE.what)
    for end in ("low", "high"):
        if crossover.get(end, "auto") != "auto":
            yield Finding(("crossover", end), f"workload.{sweep} lists the values already: give the list or the range")


def _long_form(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    variants = tree.get("variant", [])
    return [v if isinstance(v, dict) else {} for v in variants] if isinstance(variants, list) else []


def _contender(tree: Mapping[str, Any], crossover: Mapping[str, Any]) -> Iterator[Finding]:
    study = tree.get("study")
    short = study.get("variants", []) if isinstance(study, dict) else None
    if not isinstance(study, dict) or not isinstance(short, list):
        return
    mechanisms = {name: name for name in short if isinstance(name, str)}
    mechanisms |= {v["name"]: v.get("mechanism", "") for v in _long_form(tree) if isinstance(v.get("name"), str)}
    others = [name for name in mechanisms if name != study.get("baseline")]
    contender = crossover.get("contender", "auto")
    if contender == "auto":
        if len(others) != 1:
            remedy = "set it to one of " + ", ".join(map(shown, others)) if others else None
            yield Finding(
                ("crossover", "contender"), f"there are {len(others)} variants beside the baseline: expected to be told which", remedy
            )
    elif contender == study.get("baseline"):
        yield Finding(("crossover", "contender"), "is the baseline itself: expected another variant")
    elif contender not in mechanisms:
        listed = ", ".join(map(shown, others))
        yield Finding(
            ("crossover", "contender"),
            f"{shown(contender)} is not the name of a variant: expected one of {listed}",
            near_miss(contender, others),
        )
    if mechanisms.get(contender) and not moves_payload(mechanisms[contender]):
        yield Finding(("crossover", "contender"), f"{shown(contender)} moves no bytes, so there is nothing to compare")
