"""The loads of small files: each is requested whole, one after another on a connection, or by a schedule.

In a closed loop a connection requests the next file when it has the last. In an open loop only the schedule decides when. HTTP/1.1 has one
answer under way on a connection, so an arrival that finds it busy waits, and its latency still counts from when it was due.
"""

from __future__ import annotations

import hashlib
import time

from zcload.lane.board import GATE, OPENED_NS, TRANSFERS, UNTIL_NS
from zcload.lane.small_files.arrivals import LEAD_NS, ArrivalSchedule
from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.linux.process import wake_on_time
from zcload.model.study import Point
from zcload.server.http.connection import Connection
from zcload.server.http.due_queue import WAITS, DueQueue
from zcload.server.http.loads.request_load import RequestLoad, RequestMeans
from zcload.server.http.target import SmallFile
from zcload.sinks.recv import payload_reader


class ConnectionProgress:
    """How far a connection is: the file it comes to next, how many it has had, and where their instants are written."""

    __slots__ = ("asked", "at", "begun", "capacity", "counted", "done", "due", "file", "had", "last")

    def __init__(self, plan: TransferPlan, file: SmallFile, number: int, counted: memoryview) -> None:
        self.file, self.capacity = file, plan.log.capacity
        self.due, self.begun, self.done = plan.log.due(number), plan.log.begun(number), plan.log.done(number)
        self.at = plan.start(number)
        self.counted = counted  # its word on the board: how many files it has had
        self.had = self.last = 0
        self.asked = False

    def finish(self) -> None:
        """Record that the requested file has arrived."""
        self.done[self.had % self.capacity] = time.monotonic_ns()
        self.had += 1


class SmallFiles(RequestLoad):
    """Ask for small files, each when the last of its connection has come; an area of one word for each connection."""

    def __init__(self, means: RequestMeans) -> None:
        super().__init__(means)
        plan, names = means.transfer_plan, means.names
        assert plan is not None
        assert names is not None
        self._plan, self._name_of, self._sizes = plan, names.of, plan.catalogue.sizes
        self._fresh = means.point.connection == "fresh"
        self._progress: dict[int, ConnectionProgress] = {}
        for connection in self.fetcher.connections:
            connection.target = file = SmallFile(self.target, names.paths, self._fresh)
            self._progress[connection.number] = ConnectionProgress(plan, file, connection.number, means.area(connection.number))
        self._number = 0

    @classmethod
    def areas(cls, point: Point) -> tuple[int, int]:
        return point.senders, 1

    def verify(self) -> dict[int, str]:
        """Fetch the first files of each connection; its digest is the SHA-256 of their SHA-256s."""
        fetcher = self.fetcher
        digests = fetcher.digests = {number: hashlib.sha256() for number in self._progress}
        whole = {number: hashlib.sha256() for number in self._progress}
        left = dict.fromkeys(self._progress, self._plan.verified)

        def more(connection: Connection) -> bool:
            number = connection.number
            if self._came(connection):
                whole[number].update(digests[number].digest())
                digests[number] = hashlib.sha256()
            if not left[number]:
                return False
            left[number] -= 1
            self.ask(connection)
            return True

        fetcher.fetch(payload_reader(fetcher.taker), more)
        fetcher.digests = None
        return {number: digest.hexdigest() for number, digest in whole.items()}

    def run(self, number: int) -> None:
        self._number = number
        for progress in self._progress.values():
            progress.last = progress.had + progress.capacity  # when its records are full, a connection asks no more
        self._fetch()
        for progress in self._progress.values():
            progress.counted[0] = progress.had
        self.fetcher.words[self.fetcher.base + TRANSFERS] = sum(progress.had for progress in self._progress.values())

    def _fetch(self) -> None:
        """Take answers until the window is over and nothing is under way."""
        self.fetcher.fetch(self.fetcher.taker, self._more)

    def _more(self, connection: Connection) -> bool:
        """Request the next file of *connection*, or schedule the request; return whether there is one in this window."""
        progress = self._progress[connection.number]
        if progress.asked:
            progress.finish()
            self._came(connection)
        if self.fetcher.words[GATE] != self._number or progress.had >= progress.last:
            return False
        progress.due[progress.had % progress.capacity] = time.monotonic_ns()
        self.ask(connection)
        return True

    def ask(self, connection: Connection) -> int:
        """Ask for the next file."""
        progress = self._progress[connection.number]
        at, size = progress.at, self._sizes[progress.at]
        progress.at = at + 1 if at + 1 < len(self._sizes) else 0
        progress.asked = True
        progress.file.choose(self._name_of(at), size)
        connection.ask(0, size)
        return size

    def _came(self, connection: Connection) -> bool:
        """Record that the answer on *connection* has arrived; return whether there was a request."""
        progress = self._progress[connection.number]
        asked, progress.asked = progress.asked, False
        if asked and self._fresh:
            connection.close()  # a server may not have heeded that it was to
        return asked


class ScheduledSmallFiles(SmallFiles):
    """Ask for small files when the schedule of their connection says so."""

    def __init__(self, means: RequestMeans) -> None:
        super().__init__(means)
        self._schedules: dict[int, ArrivalSchedule] = {number: self._plan.schedule(number) for number in self._progress}
        self._due_queue = DueQueue(self.fetcher, self._begin)
        self.counts = self._due_queue.counts
        wake_on_time()

    @classmethod
    def calls(cls, point: Point) -> tuple[str, ...]:
        return WAITS

    def _fetch(self) -> None:
        for schedule in self._schedules.values():
            schedule.begin(self.fetcher.words[OPENED_NS] + LEAD_NS)
        self.fetcher.fetch(self.fetcher.taker, self._more, self._due_queue.ready)

    def _more(self, connection: Connection) -> bool:
        progress = self._progress[connection.number]
        if progress.asked:
            progress.finish()
            self._came(connection)
        due_ns = self._schedules[connection.number].due()
        if due_ns >= self.fetcher.words[UNTIL_NS] or progress.had >= progress.last:
            return False
        if due_ns > time.monotonic_ns():
            self._due_queue.put(due_ns, connection)
        else:
            self._begin(connection, due_ns)
        return True

    def _begin(self, connection: Connection, due_ns: int) -> None:
        progress = self._progress[connection.number]
        self._schedules[connection.number].advance()
        slot = progress.had % progress.capacity
        progress.due[slot] = due_ns
        progress.begun[slot] = time.monotonic_ns()
        self.ask(connection)

    def close(self) -> None:
        self._due_queue.close()
