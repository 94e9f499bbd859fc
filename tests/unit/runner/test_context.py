"""What the generations of a point share: a server that ran before serves the same file in all of them."""

from __future__ import annotations

import pytest

from zcload.errors import StudyError
from zcload.runner.context import check_identity


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
