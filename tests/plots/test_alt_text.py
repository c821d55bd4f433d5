"""Alternative text: it says what the axes are, what is drawn and where it is highest, and notebooks carry it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from course_lib import plots


def said(ax) -> str:
    return plots.describe(ax.figure)


def test_a_curve_has_its_axes_range_and_peak(ax):
    ax.plot([0.0, 1.0, 2.0], [0.5, 3.25, 1.0], label="loss")
    ax.set(xlabel="time (s)", ylabel="loss", title="One run", xlim=(0, 2), ylim=(0, 4))
    assert said(ax) == (
        "One run. x axis time (s) from 0 to 2; y axis loss from 0 to 4. "
        "“loss” between 0.5 and 3.25, highest at x = 1 s."
    )


def test_a_falling_curve_falls_and_a_rule_is_named_by_its_level(ax):
    ax.plot([1, 2, 3], [3.0, 2.0, 0.5], label="train")
    ax.axhline(0.1, label="guessing")
    ax.axhline(0.2)
    assert "“train” falls from 3 to 0.5. “guessing” at 0.1." in said(ax)
    assert "0.2." not in said(ax)


def test_bars_and_rows_are_called_by_their_names(ax):
    ax.barh([0, 1, 2], [4, 9, 1])
    ax.set_yticks(range(3), ["dog", "rain", "clock"])
    assert "y axis: dog, rain, clock" in said(ax) and "3 bars, from 1 to 9, longest at rain" in said(ax)
    table = pd.DataFrame({"measure": ["mean", "attention"], "value": [0.25, 0.75], "std": [0.1, 0.1]})
    assert "Markers between 0.25 and 0.75, highest at attention" in said(plots.error_bars(table))


def test_the_darkest_cell_of_a_matrix_is_found(ax):
    labels, guesses = [0, 0, 0, 1, 1, 2], [1, 1, 1, 1, 0, 2]
    text = said(plots.confusion_matrix(labels, guesses, classes=["dog", "rain", "clock"], ax=ax))
    assert "Colours show 3 × 3 values from 0 to 3, highest at rain, dog" in text
    assert "true class: dog, rain, clock" in text


def test_strips_tell_the_runs_of_each_row_and_what_is_marked(ax):
    text = said(plots.label_strips({"true": [0, 0, 0, 1, 1], "told": [0, 1, 1, 1, -1]}, ax=ax))
    assert "y axis: true, told. true: 2 runs, 2 to 3 long. told: 2 runs, 1 to 3 long, 2 marked." in text


def test_the_boxes_of_a_layout_are_counted(ax):
    ax.axvspan(0.5, 1.5)
    text = said(plots.frame_layout(9, frame_length=4, frame_step=2, ax=ax))
    assert "20 boxes, 4 of them hatched" in text


@pytest.mark.parametrize("origin", ["upper", "lower"])
def test_the_brightest_pixel_is_where_it_is_drawn(ax, origin):
    values = np.zeros((4, 5))
    values[1, 3] = 7
    ax.imshow(values, origin=origin)
    assert "highest at x = 3, y = 1" in said(ax)


def test_a_spectrogram_names_the_tone(ax):
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    text = said(plots.spectrogram(tone, 8000, ax=ax))
    assert "frequency (Hz)" in text and "y = 1000 Hz" in text


def test_dots_are_counted(ax):
    ax.scatter([1, 2, 3], [5.0, 1.0, 2.0])
    assert "3 dots between 1 and 5, highest at x = 1" in said(ax)


def test_what_lies_at_nan_is_not_told(ax):
    ax.bar([0, 1], [np.nan, np.nan])
    ax.scatter([0, 1], [np.nan, np.nan])
    assert plots.describe(ax.figure).endswith("Nothing is drawn.")
    ax.bar([0, 1], [np.nan, 2.0])
    ax.scatter([0, 1, 2], [1.0, np.nan, 3.0])
    assert "1 bar, from 2 to 2" in plots.describe(ax.figure)
    assert "2 dots between 1 and 3, highest at x = 2" in plots.describe(ax.figure)


def test_a_panel_that_shares_its_names_knows_them():
    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    left.barh([0, 1], [1, 2])
    left.set_yticks([0, 1], ["dog", "rain"])
    right.barh([0, 1], [4, 3])
    assert "Panel 2: x axis from 0 to 4.2; y axis: dog, rain. 2 bars, from 3 to 4, longest at dog." in plots.describe(
        figure
    )


def test_many_lines_and_many_panels_are_summed_up():
    figure, axes = plt.subplots(2, 4)
    for number, panel in enumerate(axes.flat):
        panel.set_title(f"class {number}")
        for height in range(10):
            panel.plot([0, 1, 2], [0, height, 1])
    text = plots.describe(figure)
    assert text.startswith("8 panels: class 0, class 1, ") and "10 lines between 0 and 9" in text
    assert len(text) < 400


def test_text_stays_short_and_nothing_is_said_of_nothing():
    figure, axes = plt.subplots(1, 4)
    for panel in axes:
        panel.set_title("a very long title " * 30)
    assert len(plots.describe(figure)) <= 900
    plt.close(figure)
    assert plots.describe(plt.figure()) == "An empty figure."
    _, ax = plt.subplots()
    ax.plot([np.nan, np.nan, np.nan], [1.0, np.nan, 2.0])
    ax.plot([], [])
    ax.imshow(np.full((2, 2), np.nan))
    assert said(ax)


def test_in_a_notebook_every_figure_carries_it(ax):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.core.pylabtools import select_figure_formats

    shell = InteractiveShell.instance()
    try:
        with plt.rc_context():
            plots.style()
        select_figure_formats(shell, {"png"})  # what the inline backend does, before or after
        ax.set_xlabel("epoch")
        data, metadata = shell.display_formatter.format(ax.figure)
    finally:
        InteractiveShell.clear_instance()
    assert isinstance(data["image/png"], str | bytes)
    assert metadata["image/png"]["alt"] == plots.describe(ax.figure)
    assert "x axis epoch" in metadata["image/png"]["alt"]


def test_in_a_notebook_a_figure_is_drawn_once_to_measure_and_once_to_show():
    """In a kernel of its own: `style` keeps pyplot from drawing it once more before."""
    import nbformat
    from nbclient import NotebookClient

    count = (
        "import matplotlib.pyplot as plt\n"
        "from matplotlib.figure import Figure\n"
        "from course_lib import plots\n"
        "plots.style()\n"
        "drawn, draw = [], Figure.draw\n"
        "Figure.draw = lambda figure, *a: (drawn.append(figure), draw(figure, *a))[1]"
    )
    cells = [nbformat.v4.new_code_cell(text) for text in (count, "plt.subplots()[1].plot([1, 2])", "print(len(drawn))")]
    book = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(book, timeout=120).execute()
    assert "image/png" in book.cells[1].outputs[-1].data
    assert book.cells[2].outputs[0].text.strip() == "2"
