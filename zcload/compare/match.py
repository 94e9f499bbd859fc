"""Match the points of one result with those of another: points with the same settings belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from zcload.compare.differences import Difference
from zcload.model.records.summary import PointSummary, VariantRecord
from zcload.store.reader import Result

Point = PointSummary
# Settings that name a place rather than a condition: told where they differ, never a reason to keep points apart.
PLACES = ("file", "dir", "address")
_NOTES = {
    # What `congestion = "auto"` comes to hangs on who runs: root may set cubic, others only what the system allows.
    "congestion": " (an ordinary user gets what net.ipv4.tcp_allowed_congestion_control lists; set workload.congestion for both)",
    "file_pages": " (older results had small pages; set workload.file_pages for both)",
}


def settings(facts: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of a point's *facts*. A file in memory of an older result, without file_pages or with "auto", had small pages."""
    in_memory = facts.get("file") == facts.get("dir") == "auto"
    old = in_memory and facts.get("file_pages", "auto") == "auto"
    return {**facts, "file_pages": "small"} if old else dict(facts)


@dataclass(frozen=True, slots=True)
class Pair:
    """The points of one setting: one of each result that has it, of both sides; *differs* is what is not the same and allowed to be."""

    base: tuple[Point, ...]
    new: tuple[Point, ...]
    differs: tuple[Difference, ...]

    @property
    def name(self) -> str:
        return str(self.base[0]["name"])


@dataclass(frozen=True, slots=True)
class Matched:
    """The points that both sides have, and those of one side only with the nearest of the other and what keeps them apart."""

    pairs: tuple[Pair, ...]
    only_base: tuple[str, ...]
    only_new: tuple[str, ...]


def match(base: Sequence[Result], new: Sequence[Result], allowed: Sequence[str]) -> Matched:
    """Pair the points of *base* and *new* by their settings, but for those *allowed* to differ and those that not all results know."""
    known = [set(settings(point["point"])) for result in (*base, *new) for point in result.summary["points"]]
    keys = sorted(set.intersection(*known) - {*PLACES, *allowed}) if known else []
    ours, theirs = _by_setting(base, keys), _by_setting(new, keys)
    pairs = [Pair(tuple(points), tuple(theirs[s]), _differs(points, theirs[s])) for s, points in ours.items() if s in theirs]
    return Matched(tuple(pairs), tuple(_alone(ours, theirs, keys)), tuple(_alone(theirs, ours, keys)))


def _by_setting(results: Sequence[Result], keys: Sequence[str]) -> dict[tuple[object, ...], list[Point]]:
    found: dict[tuple[object, ...], list[Point]] = {}
    for result in results:
        for point in result.summary["points"]:
            if point["generations"]:
                found.setdefault(tuple(repr(settings(point["point"]).get(key)) for key in keys), []).append(point)
    return found


def _differs(base: Sequence[Point], new: Sequence[Point]) -> tuple[Difference, ...]:
    """Return the settings in which paired points differ all the same, and what is another variant under the same name."""
    found = []
    keys = sorted({key for point in (*base, *new) for key in settings(point["point"])})
    for key in keys:
        values = [{str(value) for p in side if (value := settings(p["point"]).get(key)) is not None} for side in (base, new)]
        if all(values) and len(values[0] | values[1]) > 1:
            found.append(Difference(key, " / ".join(sorted(values[0])), " / ".join(sorted(values[1]))))
    names = [[{v["name"]: _definition(v) for v in point["variants"]} for point in side] for side in (base, new)]
    baseline = base[0]["baseline"]
    for name in dict.fromkeys(name for side in names for point in side for name in point):
        said = [dict.fromkeys(point[name] for point in side if name in point) for side in names]
        if all(said) and len(said[0] | said[1]) > 1:
            why = "every ratio is to it" if name == baseline else None
            found.append(Difference(f"variant {name}", " / ".join(said[0]), " / ".join(said[1]), why))
    others = {point["baseline"] for point in (*base, *new)}
    if len(others) > 1:
        ours, theirs = (" / ".join(sorted({point["baseline"] for point in side})) for side in (base, new))
        found.append(Difference("baseline", ours, theirs, "every ratio is to it"))
    return tuple(found)


def _definition(variant: VariantRecord) -> str:
    options = " ".join(f"{key}={value}" for key, value in sorted(variant.get("options", {}).items()))
    return " ".join(filter(None, [variant["mechanism"], f"chunk {variant.get('chunk_bytes')}", f"sink {variant['sink']}", options]))


def _alone(
    ours: Mapping[tuple[object, ...], Sequence[Point]], theirs: Mapping[tuple[object, ...], Sequence[Point]], keys: Sequence[str]
) -> Iterable[str]:
    """Say of each point without a partner how the nearest one of the other side differs."""
    for setting, points in ours.items():
        if setting in theirs:
            continue
        name = points[0]["name"] or "the only point"
        apart = min(
            ([f"{key} {a} here, {b} there" for key, a, b in zip(keys, setting, other, strict=True) if a != b] for other in theirs),
            key=len,
            default=["nothing was measured there"],
        )
        notes = (note for key, note in _NOTES.items() if any(text.startswith(f"{key} ") for text in apart))
        yield f"{name}: {', '.join(apart)}{''.join(notes)}"
