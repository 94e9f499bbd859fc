"""Waiting for a quiet machine: how long, what is shown meanwhile, and what the run is told."""

from __future__ import annotations

import pytest

from zcload import api
from zcload.errors import ConfigError, Interrupted
from zcload.host.environment import LoadSample
from zcload.linux import interrupt
from zcload.runner.quiet import wait_for_quiet
from zcload.runner.run import run
from zcload.store.reader import WINDOWS

BUSY = LoadSample(2, 0.93, 0.0, (("python3", 0.91),))
CALM = LoadSample(2, 0.05, 0.0)


def waited(samples, longest_s=60.0):
    """Return the last sample and what was shown until then."""
    shown, left = [], iter(samples)
    return wait_for_quiet(shown.append, longest_s, lambda: next(left)), [progress.detail for progress in shown]


def test_a_quiet_machine_is_not_waited_for():
    """On a quiet machine one sample is enough, and nothing is shown."""
    assert waited([CALM]) == (CALM, [])


def test_a_busy_machine_is_waited_for_and_what_runs_is_shown():
    """While others use more than 5 % of the CPUs the run waits, and shows how much and which program."""
    assert waited([BUSY, BUSY, CALM]) == (CALM, ["0.93 of 2 CPUs busy: python3 0.91"] * 2)


@pytest.mark.parametrize(("samples", "longest_s"), [([BUSY], 0.0), ([None], 60.0)])
def test_the_wait_ends(samples, longest_s):
    """The wait ends with its time, and at once where the machine cannot be sampled; the last sample is what the result is told."""
    assert waited(samples, longest_s) == (samples[-1], [])


def test_work_that_goes_on_is_named():
    """Where others still work after the wait, the run says that it takes longer than planned, and which programs run."""
    shown, clock = [], iter([0.0, 1.0, 9.0])
    assert wait_for_quiet(shown.append, 5.0, lambda: BUSY, lambda: next(clock)) == BUSY
    assert [progress.phase for progress in shown] == [
        "waiting for other work to end",
        "other work goes on: the run takes longer than planned",
    ]
    assert shown[-1].detail == "0.93 of 2 CPUs busy: python3 0.91"


def test_a_signal_ends_the_wait(monkeypatch):
    """Ctrl-C while it waits ends the run."""
    monkeypatch.setattr(interrupt, "requested", 2)
    with pytest.raises(Interrupted):
        waited([BUSY, BUSY])


def test_a_taken_directory_is_refused_before_the_wait(tmp_path, monkeypatch):
    """`--out` of a directory that holds a result is refused at once: the wait for a quiet machine comes later."""
    (tmp_path / WINDOWS).write_text("")

    def wait(*_):
        pytest.fail("it waited first")

    monkeypatch.setattr("zcload.runner.run.wait_for_quiet", wait)
    with pytest.raises(ConfigError, match="holds a result already"):
        run(api.study_of("smoke"), tmp_path, wait=True)
