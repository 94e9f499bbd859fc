"""What a result says of its servers: sums over the generations, and two sources of CPU time held together."""

from __future__ import annotations

import pytest

from zcload.analysis.servers import server_cautions, server_facts
from zcload.model.metrics import TOTAL_CPU_S_PER_GB as TOTAL
from zcload.report.tables.servers import sentences, state, traced


def said(**more):
    """Return what one generation reports of a server."""
    facts = {"cpu_from": "cgroup", "processes": 2, "processes_ended": 0, "rests": 4, "rests_loose": 0, "version": "HTTP/1.1"}
    return {**facts, "keep_alive": True, "ranges": True, "request_bytes": 4 << 20, "not_seen": [], "tls": None, **more}


def read(clocks_ms, cgroup_ms):
    """Return a generation's report with so much CPU time by either source."""
    return said(cpu_ns={"clocks": clocks_ms * 10**6, "cgroup": None if cgroup_ms is None else cgroup_ms * 10**6})


@pytest.mark.parametrize(("clocks_ms", "warns"), [(1000, False), (1019, False), (981, False), (1021, True), (979, True), (0, True)])
def test_sources_that_differ_are_a_caution(clocks_ms, warns):
    """More than 2 % between the clocks of a server's processes and their control group, whichever says more, is a caution."""
    facts = server_facts([read(clocks_ms, 1000)])
    assert facts["cpu_apart"] == pytest.approx(clocks_ms / 1000 - 1)
    found = server_cautions("", [{"name": "nginx", "server": facts}])
    assert [caution.code for caution in found] == (["server_ledger"] if warns else [])
    row = state({"variants": [{"name": "nginx", "server": facts}]}).rows[0]
    assert row[2] == f"control group (clocks {100 * facts['cpu_apart']:+.2f} %)"


def test_sources_are_added_up_where_both_were_read():
    """CPU time is summed over the generations that have both sources; the others are left out of both sums."""
    facts = server_facts([read(100, 110), read(50, None), read(210, 200), said()])
    assert (facts["cpu_clocks_s"], facts["cpu_cgroup_s"]) == pytest.approx((0.31, 0.31))
    assert facts["cpu_apart"] == pytest.approx(0.0)


@pytest.mark.parametrize("generation", [said(), read(100, None), read(0, 0)])
def test_one_source_is_held_to_nothing(generation):
    """Without a group, in results of earlier versions, and of a server that did nothing, nobody says how far two sources are apart."""
    facts = server_facts([generation])
    assert facts["cpu_apart"] is None
    assert server_cautions("", [{"name": "nginx", "server": facts}]) == []
    assert "clocks " not in state({"variants": [{"name": "nginx", "server": facts}]}).rows[0][2]


@pytest.mark.parametrize(
    ("tls", "other", "words"),
    [
        (None, None, "what HTTP and the server add"),
        ("TLSv1.3", None, "what HTTP, TLS and the server add"),
        ("TLSv1.3", server_facts([said()]), "what TLS adds, and whatever else the two servers differ in"),
        (None, server_facts([said()]), "what it adds"),
    ],
)
def test_the_words_for_what_a_server_adds(tls, other, words):
    """What a server costs over another variant is named by what it has and that one has not."""
    saving = {"estimate": -20.0, "low": -30.0, "high": -10.0}
    over = {"variant": "a", "baseline": "b", "metric": TOTAL, "verdict": "costs", "saving_percent": saving}
    variants = [{"name": "a", "server": server_facts([said(tls=tls)])}, {"name": "b", "server": other}]
    (line,) = sentences({"comparisons_over": [over], "variants": variants}, "both ends'", TOTAL)
    assert line.endswith(f": {words}.")


def test_servers_that_are_alike_share_a_sentence():
    """Servers that add to the same mechanism are one sentence, and so are those that moved the payload with the same calls."""
    saving = {"estimate": -20.0, "low": -30.0, "high": -10.0}
    over = [{"variant": name, "baseline": "b", "metric": TOTAL, "verdict": "costs", "saving_percent": saving} for name in ("a", "c", "d")]
    over[2]["verdict"] = "no difference"
    variants = [{"name": "b", "server": None}]
    for name, moved in (("a", "sendfile"), ("c", "sendfile"), ("d", None), ("e", "sendfile")):
        variants.append({"name": name, "status": "ok", "server": server_facts([said()]), "traced": {"moved": moved, "reason": "no strace"}})
    point = {"comparisons_over": over, "variants": variants}
    first = "a does the work of b for +20 % (10..30) of both ends' CPU per GB"
    assert sentences(point, "both ends'", TOTAL) == [
        f"{first}, c for +20 % (10..30): what HTTP and the server add.",
        "d" + first[1:] + ": no difference.",
    ]
    assert traced(point) == [
        "a, c and e moved the payload with sendfile.",
        "What d moved the payload with is not known: no strace.",
    ]
    assert [row[1] for row in state({"variants": variants}).rows] == ["sendfile", "sendfile", "-", "sendfile"]


def test_the_summary_of_an_earlier_version_is_shown():
    """A summary that was stored before a server's later facts were known still has its row in the table."""
    facts = server_facts([said()])
    for later in ("cpu_clocks_s", "cpu_cgroup_s", "cpu_apart", "file_cut", "tls"):
        del facts[later]
    (row,) = state({"variants": [{"name": "nginx", "server": facts}]}).rows
    assert row[0] == "nginx"
