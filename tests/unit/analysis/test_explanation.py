"""Why a variant won or lost: the rules, as tables of figures and the reasons that they carry."""

from __future__ import annotations

import pytest

from zcload.analysis.explanation import reasons
from zcload.analysis.zerocopy_check import NOT_ZERO_COPY
from zcload.report.text.explanation import explanations

ALIKE = {
    "calls": (7629, 7600, 7650),
    "faults": (3, 0, 6),
    "voluntary": (100, 80, 120),
    "involuntary": (5, 3, 7),
}
KEYS = {
    "calls": "syscalls_per_gb",
    "faults": "minor_faults_per_gb",
    "voluntary": "voluntary_switches_per_gb",
    "involuntary": "involuntary_switches_per_gb",
}
LOWER = {"estimate": 50.0, "low": 40.0, "high": 60.0}
HIGHER = {"estimate": -50.0, "low": -60.0, "high": -40.0}
SAME = {"estimate": 1.0, "low": -2.0, "high": 4.0}


def figure(values):
    return dict(zip(("estimate", "low", "high"), values, strict=True))


def variant(name, *, copies=2, label=None, sink="recv", receiver_copies=1, lost=0.0, mapped=None, own=0.001, best_chunk=False, **counts):
    """Return a variant as a summary has it; *counts* are (estimate, low, high) by role and kind, like sender_calls."""
    metrics = {
        f"{role}_{KEYS[kind]}": figure(counts.get(f"{role}_{kind}", ALIKE[kind])) for role in ("sender", "receiver") for kind in KEYS
    }
    metrics["sender_cpu_s_per_gb"] = figure((0.4, 0.39, 0.41))
    side = {"note": "", "observed": None, "basis": ""}
    return {
        "name": name,
        "sink": sink,
        "moves_payload": True,
        "best_chunk": best_chunk,
        "copied_fraction": 1.0 if label else None,
        "truth": {"label": label},
        "retransmitted_fraction": lost,
        "receiver_mapped_fraction": mapped,
        "own_cost": {"s_per_gb": own},
        "metrics": metrics,
        "bill": {"copies": {"sender": {"here": copies, **side}, "receiver": {"here": receiver_copies, **side}}},
    }


def compared(name, verdict, sender, receiver, *, aa=False, **counts):
    """Return the comparisons of a variant: CPU of both ends as savings, counts as *counts* say, by role and kind, else the same."""
    made = {"total_cpu_s_per_gb": SAME, "sender_cpu_s_per_gb": sender, "receiver_cpu_s_per_gb": receiver}
    made |= {f"{role}_{KEYS[kind]}": counts.get(f"{role}_{kind}", SAME) for role in ("sender", "receiver") for kind in KEYS}
    return [
        {"variant": name, "metric": key, "headline": key.startswith("total"), "aa": aa, "verdict": verdict, "saving_percent": saving}
        for key, saving in made.items()
    ]


def explained(ours, verdict, sender, receiver, **counts):
    """Return the codes of the causes by role, and the sentence; both None where nothing is told."""
    point = {"name": "", "variants": [variant("copy"), ours]}
    point["why"] = reasons(point["variants"], compared(ours["name"], verdict, sender, receiver, **counts), "copy")
    if not point["why"]:
        assert explanations(point) == []
        return None, None
    (reason,), (sentence,) = point["why"], explanations({**point, "variants": [v | {"windows": 1} for v in point["variants"]]})
    return {side["role"]: (side["effect"], *(cause["code"] for cause in side["causes"])) for side in reason["sides"]}, sentence


FEWER_CALLS = (3815, 3810, 3820)
MORE_SWITCHES = (8000, 7900, 8100)
MANY_FAULTS = (240_000, 239_000, 241_000)


