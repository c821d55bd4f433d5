"""Figures of events: what is marked and where."""

import numpy as np
import pytest

from course_lib import plots
from course_lib.events import Detections, precision_recall


def test_traces_mark_true_and_found_events_on_the_clock(ax):
    data = np.random.default_rng(0).normal(size=(2000, 3))
    found = Detections([1], [5100.0], [0.9])
    assert plots.event_traces(data, [(1, 5000.0), (2, 100.0)], found, start=4000, ax=ax) is ax
    assert [text.get_text() for text in ax.texts] == ["1"]  # the other lies outside
    assert ax.texts[0].get_position()[0] == 2500
    markers = [line for line in ax.lines if line.get_marker() == "v"]
    assert len(markers) == 1 and markers[0].get_xdata()[0] == 2550
    assert [label.get_text() for label in ax.get_yticklabels()] == ["channel 0", "channel 1", "channel 2"]


def test_heatmap_has_time_in_seconds_and_a_row_a_type(ax):
    plots.event_heatmap(np.eye(40, 4), [(2, 100.0)], Detections.none(), ax=ax)
    assert ax.get_xlim() == (0, 0.2) and ax.get_xlabel() == "time (s)"
    assert ax.collections[0].get_offsets().tolist() == [[0.05, 2.0]]


def test_curves_are_named_with_their_average_precision(ax):
    curve = precision_recall([[(0, 100.0)]], [Detections([0], [101.0], [0.9])], 5, 2000)
    plots.precision_recall({"good": curve}, ax=ax)
    assert ax.get_legend().get_texts()[0].get_text() == "good: 1.00"


def test_wrong_arguments_are_named(ax):
    with pytest.raises(ValueError, match="data"):
        plots.event_traces(np.zeros(5), ax=ax)
    with pytest.raises(ValueError, match="names"):
        plots.event_traces(np.zeros((5, 2)), names=["a"], ax=ax)
    with pytest.raises(ValueError, match="scores"):
        plots.event_heatmap(np.zeros(5), ax=ax)
    with pytest.raises(ValueError, match="curves"):
        plots.precision_recall({}, ax=ax)
