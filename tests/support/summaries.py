"""Summaries of made results, and parts of them."""

from __future__ import annotations

import json

import jsonschema

from zcload.analysis.summary import summarise
from zcload.store.result_schema import summary_schema


def summary_of(records):
    """Summarise *records* and hold the summary against the schema and against JSON, as every test here must."""
    summary = summarise(records)
    jsonschema.validate(summary, summary_schema(), cls=jsonschema.Draft202012Validator)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    for point in summary["points"]:
        figures = [metric for variant in point["variants"] for metric in variant["metrics"].values()]
        figures += [c["ratio"] | {"reason": c["reason"]} for c in point["comparisons"] + point["comparisons_best_chunk"]]
        for figure in figures:
            assert (figure["estimate"] is None) == (figure["low"] is None) == (figure["high"] is None)
            assert figure["estimate"] is not None or figure["reason"]
    return summary


def point_of(records):
    (point,) = summary_of(records)["points"]
    return point


def variant(point, name):
    return next(v for v in point["variants"] if v["name"] == name)
