"""What all plots have in common: one figure, on the axes that were given, with labels that can be read."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from course_lib import plots

RATE = 8000


def history():
    return pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [2.0, 1.0, 0.5], "validation_loss": [2.0, 1.5, 1.6]})


ONE_AXES = {
    "waveform": lambda c, s, **k: plots.waveform(c[0][0], RATE, **k),
    "class_balance": lambda c, s, **k: plots.class_balance(c[1], classes=c[2], **k),
    "class_balance of folds": lambda c, s, **k: plots.class_balance(
        c[1], folds=[1, 2, 3, 1, 2, 3, 1], classes=c[2], **k
    ),
    "durations": lambda c, s, **k: plots.durations([len(x) / RATE for x in c[0]], c[1], classes=c[2], **k),
    "spectrogram": lambda c, s, **k: plots.spectrogram(c[0][0], RATE, **k),
    "log-mel": lambda c, s, **k: plots.spectrogram(c[0][0], RATE, mel=True, n_mels=32, **k),
    "average_spectrum": lambda c, s, **k: plots.average_spectrum(c[0], c[1], RATE, classes=c[2], **k),
    "hygiene_counts": lambda c, s, **k: plots.hygiene_counts(plots.hygiene_report(c[0], c[1]), classes=c[2], **k),
    "learning_curves": lambda c, s, **k: plots.learning_curves([history(), history()], **k),
    "confusion_matrix": lambda c, s, **k: plots.confusion_matrix(s[0], s[1].argmax(1), **k),
    "per_class_scores": lambda c, s, **k: plots.per_class_scores(s[0], s[1].argmax(1), classes="abcd", **k),
    "roc_curves": lambda c, s, **k: plots.roc_curves(s[0], s[1], folds=s[2], **k),
    "reliability_diagram": lambda c, s, **k: plots.reliability_diagram(s[0], s[1], **k),
    "error_bars": lambda c, s, **k: plots.error_bars(
        pd.DataFrame({"measure": ["a", "b"], "value": [1.0, 2.0], "std": [0.1, 0.2]}), **k
    ),
}
GRIDS = {  # name: (function, panels)
    "waveforms": (lambda c, s, **k: plots.waveforms(c[0], c[1], RATE, classes=c[2], per_class=2, **k), 3),
    "spectrograms": (lambda c, s, **k: plots.spectrograms(c[0], c[1], RATE, classes=c[2], **k), 3),
    "log-mel grid": (lambda c, s, **k: plots.spectrograms(c[0], c[1], RATE, mel=True, per_class=2, **k), 6),
    "feature_distributions": (
        lambda c, s, **k: plots.feature_distributions(plots.audio_features(c[0], RATE), c[1], classes=c[2], **k),
        3,
    ),
    "confident_mistakes": (
        lambda c, s, **k: plots.confident_mistakes([np.ones(50)] * 60, s[0], s[1], RATE, count=4, **k).axes,
        4,
    ),
}


@pytest.mark.parametrize("name", ONE_AXES)
def test_draws_on_the_axes_given_and_opens_no_figure(name, clips, scores, ax):
    assert ONE_AXES[name](clips, scores, ax=ax) is ax
    assert plt.get_fignums() == [ax.figure.number]
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", ONE_AXES)
def test_without_axes_opens_one_figure_of_its_own(name, clips, scores, ax):
    drawn = ONE_AXES[name](clips, scores)
    assert drawn.figure is not ax.figure and len(plt.get_fignums()) == 2


@pytest.mark.parametrize("name", ONE_AXES)
def test_every_axis_has_a_name_or_a_name_for_each_tick(name, clips, scores):
    ax = ONE_AXES[name](clips, scores)
    ax.figure.canvas.draw()
    for axis in (ax.xaxis, ax.yaxis):
        ticks = [tick.get_text() for tick in axis.get_ticklabels()]
        named = ticks and all(any(letter.isalpha() for letter in tick) for tick in ticks)
        assert axis.get_label_text() or named, f"{axis.axis_name}: {ticks}"


@pytest.mark.parametrize("name", ONE_AXES)
def test_refuses_something_that_is_no_axes(name, clips, scores):
    with pytest.raises(TypeError, match="ax: expected one matplotlib Axes, got str"):
        ONE_AXES[name](clips, scores, ax="here")


@pytest.mark.parametrize("name", GRIDS)
def test_grid_draws_on_the_axes_given(name, clips, scores):
    draw, panels = GRIDS[name]
    figure, given = plt.subplots(2, 4)
    drawn = draw(clips, scores, ax=given)
    assert list(drawn) == list(given.ravel()[:panels])
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()


@pytest.mark.parametrize("name", GRIDS)
def test_grid_opens_one_figure_with_a_panel_each(name, clips, scores):
    draw, panels = GRIDS[name]
    drawn = draw(clips, scores)
    assert len(drawn) == panels and len(plt.get_fignums()) == 1
    figure = drawn[0].figure
    figure.canvas.draw()
    colorbars = [a for a in figure.axes if a.get_label() == "<colorbar>"]
    assert len(figure.axes) - len(colorbars) == panels


@pytest.mark.parametrize("name", GRIDS)
def test_grid_refuses_too_few_axes(name, clips, scores):
    draw, panels = GRIDS[name]
    _, one = plt.subplots()
    with pytest.raises(ValueError, match=f"ax: expected at least {panels} axes, one a panel, got 1"):
        draw(clips, scores, ax=one)


@pytest.mark.parametrize("count", [1, 50])
def test_one_class_or_fifty(count):
    rng = np.random.default_rng(2)
    labels = np.arange(2 * count) % count
    names = [f"class {i} with a name of its own that is long" for i in range(count)]
    signals = rng.standard_normal((2 * count, 1, 2100))
    scores = rng.dirichlet(np.ones(count), 2 * count)
    plots.waveforms(signals, labels, RATE, classes=names)
    plots.class_balance(labels, classes=names)
    plots.feature_distributions(plots.audio_features(signals, RATE), labels, classes=names)
    plots.confusion_matrix(labels, scores.argmax(1), classes=names, normalise=True)
    plots.per_class_scores(labels, scores.argmax(1), classes=names)
    plots.reliability_diagram(labels, scores)
    plots.average_spectrum(signals, labels, RATE, classes=names)
    plots.hygiene_counts(plots.hygiene_report(signals, labels), classes=names)
    plots.roc_curves(labels, scores, classes=names)
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()


def test_style_is_colour_blind_safe_and_readable():
    with plt.rc_context():
        plots.style()
        cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        assert len(set(cycle)) == 10 and cycle[0] == plots.colours(1)[0]
        assert plt.rcParams["font.size"] >= 10 and plt.rcParams["xtick.labelsize"] >= 10
