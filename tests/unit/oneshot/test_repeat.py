"""`zcload send --repeat`: the table, and what it may say."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from zcload.oneshot import Sent
from zcload.oneshot.repeat import render, repeat


def sent(mechanism, seconds, cpu_s, receiver_cpu_s=0.1):
    receiver = None if receiver_cpu_s is None else {"bytes": 10**9, "seconds": seconds, "cpu_s": receiver_cpu_s}
    return Sent("f", "h:1", mechanism, 65536, 10**9, seconds, cpu_s, "closed", None, {}, receiver=receiver)


def test_each_round_has_every_mechanism_once_in_an_order_of_its_own():
    """The mechanisms take turns, the order differs from round to round, and a seed repeats it."""

    def orders(seed):
        order = []
        repeat(["a", "b", "c"], 20, seed, lambda name, number: order.append((number, name)) or sent(name, 1, 1))
        return [[name for number, name in order if number == each] for each in range(20)]

    assert all(sorted(order) == ["a", "b", "c"] for order in orders(1))
    assert len({tuple(order) for order in orders(1)}) > 1
    assert orders(1) == orders(1) != orders(2)


@pytest.fixture
def repeated():
    seconds = {"read_send": iter((1.0, 1.1, 0.9)), "sendfile": iter((0.5, 0.56, 0.45))}
    return repeat(
        ["read_send", "sendfile"], 3, 7, lambda name, number: sent(name, next(seconds[name]), 0.4 if name == "read_send" else 0.1)
    )


def test_the_table_says_how_sure_it_is(repeated):
    """Medians with their range, and a difference with its interval over the pairs."""
    text = render(repeated)
    assert "1.00 (0.900..1.10)" in text
    assert "8 Gbit/s" in text
    assert "sendfile against read_send: time 50 % (" in text
    assert "95 % intervals from 3 pairs of transfers" in " ".join(text.split())


def test_one_round_concludes_nothing():
    """One round has no error bar, and the words say so."""
    text = render(repeat(["a", "b"], 1, 1, lambda name, number: sent(name, 1, 1)))
    assert "nothing can be concluded" in text
    assert "against" not in text


def test_a_receiver_that_says_nothing_leaves_its_cpu_out():
    """Without the receiver's figures its CPU and that of both ends are left out, not taken for 0."""
    found = repeat(["a", "b"], 2, 1, lambda name, number: sent(name, 1 + number, 1, None))
    assert "receiver's CPU" not in render(found)
    assert [each["ratio"] for each in found.as_dict(asdict)["comparisons"] if each["quantity"] == "total_cpu_s"] == [None]


def test_all_of_it_is_json(repeated):
    """The JSON has every transfer in order and every ratio."""
    tree = json.loads(json.dumps(repeated.as_dict(asdict)))
    assert [each["mechanism"] for each in tree["transfers"]] == ["read_send", "sendfile"] * 3
    ratio = next(each["ratio"] for each in tree["comparisons"] if each["quantity"] == "seconds")
    assert ratio["low"] < ratio["estimate"] < ratio["high"] < 1
