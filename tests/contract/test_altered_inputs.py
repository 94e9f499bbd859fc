"""Altered configs, results, imports, HTTP answers, options and greetings give errors, never a traceback or a hang."""

from __future__ import annotations

import resource
import time

import pytest
from support.altered import CORPUS, TARGETS, inputs, seeds, take

LONGEST_S = 10.0  # of CPU time for one input: other load does not make it longer
MOST_GROWTH_KIB = 150 << 10
# Inputs in each of the nightly parts, by what one costs; all together a million.
NIGHTLY = {"config": 2_500, "results": 1_000, "summary": 2_500, "imports": 12_000, "http": 80_000, "words": 5_000, "handshake": 147_000}
PARTS = 4


def hold(target, first, count, folder):
    """Have *target* take inputs and hold each against the promise."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, data in enumerate(inputs(target, first, count), first):
        began = time.process_time()
        try:
            take(target, data, folder)
        except Exception as error:
            kept = folder / f"{target}-{number}"
            kept.write_bytes(data)
            raise AssertionError(f"{target} input {number} gives {error!r}; it is in {kept}: put it into {CORPUS / target}") from error
        assert time.process_time() - began < LONGEST_S, (target, number)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_GROWTH_KIB, target


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_altered_inputs_give_errors(target, tmp_path):
    """Some hundred inputs of each kind, all of the corpus among them, give an error of zcload's or are taken, quickly."""
    hold(target, 0, len(seeds(target)) + {"config": 60, "results": 60, "summary": 60}.get(target, 500), tmp_path)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("target", TARGETS)
def test_a_million_altered_inputs(target, part, tmp_path):
    """The same holds for a million inputs in all."""
    hold(target, 1000 + part * NIGHTLY[target], NIGHTLY[target], tmp_path)


def test_a_million_is_a_million():
    """The nightly parts have a million inputs together."""
    assert sum(NIGHTLY[target] for target in TARGETS) * PARTS == 1_000_000
