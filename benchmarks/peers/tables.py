"""Tables of kept rounds in Markdown: a summary, and a table for each comparison."""

from __future__ import annotations

import math
import shlex
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from programs import Program, Run, pinned
from rounds import CASES, Cell, Conditions, Pair, Results

from zcload.analysis.stats import Interval, mean_interval
from zcload.model.units import format_size

FIGURES = (("goodput_bps", "goodput", "Gbit/s", 1e-9, 1), ("sender", "sender", "s/GB", 1.0, 3), ("receiver", "receiver", "s/GB", 1.0, 3))
MORE_IS_BETTER = "goodput_bps"
FEWEST_FOR_BEST = 4  # rounds: to choose a chunk by fewer than three others would be to choose by luck


def ratio_of(pairs: Sequence[Pair], key: str) -> Interval | None:
    """Return zcload's figure over the peer's, with its 95 % interval over the rounds; None for a single round."""
    interval = mean_interval([math.log(getattr(pair.zcload, key) / getattr(pair.peer, key)) for pair in pairs])
    return interval.map(math.exp) if interval else None


def mean_of(runs: Sequence[Run], key: str) -> float:
    """Return the geometric mean of a figure."""
    return math.exp(statistics.fmean(math.log(getattr(run, key)) for run in runs))


def judged(key: str, ratio: Interval) -> str:
    """Say in a word whether the interval shows zcload to be better or worse than the peer."""
    if ratio.low <= 1 <= ratio.high:
        return "open"
    return "better" if (ratio.low > 1) == (key == MORE_IS_BETTER) else "worse"


def shown(ratio: Interval | None, key: str) -> str:
    """Return a ratio with its interval, in bold where zcload is worse."""
    if ratio is None:
        return "one round"
    text = f"{ratio.estimate:.2f} ({ratio.low:.2f}..{ratio.high:.2f})"
    return f"**{text}**" if judged(key, ratio) == "worse" else text


def best(results: Results, cells: Sequence[tuple[Cell, Conditions]], of: str) -> list[Run]:
    """Return the runs of a program (*of*: "zcload" or "peer") at its best chunk, chosen for each round by the goodput of all others.

    A chunk that is chosen by the same round that it is shown with would look better than it is.
    """
    runs = {cell: [getattr(pair, of) for pair in results[cell]] for cell in cells}
    chosen = []
    for at in range(min(map(len, runs.values()))):
        others = {cell: mean_of([*found[:at], *found[at + 1 :]], MORE_IS_BETTER) for cell, found in runs.items()}
        chosen.append(runs[max(others, key=others.__getitem__)][at])
    return chosen


def _comparisons(results: Results) -> Mapping[tuple[str, str], list[tuple[Cell, Conditions]]]:
    """Return the cells of each table: of a case and a sink."""
    found: dict[tuple[str, str], list[tuple[Cell, Conditions]]] = defaultdict(list)
    for cell, conditions in results:
        found[cell.case, cell.sink].append((cell, conditions))
    return found


def summary(results: Results) -> Iterator[str]:
    """Return the lines of the summary: of each comparison the ratios of its cells, and how many show zcload to be better or worse."""
    yield "| what is compared | receivers | senders | cells | goodput | sender CPU | receiver CPU |"
    yield "|---|---|---|---|---|---|---|"
    for (case, sink), cells in _comparisons(results).items():
        for senders in sorted({cell.senders for cell, _ in cells}):
            of = [results[each] for each in cells if each[0].senders == senders]
            columns = []
            for key, *_ in FIGURES:
                ratios = [ratio for pairs in of if (ratio := ratio_of(pairs, key))]
                if not ratios:
                    columns.append("one round")
                    continue
                low, high = min(ratio.estimate for ratio in ratios), max(ratio.estimate for ratio in ratios)
                verdicts = [judged(key, ratio) for ratio in ratios]
                counts = ", ".join(f"{verdicts.count(word)} {word}" for word in ("better", "worse") if word in verdicts)
                columns.append(f"{low:.2f} to {high:.2f}{f': {counts}' if counts else ''}")
            yield f"| {CASES[case].title} | `{sink}` | {senders} | {len(of)} | {' | '.join(columns)} |"


def tables(results: Results) -> Iterator[str]:
    """Return the lines of a table for each comparison, under a heading and what its cells have in common."""
    for (case, sink), cells in _comparisons(results).items():
        yield from ("", f"#### {CASES[case].title}, into `{sink}`", "")
        several = len({cell.receivers for cell, _ in cells}) > 1
        for conditions in dict.fromkeys(conditions for _, conditions in cells):
            yield f"{str(conditions)[0].upper()}{str(conditions)[1:]}:"
            yield ""
            heads = [f"{name} {unit}, {who}" if who else "ratio" for _, name, unit, *_ in FIGURES for who in ("zcload", "peer", "")]
            yield f"| chunk | senders |{' receivers |' if several else ''} rounds | {' | '.join(heads)} |"
            yield "|" + "---|" * (12 + several)
            here = [cell for cell in cells if cell[1] == conditions]
            for group in _by_workers(here):
                receivers = f" {group[0][0].receivers} |" if several else ""
                for cell in group:
                    pairs = results[cell]
                    figures = " | ".join(_figures(pairs))
                    yield f"| {format_size(cell[0].chunk)} | {cell[0].senders} |{receivers} {len(pairs)} | {figures} |"
                if len(group) > 1 and min(len(results[cell]) for cell in group) >= FEWEST_FOR_BEST:
                    both = zip(best(results, group, "zcload"), best(results, group, "peer"), strict=True)
                    pairs = [Pair(group[0][0], conditions, ours, theirs) for ours, theirs in both]
                    yield f"| each one's best | {group[0][0].senders} |{receivers} {len(pairs)} | {' | '.join(_figures(pairs))} |"
            yield ""


def _by_workers(cells: Sequence[tuple[Cell, Conditions]]) -> list[list[tuple[Cell, Conditions]]]:
    groups: dict[tuple[int, int], list[tuple[Cell, Conditions]]] = defaultdict(list)
    for cell in cells:
        groups[cell[0].senders, cell[0].receivers].append(cell)
    return [*groups.values()]


def _figures(pairs: Sequence[Pair]) -> Iterator[str]:
    for key, _, _, scale, digits in FIGURES:
        for runs in ([pair.zcload for pair in pairs], [pair.peer for pair in pairs]):
            yield f"{scale * mean_of(runs, key):.{digits}f}"
        yield shown(ratio_of(pairs, key), key)


def page(results: Results, programs: Mapping[str, Program], command: str) -> str:
    """Return what goes between the markers of a page: the *command*, summary, tables, and what was run of each peer."""
    lines = [f"`{command}`:", "", *summary(results), *tables(results), "What was run of the peers, one example of each case:", "", "```"]
    for name in dict.fromkeys(cell.case for cell, _ in results):
        cell, conditions = next(each for each in results if each[0].case == name)
        commands = programs[CASES[name].peer].commands(conditions.load(cell, "FILE"), ("PORT", "PORT2"), "LOG")
        lines += map(shlex.join, pinned(commands))
    return "\n".join((*lines, "```"))
