"""Run the demo: make or open the file, verify every contender once, then time rounds of transfers in random order."""

from __future__ import annotations

import os
import platform
import random
import secrets

from zcload.errors import ConfigError, Problem, ZcloadError
from zcload.lane.payload import MEMORY_RESERVE, Source, available_memory, open_source
from zcload.linux import interrupt
from zcload.linux.collector import quiet_collector
from zcload.model.progress import Progress, Viewer, nobody
from zcload.model.study import Point
from zcload.model.units import human_bytes
from zcload.oneshot.demo.contenders import CONTENDERS, NOTE_BYTES, DemoContender
from zcload.oneshot.demo.result import Demo, Figures
from zcload.oneshot.demo.timed_transfer import TimedTransfer, transfer
from zcload.oneshot.send import open_file

ROUNDS = 5
_SIZES = (NOTE_BYTES, 1_200_000_000, 600_000_000, 300_000_000, 120_000_000, 60_000_000, 24_000_000, 12_000_000)

Rounds = list[dict[str, TimedTransfer]]


def demo(file: str | None = None, *, size: int | None = None, rounds: int = ROUNDS, seed: int | None = None, view: Viewer = nobody) -> Demo:
    """Repeat the note's experiment *rounds* times with *file*, or with one of *size* bytes made in memory.

    *view* is called between transfers only. What goes wrong after a whole round is in the result; before that it is raised:
    ConfigError, StudyError, Interrupted.
    """
    if rounds < 1:
        raise ConfigError(
            Problem(f"{rounds} rounds measure nothing", key="--rounds", remedy="at least 2 give an interval, 5 are the default")
        )
    point, notes = _file(file, size)
    seed = secrets.randbits(32) if seed is None else seed
    done: Rounds = []
    error: ZcloadError | None = None
    with interrupt.graceful(), quiet_collector():
        source = open_source(point, lambda what, fraction: view(Progress(what, fraction=fraction)))
        try:
            out = _out(source)
            notes += _cautions(source)
            try:
                _measure(source, [c for c in CONTENDERS if c.name not in out], rounds, random.Random(seed), done, out, view)
            except ZcloadError as caught:
                if not done:
                    raise
                error = caught
        finally:
            source.close()
    contenders = tuple(_figures(contender, done, out.get(contender.name)) for contender in CONTENDERS)
    cpus = len(os.sched_getaffinity(0))
    return Demo(source.path, source.size, source.digest, seed, len(done), contenders, notes, platform.release(), cpus, error)


def _file(file: str | None, size: int | None) -> tuple[Point, tuple[str, ...]]:
    """Return what is to be sent, and what must be said about that; raises ConfigError."""
    if file is not None:
        if size is not None:
            raise ConfigError(Problem("a file of your own has its own size", key="--size", remedy="leave --size or FILE out"))
        fd = open_file(file)
        try:
            if not os.fstat(fd).st_size:
                raise ConfigError(Problem(f"{file} is empty: there is nothing to compare"))
        finally:
            os.close(fd)
        return Point(file=file), ()
    room = max(available_memory() - MEMORY_RESERVE, 0)
    if size is not None:
        if not 0 < size <= room:
            what = (
                f"a file of {human_bytes(size)} does not fit: {human_bytes(room)} of memory can be used"
                if size
                else "0 bytes are nothing to send"
            )
            raise ConfigError(Problem(what, key="--size", remedy="such as '600MB'"))
        return Point(file_size=size), ()
    # The file and the copy that slurp_send makes of it, both in memory at once.
    fitting = [each for each in _SIZES if 2 * each <= room]
    if not fitting:
        raise ConfigError(Problem(f"there is not enough memory for a file and a copy of it: {human_bytes(room)} can be used"))
    if fitting[0] == NOTE_BYTES:
        return Point(file_size=NOTE_BYTES), ()
    note = (
        f"the file has {human_bytes(fitting[0])}, not the note's {human_bytes(NOTE_BYTES)}: "
        f"{human_bytes(room)} of memory can be used, and a second copy must fit"
    )
    return Point(file_size=fitting[0]), (note,)


def _out(source: Source) -> dict[str, str]:
    """Return why a contender cannot run, by its name: one that runs out of memory is killed, and maybe its neighbours with it."""
    room = available_memory() - MEMORY_RESERVE
    if source.size <= room:
        return {}
    why = f"it reads the whole file into memory: {human_bytes(source.size)}, and {human_bytes(max(room, 0))} can be used"
    return {contender.name: why for contender in CONTENDERS if contender.holds_file}


def _cautions(source: Source) -> tuple[str, ...]:
    if source.path is None or 2 * source.size <= available_memory():
        return ()
    return ("the file and a copy of it may not both stay in memory: some transfers may have read from the disk",)


def _measure(
    source: Source, running: list[DemoContender], rounds: int, rng: random.Random, done: Rounds, out: dict[str, str], view: Viewer
) -> None:
    """Verify, then append a dict of trials to *done* for every whole round; a contender that no longer fits goes to *out*."""
    for turn, contender in enumerate(running):
        view(Progress("verifying", contender.name, fraction=turn / len(running)))
        transfer(contender, source, verify=True)
    for number in range(rounds):
        rng.shuffle(running)
        trials: dict[str, TimedTransfer] = {}
        for turn, contender in enumerate(running):
            detail = f"round {number + 1} of {rounds}: {contender.name}"
            view(Progress("measuring", detail, fraction=(number + turn / len(running)) / rounds))
            interrupt.check()
            short = _out(source).get(contender.name)
            if short is not None:  # memory that was there at the start is gone
                out[contender.name] = short
                continue
            trials[contender.name] = transfer(contender, source)
        source.check()
        done.append(trials)
        running = [contender for contender in running if contender.name not in out]


def _figures(contender: DemoContender, done: Rounds, out: str | None) -> Figures:
    if out is not None:
        return Figures(contender.name, contender.what, skipped=out)
    trials = [trials[contender.name] for trials in done]
    return Figures(
        contender.name,
        contender.what,
        seconds=tuple(timed_transfer.seconds for timed_transfer in trials),
        sender_cpu_s=tuple(timed_transfer.sender_cpu_s for timed_transfer in trials),
        receiver_cpu_s=tuple(timed_transfer.receiver_cpu_s for timed_transfer in trials),
        sender_minor_faults=tuple(timed_transfer.sender_minor_faults for timed_transfer in trials),
    )
