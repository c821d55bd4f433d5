"""Names are drawn to the letter whatever is in them, and arrays may be of any type."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from course_lib import plots

RATE = 8000
NAMES = ["$5 to $10", "_hidden", r"$\frac$", r"a\$b$c$"]
LABELS = np.tile(np.arange(4), 5)
SIGNALS = np.random.default_rng(0).normal(0, 0.1, (20, 1, 2400))
SCORES = np.random.default_rng(1).dirichlet(np.ones(4), 20)


def named(values):
    return dict(zip(NAMES, values, strict=True))


DRAWN = {
    "waveforms": lambda: plots.waveforms(SIGNALS, LABELS, RATE, classes=NAMES),
    "spectrograms": lambda: plots.spectrograms(SIGNALS, LABELS, RATE, classes=NAMES),
    "average_spectrum": lambda: plots.average_spectrum(SIGNALS, LABELS, RATE, classes=NAMES),
    "class_balance": lambda: plots.class_balance(LABELS, classes=NAMES),
    "class_balance of folds": lambda: plots.class_balance(LABELS, classes=NAMES, folds=LABELS),
    "durations": lambda: plots.durations(np.ones(20), LABELS, classes=NAMES),
    "feature_distributions": lambda: plots.feature_distributions(
        plots.audio_features(SIGNALS, RATE).set_axis(NAMES[:3], axis=1), LABELS, classes=NAMES
    ),
    "hygiene_counts": lambda: plots.hygiene_counts(plots.hygiene_report(SIGNALS, LABELS), classes=NAMES),
    "confusion_matrix": lambda: plots.confusion_matrix(LABELS, SCORES.argmax(1), classes=NAMES),
    "per_class_scores": lambda: plots.per_class_scores(LABELS, SCORES.argmax(1), classes=NAMES),
    "confident_mistakes": lambda: plots.confident_mistakes(SIGNALS, LABELS, SCORES, RATE, classes=NAMES).axes,
    "roc_curves": lambda: plots.roc_curves(LABELS, SCORES, classes=NAMES),
    "precision_recall": lambda: plots.precision_recall(named(SCORES.T), LABELS == 0),
    "error_bars": lambda: plots.error_bars(pd.DataFrame({"measure": NAMES, "value": 1.0, "std": 0.1})),
    "error_bars by colour": lambda: plots.error_bars(pd.DataFrame({"x": 1, "value": 1.0, "h": NAMES}), x="x", hue="h"),
    "label_strips": lambda: plots.label_strips(named([LABELS] * 4), classes=NAMES),
    "over_time": lambda: plots.over_time({"$a$b$": named(SCORES.T)}),
    "over_time panels": lambda: plots.over_time(named(SCORES.T)),
    "gradient_flow": lambda: plots.gradient_flow(named(SCORES.T[:, None])),
    "score_maps": lambda: plots.score_maps(named([SCORES] * 4)),
    "weights_over_signal": lambda: plots.weights_over_signal(SIGNALS[0], named(SCORES.T)),
    "attention_maps": lambda: plots.attention_maps(np.stack([SCORES] * 4), names=NAMES),
    "plane_arrows": lambda: plots.plane_arrows(named(SCORES[:, :2][:4])),
    "event_traces": lambda: plots.event_traces(SCORES, names=NAMES),
    "timeline": lambda: plots.timeline({name: NAMES for name in NAMES}),
}
LEGENDS = ["roc_curves", "precision_recall", "error_bars by colour", "over_time", "gradient_flow", "plane_arrows"]


@pytest.mark.parametrize("name", DRAWN)
def test_dollars_and_underscores_are_letters(name):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*[Gg]lyph.*")
        warnings.filterwarnings("error", message=".*legend.*")
        axes = np.atleast_1d(np.asarray(DRAWN[name](), dtype=object))
        axes[0].figure.canvas.draw()
    if name in LEGENDS:
        texts = [text.get_text() for text in axes[0].get_legend().get_texts()]
        assert sum(any(word in text for word in ("5 to", "hidden", "frac", "b")) for text in texts) >= 4, texts


TYPES = {
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "with a gradient": None,
}


@pytest.mark.parametrize("kind", TYPES)
def test_tensors_of_any_type_are_drawn(kind):
    def made(values):
        tensor = torch.as_tensor(np.asarray(values))
        return tensor.float().requires_grad_() if TYPES[kind] is None else tensor.to(TYPES[kind])

    labels, scores, signals = torch.as_tensor(LABELS), made(SCORES), made(SIGNALS)
    plots.waveform(signals[0], RATE)
    plots.waveforms(signals, labels, RATE)
    plots.spectrogram(signals[0], RATE, mel=True, n_mels=16)
    plots.spectrograms(list(signals), labels, RATE)
    plots.average_spectrum(signals, labels, RATE)
    plots.audio_features(signals, RATE)
    plots.log_mel_statistics(signals, RATE)
    plots.shape_table(signals, RATE)
    plots.hygiene_counts(plots.hygiene_report(signals, labels))
    plots.block_borders(signals[0], signals[0], 400, RATE)
    plots.class_balance(labels, folds=labels)
    plots.durations(made(np.ones(20)), labels)
    plots.confusion_matrix(labels, scores.argmax(1))
    plots.per_class_scores(labels, scores.argmax(1))
    plots.reliability_diagram(labels, scores)
    plots.confident_mistakes(signals, labels, scores, RATE)
    plots.roc_curves(labels, scores, folds=labels * 0)
    plots.precision_recall({"a": scores[:, 0]}, labels == 0)
    plots.attention_maps(scores[None], signals[0, 0])
    plots.score_maps({"a": scores})
    plots.weights_over_signal(signals[0], {"a": scores[:, 0]})
    plots.plane_arrows({"a": scores[:, :2]})
    plots.influence_map(scores)
    plots.gradient_flow({"a": scores.abs() + 0.1})
    plots.over_time({"a": scores, "b": scores[:, 0]}, valid=labels > 1)
    plots.label_strips({"a": labels, "b": labels})
    plots.event_traces(scores, [(0, 3)])
    plots.event_heatmap(scores, [(0, 3)])
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
        plt.close(number)


def test_a_spectrogram_has_the_same_window_in_seconds_at_any_rate():
    clip = np.random.default_rng(0).normal(size=96_000)
    columns = [len(plots.spectrogram(clip[: 2 * rate], rate).collections[0].get_array().T) for rate in (8_000, 44_100)]
    assert 0.7 < columns[0] / columns[1] < 1.4


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.score_maps({}), "scores: expected at least one"),
        (lambda: plots.gradient_flow({}), "norms: expected at least one"),
        (lambda: plots.plane_arrows({}), "arrows: expected at least one"),
        (lambda: plots.timeline({}), "rows: expected at least one"),
        (lambda: plots.spectrogram([np.inf] * 3000, RATE), "signal: expected finite samples within float32"),
        (lambda: plots.spectrogram(np.full(3000, 1e39), RATE), "signal: expected finite samples within float32"),
    ],
)
def test_nothing_to_draw_is_an_error(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e37])
@pytest.mark.parametrize("samples", [1, 300, 3000])
def test_a_spectrogram_of_any_unit_and_length(scale, samples):
    clip = scale * np.sin(0.3 * np.arange(1, samples + 1))
    level = plots.spectrogram(clip, RATE).collections[0].get_array()
    assert np.isfinite(level).all() and level.max() == 0


MORE_NAMES = {
    "percent, backslash, newline, emoji": ["a%d", "b\\", "c\nd", "e\U0001f600"],
    "80 characters": ["x" * 80, "y " * 40, "z_" * 40, "w"],
    "blanks and signs": ["", "  ", "_", "$"],
    "markup": ["<b>a</b>", "&amp;", "{x}", "%s %%"],
    "half a formula": ["$$", "$x^", "\\mathrm{", "^_{}"],
    "control characters": ["\t", "\x1b[31m", "e\u0301", "~"],
}


@pytest.mark.parametrize("names", MORE_NAMES.values(), ids=MORE_NAMES)
def test_names_that_a_formula_or_a_format_would_choke_on(names, monkeypatch):
    monkeypatch.setitem(globals(), "NAMES", names)
    for draw in (
        "waveforms",
        "class_balance",
        "confusion_matrix",
        "roc_curves",
        "label_strips",
        "timeline",
        "over_time",
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
            np.atleast_1d(np.asarray(DRAWN[draw](), dtype=object))[0].figure.canvas.draw()
        plt.close("all")
