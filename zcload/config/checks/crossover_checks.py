"""Checks of the crossover section against other keys."""

from __future__ import annotations

from collections.abc import Iterator

from zcload.config.crossover import FEWEST, NO_RATE, axis_values
from zcload.config.finding import Finding, near_miss
from zcload.config.registries import moves_payload
from zcload.config.resolved import REFUSED, ConfigTable, Resolved
from zcload.model.units import ValueRefused, shown

_ENDS = ("low", "high")


def find_crossover(config: Resolved) -> Iterator[Finding]:
    """Find what is wrong with the crossover section in the light of the others."""
    section = config.crossover
    if section is None or section.value("sweep") is REFUSED or not config.workload.is_table:
        return
    yield from _contender(config, section)
    yield from _other_keys(config, section.value("sweep"))
    yield from _values(config.workload, section)


def _contender(config: Resolved, section: ConfigTable) -> Iterator[Finding]:
    written = config.study.written.get("variants")
    if not config.study.is_table or ("variants" in config.study and not isinstance(written, list)):
        return
    path, baseline, contender = section.at("contender"), config.study.text("baseline"), section.value("contender")
    mechanisms = {each.name: each.mechanism for each in config.contenders if each.name is not None}
    others = [name for name in mechanisms if name != baseline]
    if contender is REFUSED:
        return
    if contender is None:
        if len(others) != 1:
            remedy = "set it to one of " + ", ".join(map(shown, others)) if others else None
            yield Finding(path, f"missing: which of the {len(others)} variants to compare with the baseline", remedy)
    elif contender == baseline:
        yield Finding(path, "this is the baseline: expected another variant")
    elif contender not in mechanisms:
        what = f"{shown(contender)} is not the name of a variant: expected one of {config.listed(but=baseline)}"
        yield Finding(path, what, near_miss(contender, others))
    mechanism = mechanisms.get(contender)
    if mechanism and not moves_payload(mechanism):
        yield Finding(path, f"{shown(contender)} moves no bytes: expected a variant that does")


def _other_keys(config: Resolved, sweep: str) -> Iterator[Finding]:
    """Find keys that would vary beside the swept one, and those without which it means nothing."""
    workload = config.workload
    for variant in config.variants if sweep == "chunk" else ():
        if "chunk" in variant:
            yield Finding(variant.at("chunk"), "the crossover sweeps the chunk, so a variant cannot set its own")
    for other, written in workload.written.items():
        if other != sweep and isinstance(written, list) and len(written) > 1:
            what = f"a crossover sweeps one key, {shown(sweep)}: expected one value here"
            yield Finding((*workload.path, other), what)
    if sweep == "file_size" and workload.changed("file"):
        yield Finding(workload.at("file"), "your own file has one size: expected 'auto' when file_size is swept")
    if sweep == "transfer_size" and workload.holds("transfer", "stream"):
        path = workload.at("transfer") if "transfer" in workload else ("crossover", "sweep")
        yield Finding(path, "transfer_size only works with transfer = 'per-file'", "set workload.transfer to 'per-file'")


def _values(workload: ConfigTable, section: ConfigTable) -> Iterator[Finding]:
    """Find what keeps the values of the swept key from being looked along: those of the list, or those between the ends."""
    sweep = section.value("sweep")
    if sweep in workload:
        if isinstance(workload.written[sweep], list):
            yield from _list(workload, sweep, len(workload.written[sweep]))
            for end in _ENDS:
                if section.changed(end):
                    yield Finding(section.at(end), f"workload.{sweep} already lists the values: give either the list or the range")
        else:
            remedy = "write a list of values, or leave it out and set crossover.low and crossover.high"
            yield Finding(workload.at(sweep), "the crossover sweeps this key: expected a list", remedy)
    elif all(section.is_known(end) for end in _ENDS):
        try:
            axis_values(sweep, *(section.value(end) for end in _ENDS))
        except ValueRefused as refused:
            yield Finding(section.at(refused.args[1]), refused.what, refused.remedy)


def _list(workload: ConfigTable, sweep: str, count: int) -> Iterator[Finding]:
    found = workload.values(sweep)
    if sweep == "transfer_size":
        for each in found:
            if each.value.path is not None or len(each.value.values) > 1:
                yield Finding(each.path, "a mix of sizes cannot be swept: expected one size")
    if count < FEWEST:
        yield Finding(workload.at(sweep), f"{count} values are too few to search: expected {FEWEST} or more")
    if sweep == "rate":
        yield from (Finding(each.path, NO_RATE) for each in found if each.value is None)
