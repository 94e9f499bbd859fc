"""`zcload demo`: the experiment of 2015 in one command."""

from __future__ import annotations

from zcload.oneshot.demo.demo_answer import conclusion
from zcload.oneshot.demo.demo_report import render
from zcload.oneshot.demo.result import Demo
from zcload.oneshot.demo.rounds import ROUNDS, demo

__all__ = ["ROUNDS", "Demo", "conclusion", "demo", "render"]
