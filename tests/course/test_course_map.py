"""The map of the course."""

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from course_lib.course.course_map import course_map
from course_lib.course.syllabus import SYLLABUS


def boxes(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def test_a_box_for_every_notebook_and_those_that_exist_are_filled():
    ax = course_map(SYLLABUS, ready={"00", "13"})
    notebooks = [notebook for part in SYLLABUS for notebook in part.notebooks]
    assert len(boxes(ax)) == len(notebooks) == 29
    filled = [box.get_facecolor()[3] > 0 for box in boxes(ax)]
    assert [number for (number, _), full in zip(notebooks, filled, strict=True) if full] == ["00", "13"]


def test_boxes_do_not_overlap_and_lie_inside():
    ax = course_map(SYLLABUS)
    corners = [(box.get_x(), box.get_y(), box.get_width(), box.get_height()) for box in boxes(ax)]
    for i, (x, y, w, h) in enumerate(corners):
        assert ax.get_xlim()[0] <= x and x + w <= ax.get_xlim()[1]
        assert ax.get_ylim()[0] <= y and y + h <= ax.get_ylim()[1]
        for x2, y2, w2, h2 in corners[:i]:
            assert x >= x2 + w2 or x2 >= x + w or y >= y2 + h2 or y2 >= y + h


def test_draws_on_the_axes_given():
    _, ax = plt.subplots()
    assert course_map([("One part", [("00", "only")], "")], ax=ax) is ax
    assert len(boxes(ax)) == 1


def test_syllabus_counts_from_00_without_gaps():
    numbers = [number for part in SYLLABUS for number, _ in part.notebooks]
    assert numbers == [f"{n:02d}" for n in range(29)]
