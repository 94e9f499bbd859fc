"""Units: what is read, what is refused and with which words, and that writing is the inverse of reading."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zcload.model import units
from zcload.model.units import LIMIT, ValueRefused


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0B", 0),
        ("512B", 512),
        ("64KiB", 65_536),
        ("64kB", 64_000),
        ("1.5MiB", 1_572_864),
        ("2.4GB", 2_400_000_000),  # exact, where 2.4 as a float is not
        ("0.5KiB", 512),
        ("9223372036854775807B", LIMIT - 1),
    ],
)
def test_reads_a_size(text, size):
    """Binary and decimal prefixes are kept apart, and the result is exact."""
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "rate_bps"),
    [("max", None), ("10Gbit/s", 10**10), ("500MB/s", 4 * 10**9), ("1.5kbit/s", 1500), ("1MiB/s", 8 << 20), ("1B/s", 8)],
)
def test_reads_a_rate(text, rate_bps):
    """A byte of a rate is eight bits, and "max" is no limit."""
    assert units.parse_rate(text) == rate_bps


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("2s", 2.0), ("1m30s", 90.0), ("1h", 3600.0), ("1h0.5s", 3600.5), ("35us", 35e-6), ("7ns", 7e-9), ("0s", 0.0)],
)
def test_reads_a_duration(text, seconds):
    """Parts of a duration add up, from hours to nanoseconds."""
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "fraction"), [("3%", 0.03), ("0.1%", 0.001), ("100%", 1.0), ("250%", 2.5)])
def test_reads_a_percentage(text, fraction):
    """A percentage is the float nearest to its hundredth."""
    assert units.parse_percent(text) == fraction


SIZE, RATE, DURATION, PERCENT = units.SIZE_EXPECTED, units.RATE_EXPECTED, units.DURATION_EXPECTED, units.PERCENT_EXPECTED


@pytest.mark.parametrize(
    ("parse", "value", "message"),
    [
        (units.parse_size, "64K", f"'64K' is not a size: {SIZE} ('64KiB' or '64kB'?)"),
        (units.parse_size, "64KB", f"'64KB' is not a size: {SIZE} ('64KiB' or '64kB'?)"),
        (units.parse_size, "1kib", f"'1kib' is not a size: {SIZE} ('1KiB'?)"),
        (units.parse_size, "64  KiB", f"'64  KiB' is not a size: {SIZE} ('64KiB'?)"),
        (units.parse_size, "64KiB\n", f"'64KiB\\n' is not a size: {SIZE} ('64KiB'?)"),
        (units.parse_size, "64KiB garbage", f"'64KiB garbage' is not a size: {SIZE}"),
        (units.parse_size, "1.2.3MiB", f"'1.2.3MiB' is not a size: {SIZE}"),
        (units.parse_size, "٣B", f"'٣B' is not a size: {SIZE}"),  # a digit, but not an ASCII one
        (units.parse_size, "", f"'' is not a size: {SIZE}"),
        (units.parse_size, "nan", f"'nan' is not a size: {SIZE}"),
        (units.parse_size, float("nan"), f"nan is not a size: {SIZE}"),
        (units.parse_size, None, f"nothing is not a size: {SIZE}"),
        (units.parse_size, True, f"true is not a size: {SIZE}"),
        pytest.param(units.parse_size, 1 << 100_000, f"a number beyond 64 bits is not a size: {SIZE}", id="too long for str()"),
        (units.parse_size, "9" * 70, f"'{'9' * 61}...' is not a size: {SIZE}"),
        (units.parse_size, 65_536, f"65536 has no unit: {SIZE} ('65536B' or '64KiB'?)"),
        (units.parse_size, "1000", f"1000 has no unit: {SIZE} ('1000B' or '1kB'?)"),
        (units.parse_size, -1, f"-1 is negative: {SIZE}"),
        (units.parse_size, "-64KiB", f"'-64KiB' is negative: {SIZE}"),
        (units.parse_size, "8EiB", f"'8EiB' is too large, 2^63 bytes or more: {SIZE}"),
        (units.parse_size, "0.3B", f"'0.3B' is not a whole number of bytes: {SIZE}"),
        (units.parse_rate, "10Gbps", f"'10Gbps' is not a rate: {RATE} ('10Gbit/s'?)"),
        (units.parse_rate, "10Gb/s", f"'10Gb/s' is not a rate: {RATE} ('10Gbit/s'?)"),
        (units.parse_rate, "1KB/s", f"'1KB/s' is not a rate: {RATE} ('1KiB/s' or '1kB/s'?)"),
        (units.parse_rate, "10G", f"'10G' is not a rate: {RATE} ('10GiB/s' or '10Gbit/s' or '10GB/s'?)"),
        (units.parse_rate, 1000, f"1000 has no unit: {RATE} ('1000bit/s' or '1000MB/s'?)"),
        (units.parse_rate, "0bit/s", f"'0bit/s' moves nothing: {RATE}"),
        (units.parse_rate, "0.3bit/s", f"'0.3bit/s' is not a whole number of bit/s: {RATE}"),
        (units.parse_duration, 5, f"5 has no unit: {DURATION} ('5s' or '5ms'?)"),
        (units.parse_duration, "5 sec", f"'5 sec' is not a duration: {DURATION} ('5s'?)"),
        (units.parse_duration, "5min", f"'5min' is not a duration: {DURATION} ('5m'?)"),
        (units.parse_duration, "30s1m", f"'30s1m' is not a duration: {DURATION}"),
        (units.parse_duration, "1.5m30s", f"'1.5m30s' is not a duration: {DURATION}"),
        (units.parse_duration, "", f"'' is not a duration: {DURATION}"),
        (units.parse_duration, "0.1ns", f"'0.1ns' is finer than a nanosecond: {DURATION}"),
        (units.parse_duration, "9999999h", f"'9999999h' is too long: {DURATION}"),
        (units.parse_duration, "-1s", f"'-1s' is negative: {DURATION}"),
        (units.parse_percent, 3, f"3 has no unit: {PERCENT} ('3%'?)"),
        (units.parse_percent, 0.03, f"0.03 has no unit: {PERCENT} ('3%' or '0.03%'?)"),
        (units.parse_percent, "3  %", f"'3  %' is not a percentage: {PERCENT} ('3%'?)"),
        (units.parse_percent, "-3%", f"'-3%' is negative: {PERCENT}"),
        (units.parse_percent, f"{LIMIT}00%", f"'{LIMIT}00%' is too large: {PERCENT}"),
    ],
)
def test_refuses_what_it_would_have_to_guess(parse, value, message):
    """A refusal says what was found, what is expected and, for a near miss, what was probably meant."""
    with pytest.raises(ValueRefused, match=f"^{re.escape(message)}$"):
        parse(value)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (65_536, "64KiB"), (2_400_000_000, "2.4GB"), (1000, "1kB"), (4095, "4095B"), (1 << 40, "1TiB")]
)
def test_writes_the_shortest_exact_size(size, text):
    """A size is written with the unit that a reader would have chosen."""
    assert units.format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0s"), (0.25, "250ms"), (1.5, "1.5s"), (90.0, "1m30s"), (3600.0, "1h"), (0.0255, "25.5ms")]
)
def test_writes_a_duration_as_people_do(seconds, text):
    """A duration is written in hours, minutes and one smaller unit."""
    assert units.format_duration(seconds) == text


@given(st.integers(0, LIMIT - 1))
@example(LIMIT - 1)
def test_a_size_survives_writing_and_reading(size):
    """Every size within range is written so that reading gives it back."""
    assert units.parse_size(units.format_size(size)) == size


@given(st.none() | st.integers(1, LIMIT - 1))
def test_a_rate_survives_writing_and_reading(rate_bps):
    """Every rate within range, and none, is written so that reading gives it back."""
    assert units.parse_rate(units.format_rate(rate_bps)) == rate_bps


@given(st.integers(0, LIMIT - 1025))  # from 2^63 - 1024 on the nearest float is 2^63, which is out of range
def test_a_duration_survives_writing_and_reading(nanoseconds):
    """Every duration that reading can give is written so that reading gives it back."""
    seconds = nanoseconds / 10**9
    assert units.parse_duration(units.format_duration(seconds)) == seconds


@given(st.floats(1e-9, 1e6))
def test_a_percentage_survives_writing_and_reading(fraction):
    """A fraction is written as the percentage that reads as the very same float."""
    assert units.parse_percent(units.format_percent(fraction)) == fraction


@given(st.text(max_size=80) | st.integers() | st.floats() | st.none() | st.booleans() | st.lists(st.integers()))
def test_any_value_is_read_or_refused(value):
    """Whatever the value, the worst that happens is a ValueRefused with a text of one line."""
    for parse in (units.parse_size, units.parse_rate, units.parse_duration, units.parse_percent):
        text = ""
        try:
            parse(value)
        except ValueRefused as refused:
            text = str(refused)
        assert len(text.splitlines()) <= 1


@pytest.mark.parametrize("wrong", [-1.0, 1 / 3, 1e-10])
def test_a_duration_that_text_cannot_say_is_refused(wrong):
    """A duration that is negative or not a whole number of nanoseconds is not written as something else."""
    with pytest.raises(ValueRefused):
        units.format_duration(wrong)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (units.human_bytes(65_536), "64 KiB"),
        (units.human_bytes(256 << 20), "256 MiB"),
        (units.human_bytes(2.4e9), "2.4 GB"),
        (units.human_bytes(123_456), "123 kB"),
        (units.human_bytes(999_999), "1 MB"),  # never "1e+03 kB"
        (units.human_bytes(0), "0 B"),
        (units.human_rate(12_345_678_901), "12.3 Gbit/s"),
        (units.human_rate(999.9e6), "1 Gbit/s"),
        (units.human_rate(None), "max"),
        (units.human_duration(0), "0 ns"),
        (units.human_duration(35e-6), "35 us"),
        (units.human_duration(0.9999), "1 s"),
        (units.human_duration(1.25), "1.25 s"),
        (units.human_duration(90), "1 min 30 s"),
        (units.human_duration(3599.9), "1 h"),
        (units.human_duration(7500), "2 h 5 min"),
    ],
)
def test_writes_for_people(written, text):
    """Reports show three digits with the prefix that keeps them readable."""
    assert written == text


@pytest.mark.parametrize("number", [1, 512, 65536, 3 << 20, 2_400_000_000, 10**10])
def test_a_value_is_taken_as_it_is_printed(number):
    """A size and a rate as reports print them, with a space before the unit, are taken; so is a percentage."""
    assert units.parse_size(units.human_bytes(number)) == pytest.approx(number, rel=0.005)
    assert units.parse_rate(units.human_rate(number)) == pytest.approx(number, rel=0.005)
    assert units.parse_percent("2.5 %") == 0.025
