"""How long a recording is played, and what each moment of it shows."""

import pytest

from views.activity.film import LONGEST, Film


def test_a_short_recording_is_played_as_it_was() -> None:
    """Each moment shows its own time."""
    film = Film([100.0, 100.3, 100.9, 101.5])
    assert film.length == pytest.approx(1.5)
    moments = [film.moment(position) for position in (0, 0.15, 0.7, 1.5)]
    assert moments == pytest.approx([100, 100.15, 100.7, 101.5])


def test_idle_stretches_take_a_second() -> None:
    """Of ten minutes in which nothing happens, a second is left; the rest keeps its pace."""
    film = Film([100.0, 100.5, 700.5, 701.0])
    assert film.length == pytest.approx(2)
    moments = [film.moment(position) for position in (0.5, 1, 1.5, 1.75)]
    assert moments == pytest.approx([100.5, 400.5, 700.5, 700.75])


def test_a_long_recording_is_played_faster() -> None:
    """An hour of a request each second takes as long as the longest film."""
    film = Film([float(second) for second in range(3_600)])
    assert film.length == pytest.approx(LONGEST)
    assert film.moment(LONGEST / 2) == pytest.approx(1_799.5)
    assert film.moment(LONGEST * 2) == 3_599


@pytest.mark.parametrize("times", [[5.0], [5.0, 5.0, 5.0]], ids=["one", "at once"])
def test_a_recording_of_one_moment_shows_it(times: list[float]) -> None:
    """There is nothing to play."""
    film = Film(times)
    assert (film.length, film.moment(0), film.moment(1)) == (0, 5, 5)
