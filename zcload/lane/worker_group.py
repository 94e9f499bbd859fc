"""The worker processes of one lane: waited for, asked, watched and ended together."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from zcload.errors import StudyError
from zcload.lane.worker import Worker, process_state

SETUP_S = 20.0  # for a worker to say that it is ready, or what was asked of it
CAUSE_S = 0.25  # how long a broken connection waits for the one who broke it to be found
_END_S = 1.0  # for the workers of a lane to end by themselves


@dataclass(slots=True)
class WorkerGroup:
    """The *senders*, *receivers* and *relays* of a lane; those of the role *gated* wait at its gate and carry out its orders."""

    gated_role: Literal["sender", "receiver"]
    senders: list[Worker] = field(default_factory=list)
    receivers: list[Worker] = field(default_factory=list)
    relays: list[Worker] = field(default_factory=list)
    killed: StudyError | None = None  # which of them somebody else had killed before `end` did

    @property
    def members(self) -> list[Worker]:
        return [*self.senders, *self.receivers, *self.relays]

    @property
    def gated(self) -> list[Worker]:
        return self.senders if self.gated_role == "sender" else self.receivers

    def expect(self, worker: Worker, key: str, what: str) -> dict[str, Any]:
        """Wait for the message with *key* from *worker*; raises StudyError that names the worker if it sends another."""
        message = worker.receive(SETUP_S, what)
        if key not in message:
            raise StudyError(f"{worker}: said {str(message)[:60]!r} while {what}")
        return message

    def ready(self) -> None:
        """Wait until every worker is ready; raises StudyError that names the cause, not a worker whose connection broke."""
        for worker in self.members:
            try:
                self.expect(worker, "ready", "setting up")
            except StudyError as error:
                raise ((self.failure() if error.consequence else None) or error) from None

    def failure(self) -> StudyError | None:
        """Return what is wrong with a worker, None while all is well: the cause, not another worker's broken connection.

        If a worker only saw its connection break, this waits a moment for the others to report the cause.
        """
        deadline = time.monotonic() + CAUSE_S
        while True:
            errors = [error for worker in self.members if (error := worker.failure()) is not None]
            causes = [error for error in errors if not error.consequence]
            if causes or not errors:
                return causes[0] if causes else None
            if time.monotonic() > deadline:
                return errors[0]
            time.sleep(0.005)

    def describe(self) -> str:
        """Return what the first of them are doing, for messages."""
        return ", ".join(f"{worker.role} {worker.index} (pid {worker.pid}) {process_state(worker.pid)}" for worker in self.members[:6])

    def end(self) -> None:
        """Wait a moment for the workers to stop, kill the others, and forget them; `killed` names one that a signal had ended."""
        deadline = time.monotonic() + _END_S
        for worker in self.members:
            worker.ends_within(deadline - time.monotonic())
            if worker.signalled:
                self.killed = self.killed or worker.failure()
            worker.end()
        self.senders.clear()
        self.receivers.clear()
        self.relays.clear()
