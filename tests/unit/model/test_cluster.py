"""Who sends to whom: the links of each pattern, and the numbers of hosts that do not fit it."""

from __future__ import annotations

import pytest

from zcload.errors import ConfigError
from zcload.model.cluster import links_of


@pytest.mark.parametrize(
    ("pattern", "senders", "receivers", "links"),
    [
        ("pairs", ("a", "b"), ("c", "d"), ["a -> c", "b -> d"]),
        ("fan-in", ("a", "b"), ("c",), ["a -> c", "b -> c"]),
        ("fan-out", ("a",), ("b", "c"), ["a -> b", "a -> c"]),
        ("mesh", ("a", "b"), ("c", "d"), ["a -> c", "a -> d", "b -> c", "b -> d"]),
        ("mesh", ("a", "b", "c"), ("a", "b", "c"), ["a -> b", "a -> c", "b -> a", "b -> c", "c -> a", "c -> b"]),
    ],
)
def test_links(pattern, senders, receivers, links):
    """Each pattern connects the hosts as its name says, and no host with itself."""
    assert list(map(str, links_of(pattern, senders, receivers))) == links


@pytest.mark.parametrize(
    ("pattern", "senders", "receivers", "key", "says"),
    [
        ("pairs", ("a", "b"), ("c",), "cluster.pattern", "found 2 and 1"),
        ("fan-in", ("a", "b"), ("c", "d"), "cluster.pattern", "found 2"),
        ("fan-out", ("a", "b"), ("c", "d"), "cluster.pattern", "found 2"),
        ("pairs", (), ("c",), "cluster.senders", "no host takes the role sender"),
        ("mesh", ("a",), (), "cluster.receivers", "no host takes the role receiver"),
        ("pairs", ("a",), ("a",), "cluster.receivers", "send to itself"),
        ("mesh", ("a",), ("a",), "cluster.receivers", "send to itself"),
    ],
)
def test_numbers_of_hosts_that_do_not_fit(pattern, senders, receivers, key, says):
    """A pattern that the hosts do not fit is refused with the key, what was found, and a remedy."""
    with pytest.raises(ConfigError) as refused:
        links_of(pattern, senders, receivers)
    (problem,) = refused.value.problems
    assert problem.key == key
    assert says in problem.what
