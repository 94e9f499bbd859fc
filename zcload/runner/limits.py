"""How long each phase of a run may take at most, whatever stalls and however loaded the machine is. `plan` adds them up.

A process that has stopped is found after ten seconds (zcload/lane/rest.py and others). These limits end a phase that still makes progress,
or waits, for too long.
"""

from __future__ import annotations

from collections.abc import Sequence

from zcload.mechanisms import mechanism_of
from zcload.model import timing
from zcload.model.schedule import LONGEST_WINDOW_S
from zcload.model.study import Point, Study
from zcload.model.timing import FEWEST_GENERATIONS, LEAST_BLOCKS, lanes_measured, least_generation_s, least_window_s, longest_transfer_s
from zcload.runner.block import REPEAT_LIMIT
from zcload.runner.calibrate import BEST_CHUNKS, CALIBRATION_WINDOWS, LONGEST_S, extra_s, lanes_at_once
from zcload.runner.point import CHECK_BLOCKS, CHECK_GENERATIONS, CHECK_WINDOW_S
from zcload.runner.point_state import PointState

LONGEST_WAIT_S = 5.0  # for other work on the machine to end, before anything is measured
START_S = 30.0  # for a process to start and to end, and a phase to find that something stands still
PROCESS_S = 0.05  # for each further process of a lane to be forked, to be ready and to end: ten times what it takes
FILE_BYTES_PER_S = 0.25e9  # a made file is hashed out at about this rate by one CPU
PASS_BYTES_PER_S = 0.8e9  # of a lane that moves the whole file in a window, on one host
COLD_BYTES_PER_S = 0.05e9  # of one whose file has to be read from a slow disk first
_SLOW = 10.0  # a machine that others load may be so many times slower than an idle one
_CALIBRATE_S = 2.0
DRAW_S = 300.0  # after which the page gives its charts up (zcload/report/charts/draw.py)
CONCLUDE_S = 300.0  # for a short result: a hundred times what it takes, for a machine that does nothing else for minutes
READ_BYTES_PER_S = 10e6  # of a stored result: half of what one process evaluates where a million windows take a minute
STORED_BYTES_PER_S = 0.2e6  # that a run writes at most: 25 windows of 1 KB a second, and what belongs to them, of many processes
_CHUNK_S = 0.5  # for each chunk that is tried as the best


def making_s(point: Point) -> float:
    """Return how long making the file of *point* in memory may take; writing one to a disk, or reading the user's, at 5 MB/s at least."""
    if point.file is not None or point.dir is not None:
        return START_S + longest_transfer_s(point.file_size)
    return START_S + _SLOW * point.file_size / FILE_BYTES_PER_S


def setting_up_s(study: Study, point: Point) -> float:
    """Return how long all lanes of *point* may take to be set up and torn down: a server has the times that its config gives it."""
    servers = [variant.server for variant in study.variants if variant.server is not None]
    server_s = max((server.ready_s + server.grace_s for server in servers), default=0.0)
    processes = point.senders + point.receiver_count + point.relays
    return START_S + lanes_measured(study) * (server_s + PROCESS_S * processes)


def preparing_s(study: Study, point: Point) -> float:
    """Return how long verifying and calibrating *point* may take: each lane has the time that verification allows."""
    chunks = len(BEST_CHUNKS) * _CHUNK_S if study.best_chunk else 0.0
    transfers = lanes_at_once(study) * longest_transfer_s(point.file_size, study.cluster is not None)
    passes = _passes_across_s(study, point, CALIBRATION_WINDOWS)
    return setting_up_s(study, point) + transfers + passes + _SLOW * (_CALIBRATE_S + chunks + extra_s(study, point))


def generation_s(study: Study, point: Point) -> float:
    """Return how long one generation of *point* may take; a lane may move the whole file in each window.

    Its windows may be the longest that calibration chooses, and one more of each lane counts perf events. Work of others that begins late
    in a long run may have all blocks repeated in one generation that the whole run may repeat.
    """
    bytes_per_s = COLD_BYTES_PER_S if point.cache == "cold" else PASS_BYTES_PER_S
    lanes, longest = lanes_measured(study), _longest_window_s(study, point)
    windows = timing.generation_s(study, point, longest, lanes) + lanes * longest
    passes = _SLOW * (1 + LEAST_BLOCKS) * lanes * point.file_size / bytes_per_s + _passes_across_s(study, point, 1 + LEAST_BLOCKS)
    repeats = study.stop.max_time_s * REPEAT_LIMIT / (1 - REPEAT_LIMIT)
    return setting_up_s(study, point) + windows + _SLOW * (1.0 + least_generation_s(study, point)) + passes + repeats


def _passes_across_s(study: Study, point: Point, windows: int) -> float:
    """Return how long *windows* of each lane may take that moves the whole file in a window, from host to host; 0.0 on one host."""
    if study.cluster is None:
        return 0.0
    whole = sum(mechanism_of(contender).whole_pass for contender in study.contenders(point))
    return windows * whole * longest_transfer_s(point.file_size, across=True)


def _longest_window_s(study: Study, point: Point) -> float:
    """Return how long the windows of *point* may be; at a rate a server may send more at once than is known before."""
    return study.stop.window_s or (LONGEST_WINDOW_S if least_window_s(study, point) else LONGEST_S)


def planned_check_s(study: Study, point: Point) -> float:
    """Return about how long the check of *point* by long windows takes."""
    return CHECK_GENERATIONS * CHECK_BLOCKS * max(CHECK_WINDOW_S, least_window_s(study, point)) * lanes_measured(study)


def check_s(study: Study, point: Point) -> float:
    """Return how long that check may take."""
    passes = _passes_across_s(study, point, CHECK_GENERATIONS * CHECK_BLOCKS)
    return CHECK_GENERATIONS * setting_up_s(study, point) + _SLOW * planned_check_s(study, point) + passes


def replicate_s(study: Study, states: Sequence[PointState], rounds: int) -> float:
    """Return how long a replicate of the points of *states* may take; with 0 *rounds* it only checks their windows."""
    total = START_S
    for state in states:
        point = study.points[state.index]
        total += making_s(point) + (0.0 if state.prepared else preparing_s(study, point))
        # Rounds are so many that they fit into what is left of the point's time, but for the last.
        total += study.stop.max_time_s + generation_s(study, point) if rounds else check_s(study, point)
    return total


def point_s(study: Study, point: Point) -> float:
    """Return how long *point* may take in all, from its file to its last window."""
    each = generation_s(study, point)
    if study.stop.replicates > 1:
        each += START_S + making_s(point)  # each replicate starts anew, with a file of its own
    return making_s(point) + preparing_s(study, point) + study.stop.max_time_s + (FEWEST_GENERATIONS + 1) * each


def concluding_s(stored_bytes: float) -> float:
    """Return how long it may take to evaluate a result whose windows take so many bytes, or to make its page."""
    return CONCLUDE_S + _SLOW * stored_bytes / READ_BYTES_PER_S


def run_s(study: Study, check_windows: bool) -> float:
    """Return how long a run of *study* may take until its page is written: the limits of all its phases, one after another."""
    points = sum(point_s(study, point) + check_windows * check_s(study, point) for point in study.points)
    measured = len(study.points) * study.stop.max_time_s
    search = study.crossover
    if search is not None:  # it has a limit of its own for all its points, and looks at it before each round
        points += search.max_time_s - measured
        measured = search.max_time_s
    return LONGEST_WAIT_S + START_S + points + 2 * concluding_s(STORED_BYTES_PER_S * measured) + DRAW_S
