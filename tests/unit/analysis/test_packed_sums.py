"""Sums by name: added at once, packed, and without some of them."""

from __future__ import annotations

from collections import Counter

from zcload.analysis.packed_sums import PackedSums


def test_sums_add_up_whatever_names_come_in_which_order():
    """Sums of the same names, of the same in another order, of some of them and of new ones add up as in a dictionary."""
    steps = ({"a": 1.0, "b": 2.0}, {"a": 0.5, "b": 0.25}, {"b": 4.0, "a": 8.0}, {"b": 16.0}, {"c": 32.0, "a": 64.0}, {})
    sums, expected = PackedSums(), Counter[str]()
    for number, step in enumerate(steps):
        if number == 3:
            sums.pack()  # what comes later is added in the same way
        sums.add(PackedSums(step) if number % 2 else step)
        for name, value in step.items():
            expected[name] += value
    assert dict(sums) == dict(expected)
    assert [*sums] == ["a", "b", "c"]
    assert sums["nobody"] == 0.0


def test_sums_of_a_prefix_are_left_out():
    """`without` keeps all others with their values, also where only one or none is left."""
    sums = PackedSums({"machine_gb": 1.0, "gb": 2.0, "machine_cpu_s": 3.0})
    assert dict(sums.without("machine_")) == {"gb": 2.0}
    assert dict(sums.without("other_")) == dict(sums)
    assert dict(sums.without("")) == {}
    assert sums["machine_gb"] == 1.0
