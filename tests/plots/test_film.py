"""A film in a notebook: every picture is drawn, it says what it shows, and it stays small."""

import matplotlib.pyplot as plt
import pytest

from course_lib import plots


def one_line():
    fig, ax = plt.subplots(figsize=(2, 1.5))
    (line,) = ax.plot([0, 1], [0, 0])
    ax.set(xlabel='time "t" (s)', ylim=(0, 5))
    return fig, line


def test_every_picture_is_drawn_and_the_figure_is_closed():
    fig, line = one_line()
    drawn = []
    html = plots.film(fig, lambda n: (drawn.append(n), line.set_ydata([0, n])), 4).data
    assert {0, 1, 2, 3} == set(drawn)
    assert html.count("data:image/png;base64") == 4
    assert not plt.fignum_exists(fig.number)


def test_it_has_a_text_alternative():
    fig, line = one_line()
    assert '<img alt="x axis time &quot;t&quot; (s) from ' in plots.film(fig, lambda n: line.set_ydata([0, n]), 2).data


def test_a_film_that_would_swell_the_notebook_is_refused(monkeypatch):
    monkeypatch.setitem(plots.film.__globals__, "LARGEST", 5_000)
    fig, line = one_line()
    with pytest.raises(ValueError, match=r"frames: 9 pictures take [\d,]+ bytes"):
        plots.film(fig, lambda n: line.set_ydata([0, n]), 9)
    with pytest.raises(ValueError, match="frames: expected at least 1"):
        plots.film(fig, lambda n: None, 0)
