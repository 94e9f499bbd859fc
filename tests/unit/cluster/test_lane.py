"""Where the workers of a lane on several hosts are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcload.cluster.lane import Layout
from zcload.model.cluster import links_of
from zcload.model.study import Point

HOSTS = ("a", "b", "c", "d")


@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from(["pairs", "fan-in", "fan-out", "mesh"]))
def test_layout(each, takers, pattern):
    """Every link has its senders and receivers, every connection one of each, and the hosts are the link's."""
    takers = min(takers, each)
    links = links_of(
        pattern,
        *{"pairs": (HOSTS[:2], HOSTS[2:]), "fan-in": (HOSTS[:3], HOSTS[3:]), "fan-out": (HOSTS[:1], HOSTS[1:])}.get(
            pattern, (HOSTS, HOSTS)
        ),
    )
    point = Point(senders=each * len(links), receivers=takers * len(links))
    layout = Layout.of(point, links)
    sent = [number for worker in layout.senders for number in worker.connections]
    taken = [number for worker in layout.receivers for number in worker.connections]
    assert sorted(sent) == sorted(taken) == list(range(point.senders))
    assert all(layout.links[worker.link].sender == worker.host for worker in layout.senders)
    assert all(layout.links[worker.link].receiver == worker.host for worker in layout.receivers)
    by_link = layout.as_record()
    assert [len(link["senders"]) for link in by_link] == [each] * len(links)
    assert [len(link["receivers"]) for link in by_link] == [takers] * len(links)


@pytest.mark.parametrize("size", [1 << 20, 3 * (1 << 20) + 5])
def test_shares(size):
    """Every host that sends splits the whole file among its senders."""
    links = links_of("fan-in", HOSTS[:2], HOSTS[2:3])
    layout = Layout.of(Point(senders=6, receivers=2), links)
    shares = layout.share_bytes(size)
    for host in HOSTS[:2]:
        assert sum(shares[worker.connections[0]] for worker in layout.senders if worker.host == host) == size
