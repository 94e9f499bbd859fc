"""Does the instrument tell the truth about itself? Many short runs of read_send, sendfile and read_send again.

    python benchmarks/aa.py --runs 40 --seconds 10

Prints in how many runs the A/A interval holds 1.0 (about 95 % should; `--at-least` makes fewer an error), and whether the
sendfile estimates of the runs spread as much as their intervals say they do.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from pathlib import Path

from zcload.analysis.stats import t_quantile
from zcload.config import from_tree
from zcload.linux import interrupt
from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.runner.run import run

KEYS = (TOTAL_CPU_S_PER_GB, "sender_cpu_s_per_gb")


def main() -> int:
    """Run, print a line a run and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--at-least", type=int, default=0, help="A/A intervals that must hold 1.0")
    options = parser.parse_args()
    interrupt.install()
    study = from_tree(
        {
            "study": {"name": "aa", "baseline": "read_send", "variants": ["read_send", "sendfile"], "aa": True, "best_chunk": False},
            "workload": {"file_size": "256MiB"},
            "stop": {"target": "0.1%", "max_time": f"{options.seconds:g}s"},
        }
    )
    held = dict.fromkeys(KEYS, 0)
    seen: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(study, Path(folder) / "result")
        if outcome.error is not None:
            print(outcome.error, file=sys.stderr)
            return outcome.exit_code
        point = outcome.summary["points"][0]
        words = [f"run {number + 1:3}: {point['generations']} generations"]
        for c in point["comparisons"]:
            if c["metric"] not in KEYS:
                continue
            ratio = c["ratio"]
            seen.setdefault((c["variant"], c["metric"]), []).append({**ratio, "n": point["generations"]})
            held[c["metric"]] += c["aa"] and ratio["low"] <= 1.0 <= ratio["high"]
            words.append(f"{c['variant']} {c['metric'].split('_')[0]} {ratio['estimate']:.3f} ({ratio['low']:.3f}..{ratio['high']:.3f})")
        print("; ".join(words), flush=True)
    print()
    for key in KEYS:
        print(f"A/A, {key}: {held[key]} of {options.runs} intervals hold 1.0")
    for (variant, key), ratios in seen.items():
        logs = [math.log(r["estimate"]) for r in ratios]
        # What the intervals claim: their standard errors, from the half-widths of the logs.
        errors = [(math.log(r["high"]) - math.log(r["low"])) / 2 / t_quantile(0.95, int(r["n"]) - 1) for r in ratios]
        claimed = math.sqrt(statistics.fmean(e * e for e in errors))
        half = 100 * statistics.median((r["high"] - r["low"]) / 2 / max(r["estimate"], 1.0) for r in ratios)
        spread = f"spread {statistics.stdev(logs):.4f} against a claimed {claimed:.4f} (logs)" if len(logs) > 1 else "one run"
        middle = math.exp(statistics.median(logs))
        print(f"{variant}, {key}: median ratio {middle:.3f}, {spread}, median half-width {half:.1f} points")
    return int(held[TOTAL_CPU_S_PER_GB] < options.at_least)


if __name__ == "__main__":
    sys.exit(main())
