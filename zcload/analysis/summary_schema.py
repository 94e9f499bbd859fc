"""The JSON Schema (2020-12) of summary.json: what programs that read results may rely on."""

from __future__ import annotations

from typing import Any

from zcload.analysis.latency import PERCENTILES
from zcload.analysis.summary import SCHEMA
from zcload.analysis.zerocopy_check import LARGEST, SUMS
from zcload.model.metrics import METRICS

_NUMBER, _TEXT = {"type": ["number", "null"]}, {"type": ["string", "null"]}
_INTEGER = {"type": "integer", "minimum": 0}
# The metrics of the first release. Those that came later are not required: every result ever written satisfies the schema.
_FIRST_METRICS = [
    "goodput_bps",
    "sender_cpu_s_per_gb",
    "receiver_cpu_s_per_gb",
    "total_cpu_s_per_gb",
    "system_cpu_s_per_gb",
    "sender_cpu_cores",
    "receiver_cpu_cores",
    "sender_user_s_per_gb",
    "sender_system_s_per_gb",
    "receiver_user_s_per_gb",
    "receiver_system_s_per_gb",
    "sender_voluntary_switches_per_gb",
    "sender_involuntary_switches_per_gb",
    "receiver_voluntary_switches_per_gb",
    "receiver_involuntary_switches_per_gb",
    "sender_syscalls_per_gb",
    "receiver_syscalls_per_gb",
    "sender_minor_faults_per_gb",
    "sender_major_faults_per_gb",
    "sender_read_bytes_per_gb",
]


