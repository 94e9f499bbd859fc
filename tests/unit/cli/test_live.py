"""What the live view prints where there is no terminal."""

from __future__ import annotations

from zcload.cli.live import viewer
from zcload.model.progress import Progress


def lines(capsys, *phases):
    """Return the lines that the view prints for *phases*, each a text or (text, point of 2)."""
    with viewer(True) as view:
        for phase in phases:
            view(Progress(phase) if isinstance(phase, str) else Progress(phase[0], point=phase[1], points=2))
    return capsys.readouterr().err.splitlines()


def test_a_phase_is_one_line(capsys):
    """However often a phase reports, it is one line."""
    assert lines(capsys, "sending", "sending", "sending") == ["zcload: sending"]


def test_phases_that_take_turns_are_folded(capsys):
    """Phases that alternate are shown once each, with the number of lines left out before the next new one and at the end."""
    turns = ["sending", "digesting the file"] * 3
    shown = ["zcload: sending", "zcload: digesting the file", "zcload: 4 lines like those above"]
    assert lines(capsys, *turns) == shown
    assert lines(capsys, *turns, "evaluating") == [*shown, "zcload: evaluating"]


def test_points_in_turn_are_folded(capsys):
    """The points of a study take turns for many rounds: each is shown once."""
    found = lines(capsys, *[("measuring", point) for _ in range(5) for point in (0, 1)])
    assert found == ["zcload: measuring (point 1 of 2)", "zcload: measuring (point 2 of 2)", "zcload: 8 lines like those above"]


def test_a_line_that_is_left_out_alone_is_printed_itself(capsys):
    """Where only one line would be folded it is shown: a line that counts it would say less."""
    assert lines(capsys, "a", "b", "a", "c") == ["zcload: a", "zcload: b", "zcload: a", "zcload: c"]


def test_a_target_out_of_reach_is_said_once_a_point(capsys):
    """Of a point that cannot meet its target in its time one line says how long it needs, and what to type."""
    with viewer(True) as view:
        for point in (0, 1, 0, 1):
            view(Progress("measuring", point=point, points=2, target_percent=3.0, needed_s=123.4 if point else None))
    said = [line for line in capsys.readouterr().err.splitlines() if "needs" in line]
    assert said == ["zcload: target ±3 points needs about 2 min here: --max-time 120s (point 2 of 2)"]


def test_the_time_for_a_target_is_never_in_exponents(capsys):
    """What is to be typed is a duration that a config takes, however long a narrow target would need."""
    with viewer(True) as view:
        view(Progress("measuring", target_percent=0.01, needed_s=2.34e7))
    assert "--max-time 23000000s\n" in capsys.readouterr().err


def test_a_target_beyond_the_longest_time_is_answered_with_another(capsys):
    """Where a target needs more time than stop.max_time takes, what is to be typed is a target that was reached."""
    reached = (("sendfile", 30.0, 31.0, 32.0, 1.23),)
    with viewer(True) as view:
        view(Progress("measuring", target_percent=0.001, intervals=reached, needed_s=8760 * 3600 * 1.1))
    said = capsys.readouterr().err
    assert "zcload: target ±0.001 points needs more than a year here: choose one such as --set stop.target=1.2%\n" in said
    assert "--max-time" not in said
