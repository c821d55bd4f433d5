"""Boxes for what each layer of a chain puts out."""

import pytest

from course_lib import plots

ROWS = {"stream": ["x0", "x1", "x2", "–"], "pairs": ["–", "b0"]}


def boxes(ax):
    return [(box.get_x(), box.get_y(), box.get_width(), box.get_hatch()) for box in ax.patches]


def test_a_box_an_output_as_wide_as_the_steps_it_took(ax):
    assert plots.timeline(ROWS, ax=ax) is ax
    assert [text.get_text() for text in ax.texts] == ["x0", "x1", "x2", "b0"]
    widths = [width for _, _, width, _ in boxes(ax)]
    assert widths == pytest.approx([0.92] * 4 + [1.92] * 2)
    assert [bool(hatch) for *_, hatch in boxes(ax)] == [False, False, False, True, True, False]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["stream", "pairs"]
    ax.figure.canvas.draw()


@pytest.mark.parametrize(("shown", "texts"), [(0, []), (1, ["x0"]), (3, ["x0", "x1", "x2"])])
def test_shows_what_is_out_by_then(ax, shown, texts):
    plots.timeline(ROWS, shown=shown, ax=ax)
    assert [text.get_text() for text in ax.texts] == texts


def test_refuses_rows_that_do_not_fit(ax):
    with pytest.raises(ValueError, match=r"rows\['b'\]: expected a number of outputs that divides 3, got 2"):
        plots.timeline({"a": ["x"] * 3, "b": ["y"] * 2}, ax=ax)
    with pytest.raises(ValueError, match="divides 0, got 0"):
        plots.timeline({"a": []}, ax=ax)
