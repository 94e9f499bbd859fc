"""What zcload itself costs in a variant: measured with what moves nothing, told, and warned of where it shifts a comparison."""

from __future__ import annotations

import pytest
from support.fake_results import Cost, Result, header, lane

from zcload.analysis.summary import summarise
from zcload.mechanisms import MECHANISMS, mechanism_of
from zcload.model.study import Point, Server, Variant
from zcload.report.tables.overview import method
from zcload.runner.calibrate import bare_contenders


def study(own, *, calls=400, bare=(), receive=None):
    """Return the point of a study of two variants, 4000 turns of the loop a GB, with what a call costs that moves nothing."""
    lanes = [lane("copy") | {"overhead": "null"}, lane("ring") | {"overhead": "uring_null"}]
    result = Result(header([*lanes, *(lane(name, moves_payload=False) for name in bare)]))
    result.event("calibrated", loop_s_per_call=own.get("null"), own_s_per_call=own, receive_loop_s=receive or {})
    for number in range(6):
        costs = {"copy": Cost(0.4, sender_calls=calls), "ring": Cost(0.5 + 0.001 * number, sender_calls=calls)}
        result.generation(number, {**costs, **{name: Cost(0.4, gb=0.1, sender_calls=8000) for name in bare}})
    summary = summarise(result.end())
    return summary, summary["points"][0]


def test_the_own_cost_of_a_variant():
    """It is the cost per call of what moves nothing by the same code, times the variant's calls per GB, and a share of both ends' CPU."""
    _, point = study({"null": 2e-7, "uring_null": 5e-6})
    copy, ring = (variant["own_cost"] for variant in point["variants"])
    assert copy.pop("mechanism") == "null"
    assert copy == pytest.approx({"s_per_call": 2e-7, "s_per_gb": 0.0008, "share": 0.0008 / 0.6}, rel=1e-6)
    assert (ring["mechanism"], ring["s_per_gb"]) == ("uring_null", pytest.approx(0.02))
    assert ring["share"] == pytest.approx(0.02 / 0.7, rel=0.01)


def test_the_own_cost_of_the_receivers():
    """It is the cost of a turn of the receivers' loop around the variant's sink, times its receives per GB; without that it is null."""
    summary, point = study({"null": 2e-7, "uring_null": 5e-6}, receive={"recv": 3e-7})
    own = point["variants"][0]["receiver_own_cost"]
    receives = point["variants"][0]["metrics"]["receiver_syscalls_per_gb"]["estimate"]
    assert own == pytest.approx({"s_per_receive": 3e-7, "s_per_gb": 3e-7 * receives, "share": 3e-7 * receives / 0.6}, rel=1e-6)
    assert receives > 0
    assert any("around recv costs 300 ns a receive" in line for line in method(summary, point))
    assert study({"null": 2e-7}, receive={"discard": 3e-7})[1]["variants"][0]["receiver_own_cost"] is None


@pytest.mark.parametrize(("own", "warned"), [(5e-6, True), (4e-6, False), (2e-7, False)])
def test_a_shift_beyond_the_margin_is_a_caution(own, warned):
    """The caution comes where the own cost of variant and baseline differ by more than 3 % of the baseline's: 4.6 ms/GB of 0.6 s/GB."""
    summary, _ = study({"null": 2e-7, "uring_null": own})
    found = [c["message"] for c in summary["cautions"] if c["code"] == "own_cost"]
    assert bool(found) == warned
    assert not warned or "ring: zcload's own code takes 0.020 s/GB" in found[0]


def test_what_was_not_measured_is_null():
    """Without a calibration there is no own cost, and no word of it."""
    summary, point = study({})
    assert [variant["own_cost"] for variant in point["variants"]] == [None, None]
    assert not [line for line in method({**summary, "environment": summary["environment"]}, point) if "ns a call" in line]


def test_a_variant_that_moves_nothing_is_the_measurement():
    """Where uring_null is a variant itself its own windows give the cost per call."""
    _, point = study({"null": 2e-7}, bare=["uring_null"])
    assert point["own_s_per_call"]["uring_null"] == pytest.approx(0.04 / 8000)
    assert point["variants"][1]["own_cost"]["s_per_call"] == pytest.approx(5e-6)


def test_costs_per_call_are_printed():
    """How it was measured tells both costs per call, and per GB at the point's chunk."""
    summary, point = study({"null": 2e-7, "uring_null": 5e-6})
    lines = [line for line in method(summary, point) if "ns a call" in line]
    assert lines == [
        "the loop itself costs 200 ns a call: 0.000763 s/GB at 256KiB",
        "a call that moves nothing (uring_null) costs 5000 ns a call: 0.0191 s/GB at 256KiB",
    ]


@pytest.mark.parametrize(
    ("names", "bare"),
    [
        (["read_send", "sendfile"], ["null"]),
        (["read_send", "uring_splice", "uring_send_zc"], ["null", "uring_null"]),
        (["read_send", "null", "uring_splice"], ["uring_null"]),
        (["read_send", "uring_null"], ["null"]),
    ],
)
def test_what_is_calibrated(names, bare):
    """What moves nothing is measured for the code that the variants go through, once, and not where it is a variant itself."""
    assert [variant.mechanism for variant in bare_contenders([Variant(name, name).at(Point()) for name in names], Point())] == bare


def test_servers_have_no_code_of_ours():
    """A server under test runs nothing of zcload's."""
    assert all(cls.overhead in MECHANISMS for cls in MECHANISMS.values())
    assert mechanism_of(Variant("s", "server", server=Server("true"))).overhead is None
