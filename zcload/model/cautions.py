"""Cautions: what spoils or limits a result, as data for people and programs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that spoils, or limits, what a result says: data for people and programs, never only text on a screen."""

    code: str
    message: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "remedy": self.remedy}
