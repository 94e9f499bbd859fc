"""Gates of a run: limits relative to its own baseline."""

from __future__ import annotations

import json

import pytest

from zcload.cli.json_stream import streaming
from zcload.compare.gates import parse
from zcload.compare.run_gates import check_gates, judge_run
from zcload.errors import ConfigError
from zcload.model.progress import Progress

METRIC = "total_cpu_s_per_gb"


def summary(low, high):
    ratio = {"estimate": None if low is None else (low + high) / 2, "low": low, "high": high}
    return {"points": [{"name": "", "comparisons": [{"variant": "sendfile", "metric": METRIC, "ratio": ratio}]}]}


@pytest.mark.parametrize(
    ("gate", "low", "high", "state"),
    [
        (f"{METRIC} > -20%", 0.5, 0.7, "passed"),
        (f"{METRIC} > -20%", 0.7, 0.9, "unproven"),
        (f"{METRIC} > -20%", 0.85, 0.9, "tripped"),
        (f"sendfile: {METRIC} > +5%", 1.06, 1.2, "tripped"),
        (f"{METRIC} < -20%", 0.5, 0.7, "tripped"),
        (f"{METRIC} < -20%", 0.9, 1.1, "passed"),
        (f"{METRIC} > +5%", None, None, "unproven"),
    ],
)
def test_a_gate_of_a_run_judges_the_whole_interval(gate, low, high, state):
    """A gate trips where the whole interval lies beyond its limit, passes where it lies inside, and is unproven else."""
    (judged,) = judge_run([parse(gate)], summary(low, high))
    assert judged.state == state
    assert gate in str(judged)


@pytest.mark.parametrize(
    ("gate", "words"),
    [(f"absolute {METRIC} > +5%", "zcload compare has absolute gates"), (f"splice: {METRIC} > +5%", "there are sendfile")],
)
def test_a_gate_that_cannot_be_judged_is_refused_before_the_run(gate, words):
    """A gate about figures that the run will not have is an error before anything is measured."""
    with pytest.raises(ConfigError, match=words):
        check_gates([parse(gate)], ["sendfile"])


def test_each_progress_is_a_line_of_json(capsys):
    """`--json-stream` prints each progress as one line with named intervals, and hands it on."""
    seen = []
    streaming(seen.append)(Progress("measuring", intervals=(("sendfile", 1.0, 2.0, 3.0, 1.0),)))
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["phase"]) == ("progress", "measuring")
    assert line["intervals"][0]["estimate_percent"] == 2.0
    assert len(seen) == 1
