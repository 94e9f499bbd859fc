"""A sample is whole whatever has become of the processes that it is of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.fake_lanes import Lane

from zcload.host.process import ObservedProcess
from zcload.lane.sampler import SUMS, Sampler
from zcload.model.study import Point, Variant
from zcload.store.codec import decode_line


class Family:
    """Processes that are observed as one."""

    def __init__(self, *processes):
        self._processes = processes

    def members(self):
        return list(self._processes)


@pytest.mark.parametrize("known", [False, True])
def test_a_sample_of_ended_processes_is_whole(known):
    """Sums over processes that have all ended before the first look are zeros, not missing: the line can be read again."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    observed = ObservedProcess(process.pid)
    process.communicate(b"")
    lane = Lane(Variant("served", "read_send").at(Point()))
    lane.observed_senders = [Family(observed)] if known else []
    sample = Sampler([{"served": lane}]).sample()
    assert set(SUMS) <= set(sample["lanes"]["served"]["senders"])
    line = {"kind": "sample", "point": 0, "generation": 0, "purpose": "measure", **sample}
    assert decode_line(json.dumps(line, separators=(",", ":")).encode(), Path("windows.jsonl"), 1, 1) is not None
    observed.close()
