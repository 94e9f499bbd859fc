"""The 2015 note's experiment in one command: `zcload demo`."""

from __future__ import annotations

from zcload.demo.result import Demo
from zcload.demo.run import ROUNDS, demo
from zcload.demo.table import render
from zcload.demo.words import conclusion

__all__ = ["ROUNDS", "Demo", "conclusion", "demo", "render"]