@pytest.mark.parametrize(
    ("ours", "verdict", "sender", "receiver", "counts", "expected"),
    [
        # No copy and half the calls.
        (
            variant("v", copies=0, sender_calls=FEWER_CALLS),
            "saves",
            LOWER,
            SAME,
            {"sender_calls": LOWER},
            {"sender": ("saves", "copies", "calls")},
        ),
        # Fewer calls are no reason for a cost, nor are fewer copies.
        (variant("v", copies=0, sender_calls=FEWER_CALLS), "costs", HIGHER, SAME, {"sender_calls": LOWER}, {"sender": ("costs",)}),
        # A difference whose interval says nothing is no cause.
        (variant("v", sender_calls=(3815, 1000, 9000)), "saves", LOWER, SAME, {"sender_calls": SAME}, {"sender": ("saves",)}),
        # One that is certain and small is none either.
        (variant("v", sender_calls=(7500, 7499, 7501)), "saves", LOWER, SAME, {"sender_calls": LOWER}, {"sender": ("saves",)}),
        (variant("v", sender_voluntary=(400, 399, 401)), "costs", HIGHER, SAME, {"sender_voluntary": HIGHER}, {"sender": ("costs",)}),
        # Switches and faults that cost.
        (
            variant("v", sender_voluntary=MORE_SWITCHES, sender_faults=MANY_FAULTS),
            "costs",
            HIGHER,
            SAME,
            {"sender_voluntary": HIGHER, "sender_faults": HIGHER},
            {"sender": ("costs", "faults", "voluntary")},
        ),
        # Both sides, and memory that nobody has warmed.
        (variant("v", copies=0), "saves", LOWER, HIGHER, {}, {"sender": ("saves", "copies"), "receiver": ("costs", "cold_memory")}),
        # A sender that still copies once, like mmap_send, warms the cache as well.
        (variant("v", copies=1), "saves", LOWER, HIGHER, {}, {"sender": ("saves", "copies"), "receiver": ("costs",)}),
        # Nor where the sender's threads switch so often that they may be the cause.
        (
            variant("v", copies=0, sender_voluntary=(60_000, 59_000, 61_000)),
            "saves",
            LOWER,
            HIGHER,
            {},
            {"sender": ("saves", "copies"), "receiver": ("costs",)},
        ),
        # No word of cold memory where the receiver copies nothing, or differs itself.
        (
            variant("v", copies=0, receiver_copies=0, sink="discard"),
            "saves",
            LOWER,
            HIGHER,
            {},
            {"sender": ("saves", "copies"), "receiver": ("costs",)},
        ),
        (
            variant("v", copies=0, receiver_copies=2, sink="file"),
            "saves",
            LOWER,
            HIGHER,
            {},
            {"sender": ("saves", "copies"), "receiver": ("costs", "copies")},
        ),
        # What was copied late, and lost on the way.
        (
            variant("v", copies=1, label=NOT_ZERO_COPY, lost=0.02),
            "costs",
            HIGHER,
            HIGHER,
            {},
            {"sender": ("costs", "late_copy", "retransmits"), "receiver": ("costs", "late_copy_here", "retransmits")},
        ),
        # zcload's own code, where it is enough to show and goes the right way.
        (variant("v", own=0.1), "costs", HIGHER, SAME, {}, {"sender": ("costs", "own_code")}),
        (variant("v", own=0.004), "costs", HIGHER, SAME, {}, {"sender": ("costs",)}),
        (variant("v", own=0.1), "saves", LOWER, SAME, {}, {"sender": ("saves",)}),
        # What was mapped.
        (variant("v", mapped=0.9, receiver_copies=0), "saves", SAME, LOWER, {}, {"receiver": ("saves", "copies", "mapped")}),
        # What one side saves the other pays.
        (variant("v", copies=0), "no difference", LOWER, HIGHER, {}, {"sender": ("saves", "copies"), "receiver": ("costs", "cold_memory")}),
        # Nothing to tell: open, no difference on either side, no figure.
        (variant("v", copies=0), "inconclusive", LOWER, HIGHER, {}, None),
        (variant("v", copies=0), "no difference", LOWER, SAME, {}, None),
        (variant("v", copies=0), "saves", SAME, SAME, {}, None),
        (variant("v", copies=0), None, dict.fromkeys(LOWER), dict.fromkeys(LOWER), {}, None),
        # Lanes with another role.
        (variant("v", copies=0, best_chunk=True), "saves", LOWER, SAME, {}, None),
        (variant("v", copies=0), "saves", LOWER, SAME, {"aa": True}, None),
    ],
)
def test_reasons(ours, verdict, sender, receiver, counts, expected):
    """Each effect and each cause is told if its own figures show it, in the direction of the effect, and else not."""
    assert explained(ours, verdict, sender, receiver, **counts)[0] == expected


def test_the_sentence():
    """The sentence names sides, effects with intervals, and causes with their figures."""
    ours = variant("sendfile", copies=0, sender_calls=FEWER_CALLS)
    assert explained(ours, "saves", LOWER, HIGHER, sender_calls=LOWER)[1] == (
        "Why sendfile saves: the sender needs 50 % (40..60) less CPU: no copy of the payload instead of 2 and 3815 system calls per GB "
        "instead of 7629; the receiver needs 50 % (40..60) more CPU: probably because the sender no longer warms the cache."
    )


def test_small_files_are_explained_per_file():
    """Counts of small files are told per file: nine system calls, not 8.8 million per GB."""
    ours = variant("sendfile", copies=2, sender_calls=(8_789_062, 8_789_000, 8_789_100))
    copy = variant("copy", sender_calls=(10_742_188, 10_742_000, 10_742_300))
    why = reasons([copy, ours], compared("sendfile", "saves", LOWER, SAME, sender_calls=LOWER), "copy")
    (said,) = explanations({"name": "", "variants": [], "why": why, "point": {"transfer_bytes": 1024}})
    assert said.endswith("9.00 system calls per file instead of 11.0.")


def test_the_sentence_of_a_copied_variant_is_labelled():
    """The label stands in this sentence too."""
    ours = variant("msg_zerocopy", copies=1, label=NOT_ZERO_COPY)
    assert explained(ours, "costs", HIGHER, SAME)[1] == (
        "Why msg_zerocopy (copied: not a zero-copy result) costs more: the sender needs 50 % (40..60) more CPU: pages are pinned and "
        "looked up, and then the kernel copies them all the same."
    )


def test_the_sentence_where_one_side_pays():
    """A variant that makes no difference says that the sides cancel."""
    said = explained(variant("v", copies=0), "no difference", LOWER, HIGHER)[1]
    assert said.startswith("Why v makes no difference: what one side saves the other pays: the sender needs")


def test_results_of_older_versions_explain_nothing():
    """A summary without reasons has no such sentence."""
    assert explanations({"name": "", "variants": []}) == []
