"""What `run` and `run --plan` say of the time that a study takes."""

from __future__ import annotations

from zcload.cli.plan import expected
from zcload.runner.plan import Plan


def plan(**changed):
    facts = {"setup_s": 5.2, "measure_s": 10.0, "check_s": 0.0, "memory_bytes": 0, "disk_bytes": 0, "limit_s": 181.5, "processes": 2}
    return Plan(points=("one point",), lanes=("read_send", "sendfile"), **(facts | changed))


def test_the_time_is_said_to_be_an_estimate():
    """The time is what a quiet machine needs, rounded up, and says so: it promises no limit, which the plan has on a line of its own."""
    assert expected(plan()) == "up to 16 s on a quiet machine, longer beside other work"
    search = expected(plan(setup_s=0.0, measure_s=240.0, typical_s=118.0))
    assert search == "usually about 1 min 58 s, up to 4 min on a quiet machine, longer beside other work"
