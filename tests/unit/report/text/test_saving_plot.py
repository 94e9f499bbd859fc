"""The figures below the plot of a sweep's savings."""

from __future__ import annotations

import pytest

from zcload.report.text.saving_plot import _ruler


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ((-6.2, 47.3), ["-6", "0", "47"]),
        ((-0.3, 0.42), ["-0.3", "0", "0.4"]),
        ((-0.02, 1.24), ["0", "1.2"]),
        ((-12.0, 3.9), ["-12", "0", "4"]),
    ],
)
def test_the_ends_of_the_axis_can_be_told_apart(ends, says):
    """A short axis has a decimal at its ends, a long one none, and no figure is a zero with a sign."""
    assert _ruler(ends, 40).split() == says