def _figure(**more: Any) -> dict[str, Any]:
    """An estimate with its 95 % interval; all three null where there is none."""
    return _object({"estimate": _NUMBER, "low": _NUMBER, "high": _NUMBER}, **more)


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    # Adding keys is free (a reader must bear them), so additional properties are never forbidden.
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def summary_schema() -> dict[str, Any]:
    """Return the schema of summary.json."""
    comparison = _object(
        {
            "variant": {"type": "string"},
            "metric": {"enum": list(METRICS)},
            "ratio": _figure(),
            "saving_percent": _figure(),
            "verdict": {"enum": ["saves", "costs", "gains", "loses", "no difference", "inconclusive", None]},
            "reason": _TEXT,
        },
        baseline={"type": "string"},
        headline={"type": "boolean"},
        aa={"type": "boolean"},
        label=_TEXT,
        half_width_percent=_NUMBER,
        ratio_of_sums=_figure(),
        with_contaminated=_figure(),
        difference={"anyOf": [_figure(), {"type": "null"}]},
        generation_sd=_NUMBER,
    )
    metric = _figure(unit={"type": "string"}, reason=_TEXT)
    metric["required"].append("unit")
    latency = _object(
        {
            "kind": {"enum": ["response_time", "service_time"]},
            "count": _INTEGER,
            "unit": {"const": "s"},
            "percentiles": _object({name: _figure(reason=_TEXT) for name in (*PERCENTILES, "max")}),
        },
        mean=_NUMBER,
        curve={"type": "array"},
        lateness={"type": ["object", "null"]},
    )
    rate = _object({"asked_bps": _NUMBER, "achieved_bps": _figure(), "reached": {"type": ["boolean", "null"]}}, lateness={"type": "object"})
    kinds = {"type": "object", "additionalProperties": metric}
    counted = {"type": ["integer", "null"], "minimum": 0}
    truth = _object({**dict.fromkeys((*SUMS, *LARGEST), counted), "copied_fraction": _NUMBER, "fallback_fraction": _NUMBER, "label": _TEXT})
    side = _object({"card": _INTEGER, "local": _INTEGER, "here": _INTEGER, "note": {"type": "string"}, "observed": _NUMBER, "basis": _TEXT})
    copies = {**side, "type": ["object", "null"]}
    bill = _object(
        {
            "calls_per_gb": _object({"sender": kinds, "receiver": kinds}),
            "copies": _object({"sender": copies, "receiver": copies}),
        }
    )
    server = _object(
        {
            **dict.fromkeys(("processes", "processes_ended", "rests", "rests_loose", "request_bytes"), _INTEGER),
            "keep_alive": {"type": "boolean"},
            "ranges": {"type": "boolean"},
            "cpu_from": {"enum": ["cgroup", "clocks"]},
            "version": {"type": "string"},
            "not_seen": {"type": "array", "items": {"type": "string"}},
        },
        tls=_TEXT,
        file_cut={"type": "boolean"},
        **dict.fromkeys(("cpu_clocks_s", "cpu_cgroup_s", "cpu_apart"), _NUMBER),
    )
    variant = _object(
        {
            "name": {"type": "string"},
            "mechanism": {"type": "string"},
            "sink": {"type": "string"},
            "aa": {"type": "boolean"},
            "windows": _INTEGER,
            "status": {"enum": ["ok", "skipped", "failed"]},
            "reason": _TEXT,
            "verified": {"type": ["boolean", "null"]},
            "digest": _TEXT,
            "bytes_sent": _INTEGER,
            "bytes_received": _INTEGER,
            "copied_fraction": _NUMBER,
            "metrics": {"type": "object", "required": _FIRST_METRICS, "additionalProperties": metric},
        },
        chunk_bytes={"type": ["integer", "null"]},
        options={"type": "object"},
        best_chunk={"type": "boolean"},
        receiver_mapped_fraction=_NUMBER,
        retransmits={"type": ["integer", "null"]},
        retransmitted_fraction=_NUMBER,
        truth=truth,
        bill=bill,
        loop_s_per_call=_NUMBER,
        own_cost={"type": ["object", "null"]},
        receiver_own_cost={"type": ["object", "null"]},
        traced=_object({"moved": _TEXT, "reason": _TEXT, "payload_bytes": _INTEGER, "calls": {"type": "array"}}),
        bottleneck={"type": ["object", "null"]},
        server={"anyOf": [server, {"type": "null"}]},
        rate={"anyOf": [rate, {"type": "null"}]},
        latency={"anyOf": [latency, {"type": "null"}]},
    )
    cause = {"type": "object", "required": ["code", "variant", "baseline"]}
    side = _object(
        {
            "role": {"enum": ["sender", "receiver"]},
            "effect": {"enum": ["saves", "costs"]},
            "saving_percent": _figure(),
            "causes": {"type": "array", "items": cause},
        }
    )
    text = {"type": "string"}
    why = _object({"variant": text, "baseline": text, "verdict": text, "sides": {"type": "array", "items": side}})
    point = _object(
        {
            "point": _object({"chunk_bytes": _INTEGER, "file_bytes": _INTEGER, "senders": _INTEGER, "rate_bps": _NUMBER}),
            "baseline": {"type": "string"},
            "generations": _INTEGER,
            "blocks": _INTEGER,
            "variants": {"type": "array", "items": variant},
            "comparisons": {"type": "array", "items": comparison},
            "comparisons_best_chunk": {"type": "array", "items": {**comparison, "required": [*comparison["required"], "baseline"]}},
        },
        name={"type": "string"},
        replicates={"type": ["integer", "null"], "minimum": 1},
        comparisons_over={"type": "array", "items": {**comparison, "required": [*comparison["required"], "baseline"]}},
        smallest_saving_percent=_NUMBER,
        observer_share=_NUMBER,
        window_s=_NUMBER,
        stopped=_TEXT,
        pacing={"type": ["object", "null"]},
        network={"type": ["object", "null"]},
        perf={"type": ["object", "null"]},
        why={"type": "array", "items": why},
    )
    numbers = {"type": "array", "items": {"type": "number"}}
    crossing = _object(
        {
            "sweep": {"enum": ["chunk", "file_size", "transfer_size", "senders", "rate"]},
            "unit": {"type": "string"},
            "contender": {"type": "string"},
            "baseline": {"type": "string"},
            "metric": {"enum": list(METRICS)},
            "confidence": {"type": "number"},
            "range": numbers,
            "verdict": {"enum": ["crosses", "several", "always", "never", "no difference", "open"]},
            "crossings": {"type": "array", "items": _figure(between=numbers, wins={"enum": ["above", "below"]})},
            "wins": numbers,
            "loses": numbers,
            "level": numbers,
            "undecided": numbers,
            "precision_percent": {"type": "number"},
            "stopped": _TEXT,
        }
    )
    caution = _object({"code": {"type": "string"}, "message": {"type": "string"}, "remedy": {"type": "string"}})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "zcload summary",
        **_object(
            {
                "schema": {"const": SCHEMA},
                "name": {"type": "string"},
                "zcload_version": {"type": "string"},
                "complete": {"type": "boolean"},
                "config": {"type": "object"},
                "environment": {"type": "object"},
                "cautions": {"type": "array", "items": caution},
                "points": {"type": "array", "items": point},
            },
            started={"type": "string"},
            seed={"type": "integer"},
            schedule={"enum": ["alternate", "together"]},
            headline={"enum": list(METRICS)},
            margin_percent={"type": "number"},
            target_percent={"type": "number"},
            family=_INTEGER,
            resumed={"type": "array", "items": {"type": "string"}},
            crossing={"anyOf": [{"type": "null"}, crossing]},
        ),
    }
