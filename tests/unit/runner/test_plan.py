"""Plans: what a study takes, and the names of its points."""

from __future__ import annotations

import pytest

from zcload.model.study import Point, Stop, Study, Variant
from zcload.runner.limits import LONGEST_WAIT_S
from zcload.runner.plan import plan, point_name

POINT = Point()


def study_of(*names, points=(POINT,), **more):
    return Study("s", "read_send", tuple(Variant(name, name) for name in ("read_send", *names)), points, **more)


def test_plan():
    """A plan says what a study takes at most: its limit for each point, long windows only when asked for, and its processes."""
    points = tuple(Point(file_size=1 << 28, chunk=chunk, senders=2) for chunk in (1 << 16, 1 << 18))
    study = study_of("sendfile", points=points, stop=Stop(max_time_s=10.0), swept=("chunk",), best_chunk=False)
    planned = plan(study)
    assert planned.points == ("chunk=64KiB", "chunk=256KiB")
    assert planned.lanes == ("read_send", "sendfile")
    assert (planned.measure_s, planned.check_s) == (20.0, 0.0)
    assert planned.total_s == planned.setup_s + 20.0
    assert planned.setup_s > 0
    assert planned.disk_bytes == 0  # made in memory
    assert planned.memory_bytes >= 1 << 28  # the two points share one file
    assert planned.memory_bytes < 2 << 28
    assert planned.processes == 3 * (2 + 1)  # the idle loop beside the two variants
    assert plan(study, check_windows=True).check_s == 4 * 2 * 2.0 * 2 * 2


def test_files_of_both_kinds_of_pages_are_two():
    """A sweep over file_pages makes a file of each kind, and the plan and the check of memory count both."""
    points = tuple(Point(file_size=1 << 28, file_pages=pages) for pages in ("auto", "huge"))
    one, both = (plan(study_of("sendfile", points=some, best_chunk=False)).memory_bytes for some in (points[:1], points))
    assert both - one == 1 << 28


def test_a_plan_counts_what_a_limit_does_not_hold():
    """A plan has the wait for a quiet machine, the page, and three replicates with their files, however short the time limit is."""
    point = Point(file_size=1 << 30)
    short = {
        replicates: plan(study_of("sendfile", points=(point,), stop=Stop(max_time_s=0.1, replicates=replicates))) for replicates in (1, 6)
    }
    assert short[6].measure_s > 3 * (1 << 30) / 1e9 > short[1].measure_s
    assert short[6].setup_s > LONGEST_WAIT_S


@pytest.mark.parametrize(
    ("contenders", "more", "lanes"),
    [
        (3, {}, 5),
        (4, {}, 6),
        (6, {"best_chunk": True}, 7 + 3),
        (1, {"best_chunk": True}, 8),
        (7, {}, 7 + 3),
        (7, {"schedule": "together"}, 9),
    ],
)
def test_plan_counts_the_baseline_of_every_group(contenders, more, lanes):
    """A plan counts the most lanes there are at once: every group's own baseline, the idle loop, or one for each chunk tried."""
    names = ["sendfile", "splice", "mmap_send", "msg_zerocopy", "uring_splice", "uring_send_zc", "uring_read_send"][:contenders]
    study = study_of(*names, **{"best_chunk": False, **more})
    assert plan(study).processes == lanes * 2


def test_plan_of_renamed_variants_and_files_on_disk():
    """A variant with a name of its own shows its mechanism, the best chunk is a lane more, and a file on disk is disk space."""
    variants = (Variant("read_send", "read_send"), Variant("mine", "sendfile"))
    study = Study("s", "read_send", variants, (Point(dir="/somewhere", file_size=1 << 20),))
    planned = plan(study)
    assert planned.lanes == ("read_send", "mine (sendfile)")
    assert (planned.points, planned.processes, planned.disk_bytes) == (("one point",), 8 * 2, 1 << 20)


@pytest.mark.parametrize(
    ("swept", "values", "name"),
    [
        ((), {}, ""),
        (("chunk",), {"chunk": 1 << 16}, "chunk=64KiB"),
        (("senders", "chunk"), {"chunk": 1 << 20, "senders": 4}, "senders=4, chunk=1MiB"),  # in the config's order
        (("rate",), {"rate_bps": 5e9}, "rate=5Gbit/s"),
        (("file_size", "receive_chunk"), {"file_size": 1 << 30, "receive_chunk": 100}, "file_size=1GiB, receive_chunk=100B"),
        (("placement", "receivers"), {"placement": "same", "receivers": "per-sender"}, "placement=same, receivers=per-sender"),
        (("dir",), {"dir": None}, "dir=auto"),
    ],
)
def test_point_names(swept, values, name):
    """A point is named by what sets it apart, in units that a config file accepts."""
    point = Point(**values)
    assert point_name(study_of(points=(point,), swept=swept), point) == name
