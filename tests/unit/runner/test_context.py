"""What the generations of a point share: the file of a server that ran before, and that all lanes are torn down."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest
from support.fake_lanes import Lane

from zcload.errors import Interrupted, StudyError
from zcload.lane import file_pages
from zcload.model.study import Point
from zcload.runner.context import PointContext, check_identity


@pytest.mark.parametrize(
    ("then", "now", "says"),
    [
        (('"a"', "Mon"), ('"a"', "Mon"), None),
        (('"a"', None), ('"b"', None), "ETag was '\"a\"' and is '\"b\"'"),
        (('"a"', "Mon"), ('"a"', "Tue"), "Last-Modified was 'Mon' and is 'Tue'"),
        (('"a"', None), (None, None), "ETag was '\"a\"' and is missing"),
        (None, None, None),
    ],
)
def test_a_file_that_changes_between_generations_is_noticed(then, now, says):
    """The first identity is kept; a later one that differs is an error that names the header and both values."""
    known = {}
    check_identity(known, "s", then)
    if says is None:
        check_identity(known, "s", now)
        return
    with pytest.raises(StudyError) as caught:
        check_identity(known, "s", now)
    assert str(caught.value) == f"server s: the file that it serves has changed since it was verified: {says}"


def test_a_full_disk_leaves_no_lane_up(run_of, monkeypatch):
    """Where what there is to tell of a lane's end cannot be recorded, the run ends with that error, and every lane is torn down before."""
    made = run_of("zero")
    torn = []
    monkeypatch.setattr(Lane, "late_unauthenticated", lambda lane: 3)
    monkeypatch.setattr(Lane, "tear_down", lambda lane: torn.append(lane.name))

    def full(record):
        raise StudyError("windows.jsonl: no space left on device")

    with pytest.raises(StudyError, match="no space left"), made.context.lanes([made.state.contenders()]):
        made.context.emit = full
    assert sorted(torn) == ["copy", "zero"]


def test_what_a_lane_s_end_has_to_tell_is_recorded_of_an_interrupted_run(run_of, monkeypatch):
    """Connections of others that came until a signal ended the run are counted in its caution."""
    made = run_of("zero")
    monkeypatch.setattr(Lane, "late_unauthenticated", lambda lane: 3)
    monkeypatch.setattr(Lane, "tear_down", lambda lane: None)
    with pytest.raises(Interrupted), made.context.lanes([made.state.contenders()]):
        raise Interrupted(signal.SIGINT)
    assert made.context.strangers == {"copy": 3, "zero": 3}


@pytest.mark.parametrize(
    ("pages", "share", "codes"),
    [("auto", 0.5, ["few_huge_pages"]), ("huge", 0.0, ["few_huge_pages"]), ("auto", 0.95, []), ("small", 0.0, []), ("auto", None, [])],
)
def test_few_huge_pages_are_a_caution_where_they_were_wanted(monkeypatch, pages, share, codes):
    """A file that should lie in huge pages and mostly does not is told; one in small pages on request, or of unknown pages, is not."""
    monkeypatch.setattr(file_pages, "huge_page_bytes", lambda: 2 << 20)
    found = []
    context = SimpleNamespace(
        cache=SimpleNamespace(settle=lambda: 1.0, cold=False),
        point=Point(file_pages=pages),
        source=SimpleNamespace(huge_share=share, size=256 << 20),
        caution=lambda code, **fields: found.append(code),
    )
    PointContext._settle(context)
    assert found == codes
