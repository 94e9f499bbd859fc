"""`zcload send --repeat N --via A,B`: several transfers of one file in turn, and what they show about A and B."""

from __future__ import annotations

import random
import statistics
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zcload.analysis.stats import Interval
from zcload.model.units import counted, human_rate
from zcload.oneshot.demo.demo_answer import amount
from zcload.oneshot.demo.result import ratio
from zcload.oneshot.send import Sent
from zcload.report.text.figures import NONE, significant

_WIDTH = 80
# What is compared: the noun, and its value in one transfer (None where the receiver has not said it).
QUANTITIES: Mapping[str, tuple[str, Callable[[Sent], float | None]]] = {
    "seconds": ("time", lambda sent: sent.seconds),
    "sender_cpu_s": ("the sender's CPU", lambda sent: sent.cpu_s),
    "receiver_cpu_s": ("the receiver's CPU", lambda sent: sent.receiver_cpu_s),
    "total_cpu_s": ("both ends' CPU", lambda sent: None if sent.receiver_cpu_s is None else sent.cpu_s + sent.receiver_cpu_s),
}


@dataclass(frozen=True, slots=True)
class Repeated:
    """The transfers of each mechanism, a value a round in the order of the rounds; the first mechanism is the baseline."""

    transfers: Mapping[str, Sequence[Sent]]
    seed: int

    @property
    def baseline(self) -> str:
        """The mechanism that the others are compared with."""
        return next(iter(self.transfers))

    @property
    def rounds(self) -> int:
        """How many transfers each mechanism has."""
        return len(self.transfers[self.baseline])

    def values(self, mechanism: str, quantity: str) -> list[float]:
        """Return a quantity of every transfer of *mechanism*; empty where a receiver has not said it."""
        found = [QUANTITIES[quantity][1](sent) for sent in self.transfers[mechanism]]
        return [] if None in found else [value for value in found if value is not None]

    def ratio(self, mechanism: str, quantity: str) -> Interval | None:
        """Return the quantity over the baseline's, paired by round, with its 95 % interval; None where there is none."""
        values = self.values(mechanism, quantity)
        return ratio(values, self.values(self.baseline, quantity)) if values else None

    def as_dict(self, one: Callable[[Sent], dict[str, Any]]) -> dict[str, Any]:
        """Return all of it as data for JSON; *one* makes that of a transfer."""
        comparisons = [
            {
                "mechanism": name,
                "baseline": self.baseline,
                "quantity": quantity,
                "ratio": found and {"estimate": found.estimate, "low": found.low, "high": found.high},
            }
            for name in self.transfers
            if name != self.baseline
            for quantity in QUANTITIES
            for found in [self.ratio(name, quantity)]
        ]
        transfers = [one(sent) for number in range(self.rounds) for sent in (each[number] for each in self.transfers.values())]
        return {"rounds": self.rounds, "seed": self.seed, "transfers": transfers, "comparisons": comparisons}


def repeat(mechanisms: Sequence[str], rounds: int, seed: int, send_once: Callable[[str, int], Sent]) -> Repeated:
    """Have *send_once(mechanism, round)* send the file through every mechanism once a round, in an order drawn anew for each."""
    rng = random.Random(seed)
    transfers: dict[str, list[Sent]] = {name: [] for name in mechanisms}
    for number in range(rounds):
        for name in rng.sample(list(transfers), len(transfers)):
            transfers[name].append(send_once(name, number))
    return Repeated(transfers, seed)


def render(repeated: Repeated) -> str:
    """Return the table of medians, and what the pairs of transfers show."""
    from tabulate import tabulate

    headers = ("mechanism", "seconds", "goodput", "sender\nCPU s", "receiver\nCPU s", "both ends\nCPU s")
    rows = [
        [
            name,
            f"{_median(seconds)} ({significant(min(seconds))}..{significant(max(seconds))})",
            human_rate(_goodput_bps(sents)),
            *(_median(repeated.values(name, quantity)) for quantity in QUANTITIES if quantity != "seconds"),
        ]
        for name, sents in repeated.transfers.items()
        for seconds in [repeated.values(name, "seconds")]
    ]
    table = tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))
    rounds = counted(repeated.rounds, "round")
    said = [textwrap.fill(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in _conclusions(repeated)]
    return "\n".join([f"Medians of {rounds} in random order, with the lowest and the highest time", "", table, "", *said]) + "\n"


def _conclusions(repeated: Repeated) -> list[str]:
    others = [name for name in repeated.transfers if name != repeated.baseline]
    if not others:
        return []
    if repeated.rounds < 2:
        return ["One round has no error bar, so nothing can be concluded: repeat it (--repeat 5)."]
    lines = []
    for name in others:
        said = [
            f"{noun} {amount(repeated.ratio(name, quantity))[1]}"
            for quantity, (noun, _) in QUANTITIES.items()
            if repeated.values(name, quantity)
        ]
        lines.append(f"{name} against {repeated.baseline}: {'; '.join(said)}.")
    pairs = counted(repeated.rounds, "pair")
    lines.append(f"In brackets: 95 % intervals from {pairs} of transfers. `zcload run {' '.join(repeated.transfers)}` measures it closely.")
    return lines


def _median(values: Sequence[float]) -> str:
    return significant(statistics.median(values)) if values else NONE


def _goodput_bps(sents: Sequence[Sent]) -> float:
    return 8 * sents[0].bytes / statistics.median(sent.seconds for sent in sents)
