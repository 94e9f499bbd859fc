"""Report format `benchstat`: Go's benchmark format with one line per generation.

A line a generation, because set-ups are what differs from one to the next (docs/design.md): the samples that a rank test may take for
independent. Format: https://go.dev/design/14313-benchmark-format and, for the lines that begin with Unit, https://go.dev/issue/43744.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from zcload.analysis.tidy import generation_rows
from zcload.model.metrics import METRICS
from zcload.report.formats.named_figures import records_of
from zcload.report.text.labels import labels
from zcload.store.reader import Result


def render(results: Sequence[Result]) -> str:
    """Render *results* one below the other. Raises ConfigError for one without windows."""
    return "\n".join(line for result in results for line in _lines(result)) + "\n"


def _lines(result: Result) -> Iterator[str]:
    summary = result.summary
    env = summary["environment"]
    # benchstat makes a table for each set of configuration lines: only what must not be compared may be one. The rest is a comment.
    yield "goos: linux"
    yield from (f"{key}: {fact}" for key, fact in (("goarch", env.get("architecture")), ("cpu", env.get("cpu_model"))) if fact)
    kernel = env.get("kernel_release") or "unknown"
    yield f"# {summary['name']}, zcload {summary['zcload_version']}, kernel {kernel}, started {summary['started']}"
    for metric in METRICS.values():
        if metric.better != "none" and not metric.ticks:
            yield f"Unit {metric.key} better={metric.better}"
    points = {point["name"]: point for point in summary["points"]}  # a search's summary has only some of the points that are numbered
    said, now = {name: labels(point) for name, point in points.items()}, ""
    for row in generation_rows(records_of(result, "benchstat")):
        variant, name = str(row["variant"]), str(row["point_name"])
        label = said[name].get(variant, "")
        if label != now:  # a configuration line, so benchstat gives what is labelled a table of its own, under the label
            yield f"label: {label}".rstrip()
            now = label
        senders = points[name]["point"]["senders"]
        pairs = " ".join(f"{row[key]:.6g} {key}" for key in METRICS if key in row)
        yield f"{_name(summary['name'], variant, name, senders)} {row['windows']} {pairs}"


def _name(study: str, variant: str, point: str, senders: int) -> str:
    """Return the benchmark's name, key=value parts after slashes; the senders last, where a number after a hyphen would be GOMAXPROCS."""
    parts = [f"variant={variant}", *filter(None, point.split(", ")), f"senders={senders}"]
    words = ["Benchmark" + study[:1].upper() + study[1:], *dict.fromkeys(part.replace("/", "_") for part in parts)]
    return re.sub(r"\s", "_", "/".join(words))
