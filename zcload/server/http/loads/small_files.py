"""The load of small files: each is asked for whole, one after another on a connection, or by a schedule.

In a closed loop a connection asks for the next when it has the last. In an open loop the schedule alone says when; HTTP/1.1 has one answer
under way on a connection, so an arrival that finds it busy waits, and its latency counts from when it was due all the same.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zcload.lane.board import GATE, OPENED_NS, TRANSFERS, UNTIL_NS
from zcload.lane.small_files.arrivals import LEAD_NS, Schedule
from zcload.lane.small_files.catalogue import Catalogue
from zcload.lane.small_files.latency_log import LatencyLog
from zcload.linux.process import wake_on_time
from zcload.server.http.connection import Connection
from zcload.server.http.due_queue import DueQueue
from zcload.server.http.fetcher import Fetcher
from zcload.server.http.loads.small_file import SmallFile
from zcload.server.http.loads.stream import Stream
from zcload.sinks.recv import Recv


@dataclass(frozen=True, slots=True)
class Files:
    """The small files of a lane: *catalogue*, their *names* by its order, the pieces of their *paths*, and what is written of them.

    *verified* is how many of each connection verification fetches; *schedule* makes the arrivals of a connection, None in a closed
    loop; *counted* holds for each connection of the lane its word on the board: how many files it has had.
    """

    catalogue: Catalogue
    names: Callable[[int], str]
    paths: Sequence[str]
    log: LatencyLog
    verified: int
    fresh: bool
    schedule: Callable[[int], Schedule] | None
    counted: Callable[[int], memoryview]


class ConnectionProgress:
    """How far a connection is: the file it comes to next, how many it has had, and where their instants are written."""

    __slots__ = ("asked", "at", "begun", "capacity", "counted", "done", "due", "file", "had", "last", "schedule")

    def __init__(self, files: Files, file: SmallFile, number: int, connections: int) -> None:
        self.file, self.capacity = file, files.log.capacity
        self.due, self.begun, self.done = files.log.due(number), files.log.begun(number), files.log.done(number)
        self.at = files.catalogue.start(number, connections)
        self.schedule = files.schedule(number) if files.schedule else None
        self.counted = files.counted(number)
        self.had = self.last = 0
        self.asked = False


class Transfers(Stream):
    """Ask for small files."""

    def __init__(self, fetcher: Fetcher, files: Files) -> None:
        super().__init__(fetcher)
        self._files, self._sizes = files, files.catalogue.sizes
        self._courses: dict[int, ConnectionProgress] = {}
        for connection in fetcher.connections:
            connection.target = file = SmallFile(self.target, files.paths, files.fresh)
            self._courses[connection.number] = ConnectionProgress(files, file, connection.number, self.target.connections)
        self._number = 0
        self._due_queue: DueQueue | None = None
        if files.schedule is not None:
            self._due_queue = DueQueue(fetcher, self._begin)
            fetcher.waits = self._due_queue.counts
            wake_on_time()

    def verify(self) -> dict[int, str]:
        """Fetch the first files of each connection; return the SHA-256 of their SHA-256s by its number. Raises StudyError."""
        fetcher = self.fetcher
        taker = fetcher.taker if fetcher.taker.sees_payload else Recv(fetcher.taker.chunk)
        digests = fetcher.digests = {number: hashlib.sha256() for number in self._courses}
        whole = {number: hashlib.sha256() for number in self._courses}
        left = dict.fromkeys(self._courses, self._files.verified)

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

        fetcher.fetch(taker, more)
        fetcher.digests = None
        return {number: digest.hexdigest() for number, digest in whole.items()}

    def run(self, number: int) -> None:
        fetcher, due_queue = self.fetcher, self._due_queue
        self._number = number
        for course in self._courses.values():
            course.last = course.had + course.capacity  # when its records are full, a connection asks no more
            if course.schedule is not None:
                course.schedule.begin(fetcher.words[OPENED_NS] + LEAD_NS)
        if due_queue is None:
            fetcher.fetch(fetcher.taker, self._more_closed)
        else:
            fetcher.fetch(fetcher.taker, self._more_scheduled, due_queue.ready)
        for course in self._courses.values():
            course.counted[0] = course.had
        fetcher.words[fetcher.base + TRANSFERS] = sum(course.had for course in self._courses.values())

    def _more_closed(self, connection: Connection) -> bool:
        course, now = self._courses[connection.number], time.monotonic_ns
        if course.asked:
            course.done[course.had % course.capacity] = now()
            self._came(connection)
            course.had += 1
        if self.fetcher.words[GATE] != self._number or course.had >= course.last:
            return False
        course.due[course.had % course.capacity] = now()
        self.ask(connection)
        return True

    def _more_scheduled(self, connection: Connection) -> bool:
        course, now = self._courses[connection.number], time.monotonic_ns
        schedule, due_queue = course.schedule, self._due_queue
        assert schedule is not None
        assert due_queue is not None
        if course.asked:
            course.done[course.had % course.capacity] = now()
            self._came(connection)
            course.had += 1
        due_ns = schedule.due()
        if due_ns >= self.fetcher.words[UNTIL_NS] or course.had >= course.last:
            return False
        if due_ns > now():
            due_queue.put(due_ns, connection)
        else:
            self._begin(connection, due_ns)
        return True

    def _begin(self, connection: Connection, due_ns: int) -> None:
        course = self._courses[connection.number]
        assert course.schedule is not None
        course.schedule.advance()
        slot = course.had % course.capacity
        course.due[slot] = due_ns
        course.begun[slot] = time.monotonic_ns()
        self.ask(connection)

    def ask(self, connection: Connection) -> int:
        """Ask for the next file of *connection*; return its size. Raises StudyError."""
        course = self._courses[connection.number]
        at, size = course.at, self._sizes[course.at]
        course.at = at + 1 if at + 1 < len(self._sizes) else 0
        course.asked = True
        course.file.choose(self._files.names(at), size)
        connection.ask(0, size)
        return size

    def _came(self, connection: Connection) -> bool:
        """Note that what was asked for on *connection* has come; say whether anything was asked for."""
        course = self._courses[connection.number]
        asked, course.asked = course.asked, False
        if asked and self._files.fresh:
            connection.close()  # a server may not have heeded that it was to
        return asked

    def close(self) -> None:
        if self._due_queue is not None:
            self._due_queue.close()
