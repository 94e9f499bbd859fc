"""The schedule of a rate: when bytes are due, shared among senders, without credit; and the buckets that count lateness."""

from __future__ import annotations

import itertools
import random

import pytest

from zcload.model.schedule import BUCKETS, LEAST_BURSTS, Schedule, bucket, bucket_end_ns, burst_bytes, percentile_ns, window_s

MIB = 1 << 20


def test_a_burst_is_due_when_the_rate_has_earned_it():
    """At 8 Mbit/s a burst of 1000 bytes is due every millisecond after the opening, the first one after the first millisecond."""
    schedule = Schedule(8e6, 1000)
    assert [schedule.due_ns(1000 * k) for k in range(4)] == [1_000_000, 2_000_000, 3_000_000, 4_000_000]


def test_the_schedule_counts_bytes_and_not_calls():
    """What a short send or the end of the file left out moves the next burst by as many bytes as were sent."""
    schedule = Schedule(8e6, 1000)
    assert schedule.due_ns(1) == 1_001_000
    assert schedule.due_ns(2500) == 3_500_000


@pytest.mark.parametrize("senders", [1, 2, 3, 7])
def test_senders_share_the_lanes_rate_evenly_spaced(senders):
    """The bursts of all senders together are those of one sender at the lane's rate: the same instants, the same number of bytes."""
    alone = Schedule(1e9, 64 << 10)
    together = [Schedule(1e9, 64 << 10, senders, index) for index in range(senders)]
    dealt = sorted(each.due_ns((64 << 10) * k) for each in together for k in range(20))
    assert dealt == pytest.approx([alone.due_ns((64 << 10) * k) for k in range(20 * senders)], abs=1)


@pytest.mark.parametrize("rate_bps", [1e6, 333e6, 10e9, 400e9])
def test_bytes_due_in_a_window_are_those_of_the_rate(rate_bps):
    """With its least number of bursts a lane's window holds the rate's bytes to half a percent, wherever it is closed."""
    schedules = [Schedule(rate_bps, 256 << 10, 2, index) for index in (0, 1)]
    length_s = window_s(rate_bps, 256 << 10, 2)
    for closed_s in (length_s, 1.0037 * length_s, 1.5 * length_s):
        bursts = sum(next(k for k in range(10 * LEAST_BURSTS) if s.due_ns((256 << 10) * k) > closed_s * 1e9) for s in schedules)
        assert bursts >= LEAST_BURSTS - 1
        assert bursts * (256 << 10) * 8 / closed_s == pytest.approx(rate_bps, rel=0.006)


@pytest.mark.parametrize(("senders", "bursts"), [(1, 200), (2, 200), (10, 200), (11, 220), (100, 2000)])
def test_a_window_holds_enough_bursts_of_the_lane_and_of_each_sender(senders, bursts):
    """A window at a rate is as long as 200 bursts of the lane take, or 20 of each sender where that is longer."""
    assert window_s(1e9, 1 << 18, senders) == pytest.approx(bursts * (1 << 18) * 8 / 1e9)


def run(schedule, burst, takes_ns, close_ns, stall=None):
    """Run a sender on a clock of its own that takes *takes_ns* a burst, with a (time, length) stall; return (when begun, late) of each."""
    now, sent, begun = 0, 0, []
    while now < close_ns:
        due = schedule.due_ns(sent)
        if due > now:
            now = due
            if now >= close_ns:
                break
        begun.append((now, now - due))
        if stall and now >= stall[0]:
            now, stall = now + stall[1], None
        now += takes_ns
        sent += burst
    return begun


def test_who_was_held_up_catches_up():
    """After a stall the bursts follow without a pause until the schedule is met, and the window holds as many as without it."""
    schedule = Schedule(8e9, 1000)  # a burst a microsecond
    undisturbed = run(schedule, 1000, 100, 1_000_000)
    held_up = run(schedule, 1000, 100, 1_000_000, stall=(300_000, 50_000))
    assert len(held_up) == len(undisturbed) == 999
    late = [late for _, late in held_up]
    assert max(late) == 49_100
    assert late[-1] == 0
    # Nine tenths of the time are left over for catching up: 50 us of delay are gone after 55 us of sending.
    assert sum(each > 0 for each in late) == pytest.approx(50_000 / 900, abs=2)


def test_who_is_too_slow_sends_as_fast_as_it_can():
    """A sender that needs longer than a burst is worth never waits: it makes its own rate, and its lateness grows."""
    begun = run(Schedule(8e9, 1000), 1000, 1500, 1_000_000)
    assert [after[0] - before[0] for before, after in itertools.pairwise(begun)] == [1500] * (len(begun) - 1)
    assert begun[-1][1] == 500 * (len(begun) - 1)


def test_a_window_owes_nothing_to_the_next():
    """A schedule begins anew at each opening: what a late sender did not get to in one window is not sent in the next."""
    schedule = Schedule(8e9, 1000)
    run(schedule, 1000, 1500, 1_000_000)
    assert run(schedule, 1000, 100, 10_000)[0] == (1000, 0)


def test_lanes_wake_up_alike():
    """A lane with smaller chunks sends as many bytes after one wake-up as the point's chunk has; one with larger chunks a chunk."""
    assert burst_bytes(16 << 10, 256 << 10) == 256 << 10
    assert burst_bytes(1 << 20, 256 << 10) == 1 << 20


# Lateness.


def test_buckets_hold_what_they_say():
    """Every lateness up to hours lies in the bucket it is counted in, whose width is at most an eighth of it; and buckets are in order."""
    rng = random.Random(4)
    for late_ns in [*range(5000), *(rng.randrange(1 << rng.randrange(1, 42)) for _ in range(5000))]:
        number = bucket(late_ns)
        assert 0 <= number < BUCKETS
        low = bucket_end_ns(number - 1) + 1 if number else 0
        assert low <= late_ns <= bucket_end_ns(number)
        assert bucket_end_ns(number) - low <= late_ns / 8
    assert [bucket_end_ns(n) for n in range(BUCKETS)] == sorted({bucket_end_ns(n) for n in range(BUCKETS)})


def test_an_endless_lateness_is_in_the_last_bucket():
    """A lateness beyond all buckets is counted in the last one."""
    assert bucket(1 << 60) == BUCKETS - 1


def test_percentiles_of_buckets():
    """A percentile is the end of the bucket that holds it; nothing has none."""
    counts = {bucket(5): 50, bucket(1000): 49, bucket(10**6): 1}
    assert percentile_ns(counts, 0.5) == 5
    assert percentile_ns(counts, 0.51) == bucket_end_ns(bucket(1000))
    assert percentile_ns(counts, 0.99) == bucket_end_ns(bucket(1000))
    assert percentile_ns(counts, 1.0) == bucket_end_ns(bucket(10**6))
    assert percentile_ns({}, 0.5) is None
