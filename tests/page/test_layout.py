"""The arrangement of simultaneous marks: all are seen, and none covers another."""

from itertools import pairwise

import pytest

from views.activity.layout import GAP, PITCH, arrange

HEIGHT = 60


@pytest.mark.parametrize("size", [1, 5, 10, 20, 49, 50, 100, 300])
def test_no_mark_of_a_burst_covers_another(size: int) -> None:
    """Each has a place of its own, inside the row."""
    (group,) = arrange([400.0] * size, HEIGHT)
    spots = group.spots
    assert len(spots) == size
    for index, spot in enumerate(spots):
        assert spot.y - spot.scale * PITCH / 2 >= 0
        assert spot.y + spot.scale * PITCH / 2 <= HEIGHT
        for other in spots[index + 1 :]:
            apart = max(abs(spot.x - other.x), abs(spot.y - other.y))
            assert apart >= spot.scale * PITCH - 0.01


def test_a_burst_ends_at_its_moment() -> None:
    """It extends to the left, into the past: to the right there may be no space."""
    (group,) = arrange([400.0] * 100, HEIGHT)
    assert group.right == 403
    assert max(spot.x for spot in group.spots) == 400
    assert group.right - group.left == 60


def test_a_newer_burst_pushes_an_older_one_aside() -> None:
    """Neither is covered, and both keep their order."""
    older, newer = arrange([380.0] * 100 + [400.0] * 100, HEIGHT)
    assert newer.right == 403
    assert older.right == newer.left - GAP


def test_marks_that_are_apart_stay_where_they_are() -> None:
    """Each is a group of one, at its moment."""
    times = [100.0, 115.0, 200.0]
    groups = arrange(times, HEIGHT)
    assert [spot.x for group in groups for spot in group.spots] == times
    assert {group.label for group in groups} == {""}


def test_a_row_of_marks_is_many_groups() -> None:
    """A mark is in the group of its moment, not in an ever longer one."""
    groups = arrange([float(x) for x in range(0, 300, 5)], HEIGHT)
    assert max(len(group.spots) for group in groups) == 3
    for left, right in pairwise(groups):
        assert left.right <= right.left


def test_only_a_large_group_has_a_label() -> None:
    """Few are counted at a glance."""
    labels = [arrange([1.0] * size, HEIGHT)[0].label for size in (9, 10, 100)]
    assert labels == ["", "\N{MULTIPLICATION SIGN}10", "\N{MULTIPLICATION SIGN}100"]
