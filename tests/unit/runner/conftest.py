"""A world in which windows, pauses and clocks are not real, and points that are measured in it."""

from __future__ import annotations

import os
import random
from types import SimpleNamespace

import pytest
from support.fake_lanes import WINDOW_S, Lane, World

from zcload.host.topology import Core
from zcload.lane.network import Network
from zcload.linux import interrupt
from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.progress import nobody
from zcload.model.study import Point, Stop, Study, Variant
from zcload.runner import block, calibrate, context
from zcload.runner import point as point_module
from zcload.runner.context import PointContext
from zcload.runner.point import PointRun
from zcload.runner.point_state import PointState


@pytest.fixture
def world(monkeypatch):
    """Return a world in which windows, pauses and clocks are those of its own."""
    made = World()
    for module in (block, calibrate):
        monkeypatch.setattr(module, "measure", made.window)
    monkeypatch.setattr(block, "measure_together", made.together)
    monkeypatch.setattr(block, "time", SimpleNamespace(process_time_ns=lambda: 0))
    monkeypatch.setattr(point_module, "time", SimpleNamespace(monotonic=made.seconds))
    monkeypatch.setattr(interrupt, "pause", made.pass_time)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: None)
    monkeypatch.setattr(context, "wait_for_rest", lambda lane: None, raising=False)
    return made


@pytest.fixture
def run_of(world, monkeypatch):
    """Return a function that makes a PointRun of a study with lanes that are not real, all its records, and what its lanes were told."""

    def make(*contenders, baseline="copy", schedule="alternate", aa=False, best_chunk=False, measured=True, seed=1, **stop):
        variants = [Variant(baseline, "read_send")]
        variants += [Variant("copy#2", "read_send", aa=True)] if aa else []
        variants += [Variant(name, "null" if name == "null" else "sendfile") for name in contenders]
        study = Study("s", baseline, tuple(variants), (Point(),), Stop(**stop), schedule, aa, best_chunk)
        records, told = [], []

        def set_up(variant, point, *, placement, verify, **more):
            return Lane(variant, placement, told)

        monkeypatch.setattr(context, "set_up", set_up)
        source = SimpleNamespace(
            fd=-1, size=1 << 28, digest="d", huge_share=None, check=lambda: None, share_digests=lambda parts, view: ("d",)
        )
        state = PointState(study, 0, TOTAL_CPU_S_PER_GB)
        own = PointContext(
            study=study,
            index=0,
            point=study.points[0],
            source=source,
            cache=SimpleNamespace(cold=False, settle=lambda: 1.0),
            network=Network("127.0.0.1"),
            cores=(Core((0,), (0,)), Core((1,), (1,))),
            congestion=None,
            machine=world,
            rng=random.Random(seed),
            interrupts_apart=False,
            emit=records.append,
            out=state.out,
            cautioned=state.cautioned,
            half_measured=state.half_measured,
        )
        if measured:  # as prepare() would leave it
            state.window_s, state.block_s = WINDOW_S, 0.1
        return SimpleNamespace(run=PointRun(own, state, nobody), state=state, records=records, told=told, context=own)

    return make
