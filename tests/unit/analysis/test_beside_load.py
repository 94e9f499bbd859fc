"""What a result says when other work ran beside it: the first line, and verdicts that only clean blocks can keep."""

from __future__ import annotations

import pytest
from support.fake_results import Cost, Result, header, lane

from zcload.analysis.summary import summarise
from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.report.text.answer import answer


def beside(loaded, clean, *, when_loaded=0.2):
    """Return the summary of a study with generations beside other work (a fifth of the machine) and others without it."""
    head = header([lane("copy", "read_send"), lane("sendfile")])
    head["environment"] = {**head["environment"], "cpus_online": 2}
    result = Result(head).verified("copy", "sendfile").calibrated()
    for number in range(loaded + clean):
        kept = number < loaded
        costs = {"copy": Cost(0.4), "sendfile": Cost(when_loaded if kept else 0.2)}
        result.generation(number, costs, fate="kept" if kept else "counted")
    return summarise(result.end())


def headline(summary):
    (found,) = [c for c in summary["points"][0]["comparisons"] if c["metric"] == TOTAL_CPU_S_PER_GB and c["variant"] == "sendfile"]
    return found


@pytest.mark.parametrize(("loaded", "clean"), [(0, 8), (2, 6)])
def test_little_other_work_changes_nothing(loaded, clean):
    """While others use less than a tenth of the machine on average, verdicts stay and nothing is said first."""
    summary = beside(loaded, clean)
    assert not summary["points"][0]["loaded"]
    assert headline(summary)["verdict"] == "saves"
    assert "do not quote" not in " ".join(answer(summary))


def test_a_loaded_result_says_so_first():
    """Beyond a tenth of the machine the first line says how much others used, and a caution of the worst level stands in the result."""
    summary = beside(6, 2)
    assert summary["points"][0]["loaded"]
    assert answer(summary)[0] == "Measured while other work used up to 0.3 of 2 CPUs: do not quote these figures."
    (caution,) = [c for c in summary["cautions"] if c["code"] == "loaded"]
    assert "other work used 0.3 of 2 CPUs" in caution["message"]


def test_clean_blocks_that_say_the_same_keep_a_verdict():
    """A verdict stays where the blocks without other work alone come to the same."""
    assert headline(beside(6, 4))["verdict"] == "saves"


def test_clean_blocks_that_say_otherwise_take_a_verdict_back():
    """Where the blocks without other work alone say something else, there is no verdict, and the reason says what they say."""
    c = headline(beside(40, 4, when_loaded=0.8))
    assert c["verdict"] == "inconclusive"
    assert c["reason"] == "other work ran while it was measured; the blocks without it say: saves"


@pytest.mark.parametrize("clean", [0, 1])
def test_too_few_clean_blocks_take_a_verdict_back(clean):
    """With no clean blocks, or those of one generation alone, nothing can be said beside other work, however narrow the interval is."""
    c = headline(beside(8, clean))
    assert c["verdict"] == "inconclusive"
    assert c["reason"] == "other work ran while it was measured, in too many blocks to leave it out"


def test_generations_of_a_replicate_are_one_value():
    """An interval is over replicates: generations of one process that agree with each other do not make it narrow."""

    def study(replicates):
        result = Result(header([lane("copy", "read_send"), lane("sendfile")])).verified("copy", "sendfile").calibrated()
        for number in range(12):
            luck = (0.20, 0.22, 0.18)[number // 4]  # of the process
            result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(luck)}, replicate=number // 4 if replicates else None)
        return summarise(result.end())

    apart, together = study(False), study(True)
    assert (apart["points"][0]["replicates"], together["points"][0]["replicates"]) == (None, 3)
    assert apart["points"][0]["generations"] == together["points"][0]["generations"] == 12
    assert headline(together)["ratio"]["estimate"] == pytest.approx(headline(apart)["ratio"]["estimate"], rel=0.01)
    assert headline(together)["half_width_percent"] > 3 * headline(apart)["half_width_percent"]
