"""Small files: parts of the large one, every one at a page, all of it used, the same every time."""

from __future__ import annotations

import hashlib

import pytest

from zcload.lane.small_files.catalogue import MOST_FILES, lay_out


@pytest.mark.parametrize("sizes", [(1,), (4096,), (5000,), (1, 4096, 100_000), (1 << 20,)])
def test_files_lie_side_by_side_until_the_large_one_is_full(sizes):
    """Each file begins at a page and ends within the large one; their number and sizes are what fits."""
    whole = 16 << 20
    files = lay_out(sizes, whole)
    assert all(offset % 4096 == 0 and offset + size <= whole for offset, size in zip(files.offsets, files.sizes, strict=True))
    slots = [-(-size // 4096) * 4096 for size in sizes]
    assert len(files) == whole * len(sizes) // sum(slots)
    if len(sizes) == 1:
        assert sorted(files.offsets) == list(range(0, whole - slots[0] + 1, slots[0]))
        assert list(files.offsets) != sorted(files.offsets) or len(files) == 1


def test_every_size_is_as_likely_as_the_next():
    """Of a mix each word has its share of the files, one more or less."""
    files = lay_out((1000, 1000, 50_000), 64 << 20)
    share = list(files.sizes).count(50_000)
    assert abs(share - len(files) / 3) <= 1


def test_a_large_file_does_not_make_a_catalogue_without_end():
    """The number of files is bounded; more sizes than that are sampled, and they still lie within the file."""
    assert len(lay_out((1,), 4 << 30)) == MOST_FILES
    many = lay_out(tuple(range(1, 100_001)), 64 << 20)
    assert len(many) == MOST_FILES
    assert max(offset + size for offset, size in zip(many.offsets, many.sizes, strict=True)) <= 64 << 20
    assert len(set(many.sizes)) == MOST_FILES


def test_sizes_that_do_not_all_fit_overlap():
    """A file that holds fewer files than there are sizes still gives each size once."""
    files = lay_out((1 << 20, 2 << 20, 3 << 20), 3 << 20)
    assert sorted(files.sizes) == [1 << 20, 2 << 20, 3 << 20]


def test_the_order_is_the_same_every_time():
    """Two lanes send the same files in the same order."""
    lay_out.cache_clear()
    one = lay_out((4096, 100), 1 << 20)
    lay_out.cache_clear()
    assert one == lay_out((4096, 100), 1 << 20)
    assert [one.start(s, 4) for s in range(4)] == [0, len(one) // 4, len(one) // 2, 3 * len(one) // 4]


def test_the_digest_is_that_of_the_files_one_by_one(source_file):
    """The expected digest of some files is the SHA-256 of their SHA-256s, round the end of the catalogue."""
    source = source_file(1 << 16)
    files = lay_out((3000,), source.size)
    start = len(files) - 2
    wanted = b"".join(hashlib.sha256(source.data[files.offsets[n % len(files)] :][:3000]).digest() for n in range(start, start + 5))
    assert files.digest(source.fd, start, 5) == hashlib.sha256(wanted).hexdigest()
