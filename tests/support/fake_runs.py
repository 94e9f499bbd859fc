"""Results with figures of one's choosing, as a run would have stored them: what comparisons and histories are tested with."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from zcload.model.metrics import FIRST_METRICS, METRICS
from zcload.store.reader import Result

HOST = {"kernel_release": "6.1.0", "cpu_model": "EPYC", "cpus_allowed": [0, 1], "irq_time_accounting": "no", "architecture": "x86_64"}
SETTING = {"chunk_bytes": 65536, "file_bytes": 1 << 28, "senders": 1, "rate_bps": None, "placement": "spread", "congestion": "cubic",
           "file": "auto", "dir": "auto", "address": "127.0.0.1",
           "receivers": 1, "receive_chunk_bytes": 65536, "sink": "recv", "cache": "warm", "transfer": "stream", "network": "loopback",
           "mtu_bytes": None, "offloads": None, "socket_buffer_bytes": 1 << 20}  # fmt: skip
HEADLINE = "total_cpu_s_per_gb"
NOTHING = (None, None, None)
NO_INTERVAL = {"estimate": None, "low": None, "high": None}
# What else every result holds, and says nothing here.
EMPTY_POINT = {
    "blocks": 24, "blocks_repeated": 0, "blocks_kept_contaminated": 0, "window_s": 0.05, "window_open_s": None, "observer_share": None,
    "idle_cores": None, "loop_s_per_call": None, "best_chunk": None, "smallest_saving_percent": None, "stopped": None,
    "window_check": None, "network": None,
}  # fmt: skip
EMPTY_VARIANT = {
    "moves_payload": True, "best_chunk": False, "windows": 24, "reason": None, "verified": True, "digest": None, "bytes_sent": 0,
    "bytes_received": 0, "copied_fraction": None, "receiver_mapped_fraction": None, "retransmits": None, "loop_s_per_call": None,
    "bottleneck": None,
}  # fmt: skip
COMPARED = {
    "saving_percent": NO_INTERVAL, "half_width_percent": None, "verdict": None, "reason": None, "ratio_of_sums": NO_INTERVAL,
    "with_contaminated": NO_INTERVAL, "without_contaminated": NO_INTERVAL, "generation_sd": None,
}  # fmt: skip
_seeds = count(1)


def figure(value):
    """Return {estimate, low, high} of a triple, or of an estimate alone with 3 % either way."""
    estimate, low, high = value if isinstance(value, tuple) else (value, value / 1.03, value * 1.03)
    return {"estimate": estimate, "low": low, "high": high}


def point(ratios=None, levels=None, *, name="", generations=12, baseline="copy", variants=(), **setting):
    """Return a point: *ratios* by (variant, metric) against the baseline, *levels* by (variant, metric)."""
    ratios, levels = ratios or {}, levels or {}
    names = list(dict.fromkeys([baseline, *(n for n, _ in [*ratios, *levels]), *variants]))
    return {
        "point": SETTING | setting,
        "name": name,
        "baseline": baseline,
        "generations": generations,
        **EMPTY_POINT,
        "variants": [_variant(n, {key: value for (v, key), value in levels.items() if v == n}) for n in names],
        "comparisons": [
            {"variant": v, "baseline": baseline, "metric": key, "headline": key == HEADLINE, "aa": False, "ratio": figure(value)} | COMPARED
            for (v, key), value in ratios.items()
        ],
        "comparisons_best_chunk": [],
    }


def _variant(name, levels):
    shown = {"sender_minor_faults_per_gb": NOTHING} | levels
    metrics = {key: figure(value) | {"unit": METRICS[key].unit} for key, value in shown.items()}
    known = {"copy": "read_send", "splice": "splice"}
    return {"name": name, "mechanism": known.get(name, "sendfile"), "sink": "recv", "chunk_bytes": 65536, "options": {}, "aa": False,
            "status": "ok", "metrics": metrics} | EMPTY_VARIANT  # fmt: skip


def complete(summary):
    """Return *summary* with every metric of the first release in its variants and comparisons, as one that is stored must have."""
    points = [
        point
        | {
            "variants": [
                v | {"metrics": dict.fromkeys(FIRST_METRICS, NO_INTERVAL | {"unit": ""}) | v["metrics"]} for v in point["variants"]
            ],
            "comparisons": [
                *point["comparisons"],
                *(
                    dict(c, metric=key, headline=False, ratio=NO_INTERVAL)
                    for c in point["comparisons"]
                    if c["headline"]
                    for key in FIRST_METRICS
                    if key != HEADLINE and (c["variant"], key) not in {(d["variant"], d["metric"]) for d in point["comparisons"]}
                ),
            ],
        }
        for point in summary["points"]
    ]
    return summary | {"points": points}


def run(*points, where=None, environment=None, **keys):
    """Return a result of *points* at *where* (a name); *environment* and *keys* change what it says of itself."""
    seed = next(_seeds)
    summary = {
        "schema": "zcload.summary/1", "name": "study", "zcload_version": "0.1.0", "started": "2026-11-23T20:00:00Z", "seed": seed,
        "schedule": "alternate", "headline": HEADLINE, "complete": True, "margin_percent": 3.0, "config": {}, "cautions": [],
        "target_percent": 3.0, "family": 1, "environment": HOST | (environment or {}), "points": list(points),
    }  # fmt: skip
    return Result(summary | keys, Path(where) if where else None)
