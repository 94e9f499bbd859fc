"""Golden files: what a text must be, byte for byte. `make test ARGS=--rewrite-golden` writes them anew."""

from __future__ import annotations

import json
import os
import re

from support.fake_results import example
from support.paths import GOLDEN

from zcload.analysis.summary import summarise

rewriting = False  # conftest.py sets it when --rewrite-golden is given


def write(path, text):
    """Replace a golden file in one step: workers of pytest may read it at the same time."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_bytes(text.encode())
    beside.replace(path)


def summary_text():
    """Return the summary of the example as its golden file holds it: a figure a line, so that a change is a line of the difference."""
    text = json.dumps(summarise(example(everything=False)), indent=1, allow_nan=False)
    return re.sub(r"\{[^{}]*\}", lambda found: re.sub(r"\n *", " ", found[0]), text) + "\n"


def golden_summary():
    """Return the summary that the golden reports are made from: the stored one, whose digits no version of Python changes."""
    return json.loads(summary_text() if rewriting else (GOLDEN / "summary.json").read_text(encoding="utf-8"))
