"""The recorder keeps nothing of what it writes: a run's memory does not grow with its windows."""

from __future__ import annotations

import tracemalloc

from support.fake_results import Cost, Result, header, lane

from zcload.store.reader import WINDOWS, each_record
from zcload.store.writer import Recorder

GENERATIONS = 200


def test_memory_is_flat(tmp_path):
    """After 200 generations the recorder holds no more than after 20, though the file holds all of them."""
    made = Result(header([lane("copy", "read_send"), lane("sendfile")]))
    recorder = Recorder(tmp_path / "r", made.head)
    held = []
    tracemalloc.start()
    try:
        for number in range(GENERATIONS):
            made.records.clear()
            made.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2)})
            for record in made.records:
                recorder.write(record)
            if number in (GENERATIONS // 10, GENERATIONS - 1):
                made.records.clear()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        recorder.close()
    assert held[1] - held[0] < 16_384
    path = tmp_path / "r" / WINDOWS
    assert path.stat().st_size > 500_000
    assert sum(record["kind"] == "generation" for record in each_record(path)) == GENERATIONS
