"""A generated matrix of faults: every kind of study, process, phase and signal. Each ends in a documented way, and nothing is left."""

from __future__ import annotations

import os

import pytest
from support import refusals
from support.fault_runs import problems_of
from support.faults import groups, sample
from support.refusals import CALLS, Refusal, all_problems, all_refusals

SIDE_BY_SIDE = 5 * (os.cpu_count() or 1)  # the runs sleep most of the time
IN_CI = 300


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.timeout(900)
def test_a_sample_of_all_faults(tmp_path):
    """A sample of all faults, each role in it, ends as documented: exit code, an error line, a readable result, and nothing left in 5 s."""
    assert problems_of(sample(IN_CI), tmp_path, SIDE_BY_SIDE) == []


@pytest.mark.nightly
@pytest.mark.serial
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", groups())
def test_every_fault(name, tmp_path):
    """Every kind of study, process, phase and signal, SIGSTOP for ten seconds among them, keeps the same promises."""
    assert problems_of(groups()[name], tmp_path, SIDE_BY_SIDE) == []


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.timeout(400)
def test_a_sample_of_refusals(tmp_path):
    """Calls of a run that the system answers with an error end it in one line that tells the cause, or change nothing."""
    always = [Refusal("os.pipe2", 1, "EMFILE"), Refusal("os.pipe2", 1, "ENFILE"), Refusal("socket.socket", 1, "ENOBUFS")]
    assert all_problems(list(dict.fromkeys([*always, *refusals.sample(18)])), tmp_path, SIDE_BY_SIDE) == []


@pytest.mark.nightly
@pytest.mark.serial
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", CALLS)
def test_every_refusal(name, tmp_path):
    """The same for each kind of call, error and number of the call."""
    assert all_problems([each for each in all_refusals() if each.name == name], tmp_path, SIDE_BY_SIDE) == []


def test_the_matrix_is_large():
    """There are more than a thousand faults; every study, role, phase and signal occurs, and no fault twice."""
    faults = [fault for each in groups().values() for fault in each]
    assert len(faults) > 1000
    assert len(set(map(str, faults))) == len(faults)
    for key in ("kind", "role", "phase", "signum"):
        assert len({getattr(fault, key) for fault in faults}) >= 5, key
        if key != "signum":  # SIGSTOP takes ten seconds
            assert {getattr(fault, key) for fault in sample(IN_CI)} == {getattr(fault, key) for fault in faults}, key
