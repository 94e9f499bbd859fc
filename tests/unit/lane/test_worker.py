"""Worker processes: what happens where the system refuses to make one."""

from __future__ import annotations

import os

import pytest

from zcload.errors import StudyError
from zcload.lane.worker import spawn


def test_a_fork_that_is_refused_is_a_clear_error(monkeypatch, leaks):
    """Where the system allows no more processes, the error names lane and role and a limit; no descriptor is left."""

    def refuse():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    with pytest.raises(StudyError) as caught:
        spawn("sendfile", "sender", 3, lambda control: None, [], None)
    says = "lane sendfile, sender 3: the process cannot be started: resource temporarily unavailable ("
    assert str(caught.value).startswith(says)
    assert leaks() == {}
