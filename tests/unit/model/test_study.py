"""The records of a study: what a variant leaves open is the point's."""

from __future__ import annotations

import re

import pytest
from support.paths import ROOT

from zcload.model.study import Point, Server, Variant


@pytest.mark.parametrize(
    ("own", "resolved"),
    [({}, (1 << 20, "discard")), ({"chunk": 4096}, (4096, "discard")), ({"sink": "recv"}, (1 << 20, "recv"))],
)
def test_a_contender_has_the_variants_values_else_the_points(own, resolved):
    """A variant at a point has its own chunk and sink where it names them, and the point's where it does not."""
    contender = Variant("v", "sendfile", options={"o": True}, aa=True, **own).at(Point(chunk=1 << 20, sink="discard"))
    assert (contender.chunk, contender.sink) == resolved
    assert contender.burst_bytes == contender.chunk
    assert (contender.name, contender.mechanism, contender.options, contender.aa) == ("v", "sendfile", {"o": True}, True)


@pytest.mark.parametrize(("request_bytes", "burst"), [(0, 1 << 16), (4096, 4096), (None, 1 << 28)])
def test_a_servers_burst_is_what_it_is_asked_for(request_bytes, burst):
    """A server sends at a rate what one request asks for: its request_size, the whole file, or a chunk of the point's."""
    server = Variant("s", "server", server=Server(("true",), request_bytes=request_bytes))
    assert server.at(Point(chunk=1 << 16, rate_bps=1e9)).burst_bytes == burst


def test_the_rule_is_written_once():
    """No module but the one of the records chooses between a variant's chunk or sink and the point's."""
    rule = re.compile(r"\.(?:chunk|sink) or \S*\.(?:chunk|sink)\b")
    found = [path.name for path in sorted((ROOT / "zcload").rglob("*.py")) for line in path.read_text().splitlines() if rule.search(line)]
    assert found == ["study.py", "study.py"]
