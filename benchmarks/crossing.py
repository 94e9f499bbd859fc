"""How often does the interval of `zcload crossover` hold the crossing? Simulated searches with known truth, through the real code.

Two contenders cost a + b / chunk each, and cross somewhere between 8 KiB and 512 KiB. Each generation's log-ratio has the noise of one of
benchmarks/coverage.py's kinds. The search chooses what to measure, ends as real ones do, and its answer is held against the truth.

    python benchmarks/crossing.py --runs 2000
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.coverage import COPY, LIMIT, OTHER, SCENARIOS, Scenario, generations
from zcload.analysis.crossover import CrossoverFinding
from zcload.analysis.crossover_search import Search
from zcload.analysis.estimates import generation_log_ratio
from zcload.config.crossover import axis_values
from zcload.model.metrics import METRICS, TOTAL_CPU_S_PER_GB

VALUES = axis_values("chunk", "auto", "auto")  # 4 KiB .. 1 MiB
LOW, HIGH = 8 << 10, 512 << 10
MARGIN, PRECISION, LEAST = 0.03, 1.5, 6
BUDGET = 400  # generations: four minutes of a real search are about 150


@dataclass(slots=True)
class Outcome:
    """What *runs* searches came to: verdicts, the share of right ones among those that tell, generations and high / low on average."""

    verdicts: Counter[str]
    held: float
    generations: float
    width: float


def curve(crossing: float) -> Callable[[float], float]:
    """Return the log-ratio by chunk of two costs that cross at *crossing*: 1 and 0.6 a byte, and what a call costs on top."""
    first, second = 1.0, 0.6
    call = 4096.0
    return lambda chunk: math.log((second + (call + (first - second) * crossing) / chunk) / (first + call / chunk))


def residuals(scenario: Scenario, size: int = 3000) -> list[float]:
    """Return a population of generations' log-ratios around their mean."""
    source = generations(scenario, random.Random(scenario.name))
    logs = [generation_log_ratio(METRICS[TOTAL_CPU_S_PER_GB], OTHER, COPY, next(source), COPY) or 0.0 for _ in range(size)]
    mean = sum(logs) / size
    return [log - mean for log in logs]


def search(
    truth: Callable[[float], float], noise: Sequence[float], rng: random.Random, budget: int = BUDGET
) -> tuple[CrossoverFinding, int]:
    """Search as a real run does; return what it found and how many generations it took."""
    found = Search(VALUES, margin=MARGIN, precision=PRECISION, least=LEAST)
    wanted, taken = list(found.logs), 0
    while wanted and taken < budget:
        for value in wanted:
            found.take(value, truth(value) + rng.choice(noise))
        taken += len(wanted)
        wanted = found.look()
    return found.finding(), taken


def coverage(scenario: Scenario, runs: int, seed: int = 1) -> Outcome:
    """Simulate *runs* searches for a crossing that lies anywhere on the axis; a wrong verdict is a miss, an open one tells nothing."""
    rng, noise = random.Random(f"{seed} {scenario.name}"), residuals(scenario)
    verdicts: Counter[str] = Counter()
    held, taken, widths = 0, 0, []
    for _ in range(runs):
        crossing = math.exp(rng.uniform(math.log(LOW), math.log(HIGH)))
        finding, generations_taken = search(curve(crossing), noise, rng)
        verdicts[finding.verdict] += 1
        taken += generations_taken
        if finding.verdict == "crosses":
            at = finding.crossings[0].at
            held += at.low <= crossing <= at.high and finding.crossings[0].wins_above
            widths.append(at.high / at.low)
    told = runs - verdicts["open"]
    return Outcome(verdicts, held / max(told, 1), taken / runs, sum(widths) / max(len(widths), 1))


def false_sides(runs: int, seed: int = 1) -> float:
    """Return the share of searches that claim a side at any value although the contenders are equal at all of them."""
    rng, noise = random.Random(f"{seed} flat"), residuals(SCENARIOS["clean"])
    return sum(bool((f := search(lambda value: 0.0, noise, rng, 150)[0]).wins or f.loses) for _ in range(runs)) / runs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="simulated searches of each kind (2000: +-1 point)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"{'noise':<32}{'held, %':>9}{'generations':>13}{'high/low':>10}  verdicts")
    for name, scenario in SCENARIOS.items():
        found = coverage(scenario, given.runs, given.seed)
        known = " (known limit)" if name == LIMIT else ""
        print(
            f"{name:<32}{100 * found.held:>9.1f}{found.generations:>13.0f}{found.width:>10.2f}  {dict(found.verdicts)}{known}", flush=True
        )
    print(f"\nequal contenders: a side is claimed in {100 * false_sides(given.runs, given.seed):.1f} % of the searches (allowed: 5)")


if __name__ == "__main__":
    main()
