"""The events of a point, or of the whole run: the lines that are few, kept by kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from zcload.analysis.tally import IdleUse
from zcload.model.records.lines import (
    Calibrated,
    CautionLine,
    End,
    Failed,
    Line,
    NetworkLine,
    PerfLine,
    Resumed,
    Skipped,
    Stopped,
    TraceLine,
    Verified,
)


@dataclass(slots=True)
class Events:
    """What happened, in order; of what is said anew each time the last word: *calibrated*, *network*, *perf*, *end*.

    *stopped* is empty again once the point is measured further, *end* is None once the run is resumed.
    """

    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    verified: list[Verified] = field(default_factory=list)
    traced: list[TraceLine] = field(default_factory=list)
    cautions: list[CautionLine] = field(default_factory=list)
    stopped: list[Stopped] = field(default_factory=list)
    resumed: list[Resumed] = field(default_factory=list)
    calibrated: Calibrated | None = None
    network: NetworkLine | None = None
    perf: PerfLine | None = None
    end: End | None = None
    idle: IdleUse = field(default_factory=IdleUse)

    def take(self, record: Line) -> None:
        """Take in *record* if it is an event."""
        match record["kind"]:
            case "idle":
                self.idle.take(record["machine"])
            case "skipped":
                self.skipped.append(record)
            case "failed":
                self.failed.append(record)
            case "verified":
                self.verified.append(record)
            case "traced":
                self.traced.append(record)
            case "caution":
                self.cautions.append(record)
            case "stopped":
                self.stopped.append(record)
            case "extended":
                self.stopped.clear()
            case "resumed":
                self.resumed.append(record)
                self.end = None  # the end of an earlier part says nothing of this one
            case "calibrated":
                self.calibrated = record
            case "network":
                self.network = record
            case "perf":
                self.perf = record
            case "end":
                self.end = record

    def of(self, variant: str) -> Events:
        """Return the events of one variant."""
        return Events(
            skipped=[event for event in self.skipped if event["variant"] == variant],
            failed=[event for event in self.failed if event["variant"] == variant],
            verified=[event for event in self.verified if event["variant"] == variant],
            traced=[event for event in self.traced if event["variant"] == variant],
        )
