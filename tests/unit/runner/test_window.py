"""Windows: what fails in them is named."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from zcload.errors import StudyError
from zcload.runner import window
from zcload.runner.window import LaneFailed


def test_a_failed_lane_is_named_in_the_window(monkeypatch):
    """A lane that fails while it is read is told apart from the others of the window."""
    lane = SimpleNamespace(name="a")

    def fail(lane):
        raise StudyError("sender 0 is gone")

    with pytest.raises(LaneFailed) as caught:
        window._of(lane, fail)
    assert (caught.value.lane, str(caught.value)) == ("a", "sender 0 is gone")
