"""Strips of labels: a bar for each run, names where they fit, black where a strip differs from the first."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from course_lib import plots


def bars(ax, black: bool):
    """(left edge, width, row) of the bars, to whole steps."""
    found = [(p.get_x() + 0.5, p.get_width(), round(p.get_y())) for p in ax.patches if (p.get_height() < 0.2) == black]
    return [tuple(map(int, bar)) for bar in found]


def test_a_bar_for_each_run_and_none_where_there_is_no_answer(ax):
    drawn = plots.label_strips({"truth": [2, 2, 0, 0, 0], "late": np.array([-1, 2, 2, 0, 0])}, ax=ax, title="who")
    assert drawn is ax and plt.get_fignums() == [ax.figure.number]
    assert bars(ax, black=False) == [(0, 2, 0), (2, 3, 0), (1, 2, 1), (3, 2, 1)]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["truth", "late"]
    assert ax.get_xlabel() and ax.get_title() == "who"
    same = [patch.get_facecolor() for patch in ax.patches if patch.get_height() > 0.2]
    assert same[0] == same[2] != same[1] == same[3]


def test_black_marks_what_differs_from_the_first_strip():
    ax = plots.label_strips({"truth": [1, 1, 0, 0, 0], "answer": [-1, 1, 1, 1, 0]})
    assert bars(ax, black=True) == [(2, 2, 1)]


def test_names_stand_where_there_is_room():
    ax = plots.label_strips({"truth": [0] * 60 + [1] + [2] * 59}, classes=["dog", "rain", "sea"])
    assert [text.get_text() for text in ax.texts] == ["dog", "sea"]


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="strips: expected one number of steps"):
        plots.label_strips({"a": [0, 1], "b": [0, 1, 2]})
    with pytest.raises(ValueError, match="strips: expected one number of steps"):
        plots.label_strips({})
    with pytest.raises(ValueError, match="strips: expected labels from -1 to 1, got up to 2"):
        plots.label_strips({"a": [0, 2]}, classes=["x", "y"])
