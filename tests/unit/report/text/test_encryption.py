"""What a report says of the cost of encryption, in seconds per GB."""

from __future__ import annotations

import pytest
from support.fake_results import Cost, Result, header, lane
from support.summaries import point_of

from zcload.analysis.summary import summarise
from zcload.report.text.encryption import sentences
from zcload.report.text.headline import answer_last

COSTS = {"read_send": Cost(0.4, 0.2), "sendfile": Cost(0.2, 0.25), "tls_send": Cost(0.8, 0.6)}


def records(names, costs=COSTS):
    """Return the records of a result of these mechanisms, the first of them the baseline."""
    lanes = [lane(name) | ({"unencrypted": "read_send"} if name == "tls_send" else {}) for name in names]
    made = Result(header(lanes, baseline=names[0]))
    made.calibrated()
    made.verified(*names)
    for number in range(6):
        made.generation(number, [{name: costs[name] for name in names}])
    made.end()
    return made.records


def test_encryption_is_told_apart_from_what_sendfile_saves():
    """The sentence has the difference of both ends and of each, and how many times what sendfile saves that is."""
    (told,) = sentences(point_of(records(["read_send", "sendfile", "tls_send"])))
    assert told.startswith("Encryption costs 0.800 ±")
    assert "s/GB (sender 0.400, receiver 0.400): tls_send less read_send, 5.3 times the 0.150 ±" in told
    assert told.endswith("s/GB that sendfile saves without encryption.")


def test_it_stands_in_the_short_report_too():
    """The last lines above the prompt have the sentence."""
    assert any(line.startswith("Encryption costs 0.800") for line in answer_last(summarise(records(["read_send", "sendfile", "tls_send"]))))


def test_nothing_is_said_of_sendfile_where_it_was_not_measured():
    """Without sendfile the sentence ends with the difference."""
    (told,) = sentences(point_of(records(["read_send", "tls_send"])))
    assert told.endswith("tls_send less read_send.")


@pytest.mark.parametrize("names", [["sendfile", "tls_send"], ["read_send", "sendfile"]], ids=["no partner", "nothing encrypts"])
def test_nothing_is_said_without_a_pair(names):
    """Without a variant that encrypts, or the one that does the same without, there is no sentence."""
    assert list(sentences(point_of(records(names)))) == []


def test_a_saving_within_its_error_is_no_yardstick():
    """Where sendfile saves nothing that stands out, encryption is not counted in it."""
    (told,) = sentences(point_of(records(["read_send", "sendfile", "tls_send"], COSTS | {"sendfile": Cost(0.4, 0.2)})))
    assert told.endswith("tls_send less read_send.")
