"""A file cut to fit: what a server that ignores ranges gets of a file that zcload makes."""

from __future__ import annotations

import os

import pytest
from support.paths import SUPPORT

from zcload import config
from zcload.report.tables.overview import tables
from zcload.runner import resources
from zcload.runner.run import run
from zcload.server.root import DocumentRoot

STUDY = """
[study]
name = "cut"
baseline = "read_send"
variants = ["read_send"]
best_chunk = false
[workload]
file_size = "5MiB"
placement = "free"
[stop]
max_time = "1s"
min_generations = 2
replicates = 1
window = "20ms"
[[variant]]
name = "whole"
kind = "server"
command = ["{python}", "-m", "http.server", "{port}", "--bind", "{address}", "--directory", "{root}"]
[[variant]]
name = "ranges"
kind = "server"
command = ["{python}", "%s", "{port}", "{root}"]
"""


def measured(tmp_path, text):
    """Run a study of *text* and return its one point."""
    path = tmp_path / "s.toml"
    path.write_text(text % (SUPPORT / "range_server.py"))
    outcome = run(config.load(path), tmp_path / "r")
    assert outcome.exit_code == 0
    (point,) = outcome.summary["points"]
    return point, outcome


@pytest.mark.slow
@pytest.mark.serial
def test_a_server_that_ignores_ranges_gets_the_beginning(tmp_path, monkeypatch):
    """Whole answers are of the beginning of a made file, verified as such; who honours ranges has all of it; the report says so."""
    monkeypatch.setattr(resources, "enough_bytes", lambda cache: 1_000_003)
    point, outcome = measured(tmp_path, STUDY)
    servers = {v["name"]: v for v in point["variants"]}
    assert all(v["verified"] for v in servers.values())
    facts = servers["whole"]["server"]
    assert (facts["ranges"], facts["file_cut"], facts["request_bytes"]) == (False, True, 1_000_003)
    assert servers["whole"]["bytes_received"] % 1_000_003 == 0
    facts = servers["ranges"]["server"]
    assert (facts["ranges"], facts["file_cut"]) == (True, False)
    (table,) = [t for t in tables(outcome.summary, point) if t.title == "Servers"]
    row = dict(zip(table.headers, table.rows[0], strict=True))
    assert row["asked for"] == "whole files of 1000003B, cut from 5MiB"


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize("own", [False, True], ids=["it fits", "a file of the user's own"])
def test_a_file_that_fits_or_is_the_users_is_served_whole(own, tmp_path, monkeypatch):
    """Nothing is cut of a file that is short enough, nor of one that zcload has not made."""
    monkeypatch.setattr(resources, "enough_bytes", lambda cache: 1_000_003 if own else 5 << 20)
    text = STUDY
    if own:
        (tmp_path / "mine").write_bytes(os.urandom(5 << 20))
        text = text.replace('file_size = "5MiB"', f'file = "{tmp_path / "mine"}"')
    point, _ = measured(tmp_path, text)
    facts = {v["name"]: v["server"] for v in point["variants"]}["whole"]
    assert (facts["ranges"], facts["file_cut"], facts["request_bytes"]) == (False, False, 5 << 20)


def test_the_cut_file_is_the_beginning(monkeypatch):
    """It has the same name and the first bytes, is made once, and is not made where there is no room for it."""
    root = DocumentRoot()
    try:
        content = os.urandom(300_000)
        (root.root / "name").write_bytes(content)
        made = root.cut("name", 123_457)
        assert made.name == "name"
        assert made.parent != root.root
        assert made.read_bytes() == content[:123_457]
        assert root.cut("name", 123_457) == made
        assert root.cut("name", 1 << 62) is None
    finally:
        root.close()
    assert not root.base.exists()
