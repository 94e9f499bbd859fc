"""The board: words that only one process writes, far enough apart, and seen by all."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from zcload.lane.board import (
    BYTES,
    COUNTS,
    GATE,
    ITERATIONS,
    LAST_NS,
    MAX_COUNTS,
    NUMBER,
    ORDER,
    PARKED,
    STRANGERS,
    TRANSFERS,
    WORDS_PER_BLOCK,
    Board,
)
from zcload.lane.loads.small_files import CALLS as SENDERS_CALLS
from zcload.lane.small_files.receive_loop import CALLS as RECEIVERS_CALLS
from zcload.mechanisms import MECHANISMS
from zcload.sinks import SINKS

LINE_PAIR_BYTES = 128


def test_no_two_processes_write_the_same_pair_of_cache_lines():
    """The coordinator's words and each worker's lie in blocks of whole pairs of cache lines of their own, inside the board."""
    workers = 65
    coordinator = {word * 8 // LINE_PAIR_BYTES for word in (GATE, NUMBER, ORDER)}
    owned = [coordinator]
    for worker in range(workers):
        base = Board.base(worker)
        assert base * 8 % LINE_PAIR_BYTES == 0
        owned.append({(base + word) * 8 // LINE_PAIR_BYTES for word in range(WORDS_PER_BLOCK)})
    assert sum(map(len, owned)) == len(set().union(*owned))
    board = Board(workers)
    assert len(board.words) == Board.base(workers - 1) + WORDS_PER_BLOCK
    board.close()


@pytest.mark.parametrize("area_words", [1, 31, 32, 33, 70])
def test_every_senders_area_is_its_own(area_words):
    """The areas of the loads have the length asked for, begin on pairs of cache lines of their own, and overlap nothing."""
    board = Board(5, areas=3, area_words=area_words)
    for sender in range(3):
        board.area(sender)[:] = memoryview(array("q", [sender + 1] * area_words))
    told = board.words.tolist()
    assert not any(told[: Board.base(4) + WORDS_PER_BLOCK])
    for sender in range(3):
        first = told.index(sender + 1)
        assert first * 8 % LINE_PAIR_BYTES == 0
        assert told[first : first + area_words] == [sender + 1] * area_words == board.area(sender).tolist()
    assert sum(map(bool, told)) == 3 * area_words
    board.close()


def test_a_board_without_areas_has_none():
    """A lane whose load asks for no area has a board of its workers' words alone."""
    board = Board(2, areas=1)
    assert len(board.area(0)) == 0
    assert len(board.words) == Board.base(1) + WORDS_PER_BLOCK
    board.close()


def test_a_workers_words_do_not_overlap():
    """The words of a block have different places, and the counts come after them."""
    words = [PARKED, BYTES, ITERATIONS, LAST_NS]
    assert len(set(words)) == len(words)
    assert max(words) < COUNTS
    assert sorted([TRANSFERS, STRANGERS]) == list(range(COUNTS + MAX_COUNTS, WORDS_PER_BLOCK))


@pytest.mark.parametrize("cls", [*MECHANISMS.values(), *SINKS.values()])
def test_every_kind_of_call_has_its_word(cls):
    """The board has a word for each kind of call of every mechanism and sink, and for what the loops around them make besides."""
    assert len(cls.calls) + max(1, len(SENDERS_CALLS), len(RECEIVERS_CALLS)) <= MAX_COUNTS
    assert len(set(cls.calls)) == len(cls.calls)


@pytest.mark.serial
def test_what_a_worker_writes_everybody_reads(in_child):
    """A word stored in one process is read in another, with its sign and all its 63 bits."""
    board = Board(2)

    def write():
        board.words[Board.base(1) + BYTES] = 2**63 - 1
        board.words[Board.base(1) + PARKED] = -7
        for kind in range(3):
            board.words[Board.base(1) + COUNTS + kind] = kind + 1

    in_child(write)
    assert board.words[Board.base(1) + BYTES] == 2**63 - 1
    assert board.words[Board.base(1) + PARKED] == -7
    assert board.counts(1, 3) == [1, 2, 3]
    assert board.counts(0, 3) == [0, 0, 0]
    board.close()


def test_a_board_is_anonymous_and_closes_twice(leaks):
    """A board has no file behind it and can be closed again."""
    board = Board(1)
    assert leaks() == {}
    assert "/dev/shm/zcload" not in Path("/proc/self/maps").read_text()
    board.close()
    board.close()
