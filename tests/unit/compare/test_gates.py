"""Gates: what is written is what is judged, and what is wrong is said."""

from __future__ import annotations

import pytest
from support.fake_runs import HEADLINE, point, run

from zcload.compare.comparison import compare
from zcload.compare.gates import ChangeGate, judge, parse, tripped
from zcload.errors import ConfigError

SENDER = "sender_cpu_s_per_gb"
FORM = "the form is [absolute] [VARIANT:] METRIC > +N%, or < -N%: 'sender_cpu_s_per_gb > +5%'"


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("sender_cpu_s_per_gb > +5%", ChangeGate("sender_cpu_s_per_gb > +5%", SENDER, True, 0.05)),
        ("  goodput_bps<-2.5%  ", ChangeGate("goodput_bps<-2.5%", "goodput_bps", False, -0.025)),
        ("sendfile: goodput_bps < +0%", ChangeGate("sendfile: goodput_bps < +0%", "goodput_bps", False, 0.0, "sendfile")),
        ("a: b > c: goodput_bps > -1%", ChangeGate("a: b > c: goodput_bps > -1%", "goodput_bps", True, -0.01, "a: b > c")),
        ("absolute goodput_bps < -10%", ChangeGate("absolute goodput_bps < -10%", "goodput_bps", False, -0.1, None, True)),
        (
            "absolute copy@1MiB: goodput_bps < -10%",
            ChangeGate("absolute copy@1MiB: goodput_bps < -10%", "goodput_bps", False, -0.1, "copy@1MiB", True),
        ),
    ],
)
def test_gates_are_parsed(text, gate):
    """A gate is a metric and a change in percent, of one variant or of all, relative to the baseline or absolute."""
    assert parse(text) == gate


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"--fail-if: '': is not a gate ({FORM})"),
        ("goodput_bps", f"--fail-if: 'goodput_bps': is not a gate ({FORM})"),
        ("sender_cpu > +5%", "--fail-if: 'sender_cpu > +5%': 'sender_cpu' is not a metric (did you mean 'sender_cpu_s_per_gb'?)"),
        ("godput_bps > +5%", "--fail-if: 'godput_bps > +5%': 'godput_bps' is not a metric (did you mean 'goodput_bps'?)"),
        ("goodput_bps > 5%", "--fail-if: 'goodput_bps > 5%': '5%' is not a change in percent (write 5 as +5% or -5%)"),
        ("goodput_bps > +5", "--fail-if: 'goodput_bps > +5': '+5' is not a change in percent (write it as +5% or -2.5%)"),
        ("goodput_bps > much", "--fail-if: 'goodput_bps > much': 'much' is not a change in percent (write it as +5% or -2.5%)"),
        ("goodput_bps < -100%", "--fail-if: 'goodput_bps < -100%': nothing can change by -100% (a limit above -100%)"),
    ],
)  # fmt: skip
def test_wrong_gates(text, message):
    """A gate that is none is refused with what is wrong in it and how it is written."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value) == message


def sides(new, *, metric=SENDER, base=0.5, results=1, relative=True):
    """Return the comparison of runs in which sendfile's metric goes from *base* to *new*."""

    def side(value):
        of = {("sendfile", metric): value}
        return [run(point(of if relative else {}, {} if relative else of)) for _ in range(results)]

    return compare(side(base), side(new))


@pytest.mark.parametrize(
    ("gate", "new", "state"),
    [
        ("> +5%", 0.70, "tripped"),
        ("> +5%", 0.54, "unproven"),
        ("> +5%", 0.52, "unproven"),
        ("> +5%", 0.40, "passed"),
        ("> +20%", 0.50, "passed"),
        ("< -5%", 0.36, "tripped"),
        ("< -5%", 0.46, "unproven"),
        ("< -5%", 0.60, "passed"),
        ("< +0%", 0.40, "tripped"),
        ("> -5%", 0.60, "tripped"),
    ],
)
def test_where_a_gate_trips(gate, new, state):
    """A gate trips where the whole interval lies beyond it, is not proven where the interval straddles it, and passes else."""
    found = judge([parse(f"{SENDER} {gate}")], sides(new))
    assert [j.state for j in found] == [state]
    assert bool(tripped(found, False)) == (state == "tripped")
    assert bool(tripped(found, True)) == (state != "passed")


def test_a_gate_looks_at_every_variant_and_point():
    """Without a variant a gate judges all of them at all points, with one that one alone; the baseline has no ratio to judge."""
    names = ("sendfile", "splice")
    before = [point({(n, SENDER): 0.5 for n in names}, name=f"p{i}", chunk_bytes=i) for i in range(3)]
    after = [point({(n, SENDER): 0.8 if n == "splice" else 0.5 for n in names}, name=f"p{i}", chunk_bytes=i) for i in range(3)]
    found = compare([run(*before)], [run(*after)])
    every = judge([parse(f"{SENDER} > +5%")], found)
    assert [(j.row.point, j.row.variant, j.state) for j in every if j.state == "tripped"] == [
        (f"p{i}", "splice", "tripped") for i in range(3)
    ]
    assert len(every) == 6
    assert {j.row.variant for j in judge([parse(f"sendfile: {SENDER} > +5%")], found)} == {"sendfile"}


def test_gates_are_a_family():
    """A change that barely trips a gate alone does not trip it among many: all that is judged keeps one error rate."""
    barely = 0.5 * 1.165

    def points(new):
        return [
            point({("sendfile", SENDER): (v, v / 1.01, v * 1.01)}, name=f"p{i}", chunk_bytes=i) for i, v in enumerate([new] + [0.5] * 19)
        ]

    gate = [parse(f"{SENDER} > +5%")]
    alone = judge(gate, compare([run(*points(0.5)[:1])], [run(*points(barely)[:1])]))
    among = judge(gate, compare([run(*points(0.5))], [run(*points(barely))]))
    assert (alone[0].state, among[0].state) == ("tripped", "unproven")
    assert among[0].reason == "its own interval lies beyond, but not at 5 % for all 20 judged together (Holm)"


def test_absolute_gates():
    """An absolute gate judges the figure itself, and says what is missing where too few results are given."""
    gate = [parse(f"absolute sendfile: {SENDER} > +5%")]
    assert [j.state for j in judge(gate, sides(0.7, results=3, relative=False))] == ["tripped"]
    with pytest.raises(ConfigError, match=r"there is nothing to judge: fewer than 3 results .*give at least 3 results a side"):
        judge(gate, sides(0.7, relative=False))


def test_gates_with_nothing_to_judge():
    """A gate on a variant or a metric that was not compared is an error: one that can never trip would guard nothing."""
    found = sides(0.7)
    with pytest.raises(ConfigError, match=r"no variant 'senfile' was compared \(did you mean 'sendfile'\?\)"):
        judge([parse(f"senfile: {SENDER} > +5%")], found)
    with pytest.raises(ConfigError, match="there is nothing to judge"):
        judge([parse(f"{HEADLINE} > +5%")], found)


def test_a_figure_that_is_missing_is_not_proven():
    """Where a point has no figure for a gate that judges others, it is not proven, and only --fail-if-unproven minds."""
    whole, hole = {("sendfile", SENDER): 0.5}, {("sendfile", SENDER): (None, None, None)}
    before = run(point(whole, name="a"), point(whole, name="b", chunk_bytes=1))
    after = run(point(whole, name="a"), point(hole, name="b", chunk_bytes=1))
    found = judge([parse(f"{SENDER} > +50%")], compare([before], [after]))
    assert [(j.row.point, j.state) for j in found] == [("a", "passed"), ("b", "unproven")]
