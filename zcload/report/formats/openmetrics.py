"""Report format `openmetrics`: gauges without time stamps, for a textfile collector or a push gateway.

Format: OpenMetrics 1.0, https://prometheus.io/docs/specs/om/open_metrics_spec/, "Text format". A family has no UNIT line: that asks for
names that end in the unit, and ours end in _per_gb.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from zcload.model.metrics import METRICS
from zcload.report.formats.named_figures import NamedFigure, named
from zcload.store.reader import Result

_BOUNDS = {"": "estimate", "_low": "low", "_high": "high"}


def render(results: Sequence[Result]) -> str:
    """Render *results* as one exposition; the bounds of 95 % intervals are families of their own, with _low and _high."""
    figures = list(named(results, "openmetrics"))
    lines = [*_about(results)]
    for key in METRICS:
        of_key = [each for each in figures if each.metric.key == key]
        if of_key:
            metric = of_key[0].metric
            lines += _families(f"zcload_{key}", f"{metric.label} in {metric.unit}: {metric.definition}", of_key)
    compared = [each for each in figures if each.ratio is not None]
    if compared:
        lines += _families("zcload_ratio", "a metric over the baseline's", compared)
    return "\n".join([*lines, "# EOF"]) + "\n"


def _about(results: Sequence[Result]) -> Iterator[str]:
    # A gauge, not OpenMetrics' own type `info`: the collectors read the older text format too, which refuses a file for that type.
    yield "# TYPE zcload_result_info gauge"
    yield "# HELP zcload_result_info What was measured, and on what."
    for result in results:
        summary, env = result.summary, result.summary["environment"]
        yield (
            "zcload_result_info"
            + _labels(
                study=summary["name"],
                zcload_version=summary["zcload_version"],
                kernel=env.get("kernel_release"),
                cpu=env.get("cpu_model"),
                complete=str(summary["complete"]).lower(),
            )
            + " 1"
        )
    yield "# TYPE zcload_started_timestamp_seconds gauge"
    yield "# UNIT zcload_started_timestamp_seconds seconds"
    yield "# HELP zcload_started_timestamp_seconds When the run began, seconds since the epoch."
    for result in results:
        seconds = datetime.fromisoformat(result.summary["started"]).timestamp()
        yield f"zcload_started_timestamp_seconds{_labels(study=result.summary['name'])} {seconds!r}"


def _families(name: str, what: str, figures: Sequence[NamedFigure]) -> Iterator[str]:
    for suffix, bound in _BOUNDS.items():
        end = "" if bound == "estimate" else f"; {bound} end of the 95 % interval"
        yield f"# TYPE {name}{suffix} gauge"
        yield f"# HELP {name}{suffix} {_escaped(what + end)}."
        for each in figures:
            yield f"{name}{suffix}{_labels(**_of(each, name))} {_value(each, name)[bound]!r}"


def _of(each: NamedFigure, name: str) -> dict[str, str | None]:
    own: dict[str, str | None] = {
        "study": each.study,
        "point": each.point,
        "variant": each.variant,
        "mechanism": each.mechanism,
        "label": each.label,
    }
    return {**own, "baseline": each.baseline, "metric": each.metric.key} if name == "zcload_ratio" else own


def _value(each: NamedFigure, name: str) -> Mapping[str, Any]:
    return each.ratio if name == "zcload_ratio" and each.ratio is not None else each.figure


def _labels(**values: str | None) -> str:
    """Write labels; one without a value is left out, which means the same as an empty one."""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items() if value) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
