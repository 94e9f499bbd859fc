"""Sizes of small files: what a config may say, and texts with a size a line."""

from __future__ import annotations

import pytest

from zcload import config
from zcload.errors import ConfigError
from zcload.model.sizes import MOST_LINES, format_sizes, parse_sizes, read_sizes
from zcload.model.study import Point, Sizes
from zcload.runner import preflight

SMALLEST = '[study]\nname = "s"\nbaseline = "read_send"\nvariants = ["read_send"]\n[workload]\ntransfer = "per-file"\n'


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("16KiB", Sizes((16384,))),
        ("1B", Sizes((1,))),
        ("mix: 4KiB 4KiB 1MiB", Sizes((4096, 4096, 1 << 20))),
        ("mix:1B 2B", Sizes((1, 2))),
        ("file: some sizes.txt", Sizes((), "some sizes.txt")),
        ("file:/srv/sizes:2.txt", Sizes((), "/srv/sizes:2.txt")),
    ],
)
def test_sizes_are_read_and_written_back(text, sizes):
    """Each form of sizes is what it says, and is written so that it is read again."""
    assert parse_sizes(text) == sizes
    assert parse_sizes(format_sizes(sizes)) == sizes


def points(workload: str) -> tuple[Point, ...]:
    return config.loads(SMALLEST + workload).points


def test_sizes_arrivals_and_rates_are_swept():
    """The new keys make points as all others do, in the order of the file."""
    made = points('transfer_size = ["1KiB", "mix: 1KiB 2KiB"]\narrivals = ["closed", "poisson"]\ntransfer_rate = ["100/s", "2.5/s"]')
    assert [(p.sizes, p.arrivals, p.transfers_per_s) for p in made] == [
        (sizes, arrivals, rate)
        for sizes in ((1024,), (1024, 2048))
        for arrivals, rate in (("closed", None), ("poisson", 100.0), ("poisson", 2.5))
    ]


def test_a_stream_beside_files_comes_once():
    """What means nothing for a stream does not multiply its points, nor does a rate those of files."""
    made = points('transfer_size = ["1KiB", "2KiB"]\n').__class__(
        config.loads(
            SMALLEST.replace('"per-file"', '["stream", "per-file"]') + 'transfer_size = ["1KiB", "2KiB"]\nconnection = "fresh"'
        ).points
    )
    assert [(p.transfer, p.sizes, p.connection) for p in made] == [
        ("stream", (), "persistent"),
        ("per-file", (1024,), "fresh"),
        ("per-file", (2048,), "fresh"),
    ]


def test_the_effective_config_is_one_that_is_taken():
    """A study with every new key gives a config that describes the same study."""
    study = config.loads(
        SMALLEST + 'transfer_size = ["mix: 1KiB 1MiB", "file: x.txt"]\nconnection = "fresh"\narrivals = "poisson"\ntransfer_rate = "12.5/s"'
    )
    assert config.from_tree(study.config).points == study.points
    assert study.config["workload"]["transfer_rate"] == "12.5/s"


def test_sizes_of_a_file_are_read_before_the_run(tmp_path):
    """A text of sizes may have units, bare bytes, remarks and empty lines; its values are the point's, its path stays the config's."""
    path = tmp_path / "sizes.txt"
    path.write_text("# from the access log\n512\n4KiB  # an icon\n\n 4KiB\n1.5kB\n")
    study = config.loads(SMALLEST + f'transfer_size = "file: {path}"')
    (point,) = preflight.resolve(study).points
    assert point.sizes == (512, 4096, 4096, 1500)
    assert format_sizes(point.transfer_size) == f"file: {path}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1KiB\n64K\n\n0\n-5\n2GiB\nsome\n",
         "P:2: '64K' is not a size: expected a size such as '64KiB', '2.4GB' or '512B' ('64KiB' or '64kB'?)\n"
         "P:4: a file of 0 bytes is no transfer: leave it out\n"
         "P:5: '-5' is negative: expected a size such as '64KiB', '2.4GB' or '512B'\n"
         "P:6: '2GiB' is out of range: expected 1B to 1GiB\n"
         "P:7: 'some' is not a size: expected a size such as '64KiB', '2.4GB' or '512B'"),
        (b"# nothing\n\n", "P: workload.transfer_size: holds no size: expected a size a line"),
        (b"\xff\xfe1", "P: workload.transfer_size: is not text in UTF-8"),
        (b"x\n" * 50, "\n".join(f"P:{n}: 'x' is not a size: expected a size such as '64KiB', '2.4GB' or '512B'" for n in range(1, 11))),
        (b"1\n" * (MOST_LINES + 1), f"P: holds {MOST_LINES + 1} sizes: expected at most {MOST_LINES} (take a sample of them)"),
    ],
)  # fmt: skip
def test_a_wrong_text_of_sizes_names_file_and_line(tmp_path, content, expected):
    """Every wrong line is told with its number, at most ten; a text without sizes and one that is no text are errors of their own."""
    path = tmp_path / "sizes.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_sizes(Sizes((), str(path)))
    assert str(error.value).replace(str(path), "P") == expected


def test_a_missing_text_of_sizes_is_one_error(tmp_path):
    """A path that leads nowhere, or to a directory, is a config error with its cause."""
    for path, cause in ((tmp_path / "none.txt", "no such file or directory"), (tmp_path, "is a directory")):
        with pytest.raises(ConfigError, match=cause):
            read_sizes(Sizes((), str(path)))


def test_a_transfer_must_fit_into_the_file():
    """A size beyond that of the file is refused before the run, with what to change."""
    study = config.loads(SMALLEST + 'file_size = "1MiB"\ntransfer_size = "2MiB"')
    with pytest.raises(
        ConfigError, match=r"workload\.transfer_size: a transfer of 2MiB is more than the file of 1MiB \(a larger file_size"
    ):
        preflight.resolve(study)
