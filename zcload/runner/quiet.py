"""Wait a few seconds before a run for other work on the machine to end, and show what runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from zcload.host.doctor import BACKGROUND_LIMIT, SAMPLE_S
from zcload.host.environment import LoadSample, foreign_processes, take_sample
from zcload.host.topology import HERE
from zcload.linux import interrupt
from zcload.model.progress import Progress, Viewer
from zcload.runner.limits import LONGEST_WAIT_S

Take = Callable[[], LoadSample | None]


def wait_for_quiet(
    view: Viewer, longest_s: float = LONGEST_WAIT_S, take: Take | None = None, clock: Callable[[], float] = time.monotonic
) -> LoadSample | None:
    """Sample the machine until others use at most BACKGROUND_LIMIT of its CPUs, or for *longest_s* seconds; return the last sample.

    *view* is shown what runs meanwhile. None where the machine cannot be sampled. Raises Interrupted on a signal.
    """
    take = take or _sample
    deadline = clock() + longest_s
    sample = take()
    while sample is not None and sample.busy_cpus > BACKGROUND_LIMIT * sample.cpus and clock() < deadline:
        interrupt.check()
        view(Progress("waiting for other work to end", busiest(sample)))
        sample = take()
    interrupt.check()
    if longest_s and sample is not None and sample.busy_cpus > BACKGROUND_LIMIT * sample.cpus:
        view(Progress("other work goes on: the run takes longer than planned", busiest(sample)))
    return sample


def busiest(sample: LoadSample) -> str:
    """Return what runs beside zcload: "0.93 of 2 CPUs busy: python3 0.91"."""
    names = ", ".join(f"{name} {cpus:.2f}" for name, cpus in sample.top)
    return f"{sample.busy_cpus:.2f} of {sample.cpus} CPUs busy" + (f": {names}" if names else "")


def _sample() -> LoadSample | None:
    def pause(seconds: float) -> None:
        interrupt.pause(seconds)

    return take_sample(HERE, SAMPLE_S, time.monotonic, pause, foreign_processes)
