"""What hosts are asked for before anything is measured on them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from zcload.cluster.session import SLOW_ANSWER_S
from zcload.errors import StudyError
from zcload.model.study import Point, Study, Variant
from zcload.runner.cluster_measurer import ClusterResources


def test_a_large_file_may_take_longer_to_be_made():
    """The hosts that make a file of 100 GiB have more time for it than for a small one."""
    waits = []

    def exchange(orders, answer, timeout_s):
        waits.append(timeout_s)
        raise StudyError("enough")

    for size in (1, 100 << 30):
        resources = ClusterResources.__new__(ClusterResources)
        resources.study = Study("s", "v", (Variant("v", "sendfile"),), (Point(file_size=size),))
        resources._files, resources._view, resources._swap = {}, lambda progress: None, True
        resources._casting = SimpleNamespace(hosts=("a", "b"))
        resources._joined = SimpleNamespace(session=SimpleNamespace(exchange=exchange))
        with pytest.raises(StudyError, match="enough"):
            resources._file(SimpleNamespace(index=0))
    assert SLOW_ANSWER_S < waits[0] < waits[1]
