"""Made results as reports are tested with them."""

from __future__ import annotations

from support.fake_results import A_LATE_COPY, TWO_COPIES, Cost, Result, header, lane


def zero_copy(completions, *, moved=200_000_000, **tcp_info):
    """Return the records of a study whose contender reports *completions* in every generation."""
    copies = {"calls": ["send", "recvmsg"], "copies": A_LATE_COPY}
    result = Result(header([lane("copy", calls=["send"], copies=TWO_COPIES), lane("msg_zerocopy", **copies)]))
    for number in range(6):
        result.generation(number, {"copy": Cost(0.4), "msg_zerocopy": Cost(0.5 + 0.01 * number)})
        result.records.pop()  # the report of a lane without completions
        result.reports(number, "msg_zerocopy", completions=completions, moved=moved, **tcp_info)
    return result.end()
