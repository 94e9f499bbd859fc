"""Metric keys are constants of one module, and each metric says itself why it may be missing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import zcload
from zcload.model.metrics import FIRST_METRICS, METRICS

PACKAGE = Path(zcload.__file__).parent
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "model" / "metrics.py")
# Keys of other objects of a result that happen to be called like a metric.
OTHERS = {
    ("runner/header.py", "transfers_per_s"),  # the rate of transfers that a point asks for
    ("runner/plan.py", "transfers_per_s"),
    ("report/tables/small_files.py", "transfers_per_s"),
    *(  # the ledgers of hosts and links, and what a check of a cluster measured
        (name, key)
        for name in ("analysis/cluster.py", "report/tables/hosts.py", "cli/cluster.py", "cluster/host_facts.py")
        for key in ("sender_cpu_s_per_gb", "receiver_cpu_s_per_gb", "goodput_bps")
    ),
}
SUFFIXES = sorted({"_" + key.split("_", 1)[1] for key in METRICS if key.count("_") > 2})


def literals(tree):
    """Return the texts in the code of *tree*, and the parts of f-strings that are the end of a metric's key, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in METRICS:
            yield node.value, node.lineno
        if isinstance(node, ast.JoinedStr):
            yield from ((part.value, node.lineno) for part in node.values if isinstance(part, ast.Constant) and part.value in SUFFIXES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_metric_keys_are_written_once(path):
    """No module but zcload.model.metrics writes the key of a metric, or puts one together."""
    name = str(path.relative_to(PACKAGE))
    found = [(text, line) for text, line in literals(ast.parse(path.read_text(encoding="utf-8"))) if (name, text) not in OTHERS]
    assert not found


def test_the_search_finds_keys():
    """The search sees a key in plain and one that an f-string puts together."""
    found = [text for text, _ in literals(ast.parse('a["goodput_bps"], b[f"{role}_cpu_s_per_gb"]'))]
    assert found == ["goodput_bps", "_cpu_s_per_gb"]


def test_metrics_of_the_first_release_are_still_there():
    """No metric of the first release was renamed or removed."""
    assert set(FIRST_METRICS) <= set(METRICS)
    assert len(set(FIRST_METRICS)) == len(FIRST_METRICS) == 20


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.key)
def test_a_metric_says_why_it_is_missing(metric):
    """Every metric has a reason for its absence, and one reason stands for one denominator at most."""
    assert metric.missing
    same = {other.denominator for other in METRICS.values() if other.missing == metric.missing}
    alike = {"gb", "elapsed_s"}, {"transfers", "transfer_span_s"}, {"machine_gb", "machine_elapsed_s"}
    alike += ({"relay_gb", "relay_elapsed_s", "relay_sampled_gb"},)
    events = {d for d in same if d.partition("_")[2].startswith(("cycles", "instructions", "migrations"))}
    assert len(same) == 1 or same in alike or same == events
