"""Small recordings and a model's scores to draw, and a guard: no test leaves a figure open that it did not ask for."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

RATE = 8000


@pytest.fixture(autouse=True)
def no_figure_is_shown(monkeypatch):
    """`plt.show` is not for the library to call; figures of a test are closed after it."""
    plt.close("all")
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("plt.show() was called"))
    yield
    plt.close("all")


@pytest.fixture
def clips():
    """Seven clips of three classes, lengths all different: (signals, labels, classes). Class 1 has one clip."""
    rng = np.random.default_rng(0)
    labels = np.array([0, 0, 0, 1, 2, 2, 2])
    signals = [0.1 * rng.standard_normal(3000 + 400 * i).astype(np.float32) for i in range(len(labels))]
    return signals, labels, ["dog", "rain", "a very long class name that nobody could read in a plot"]


@pytest.fixture
def scores():
    """A fair model: (labels (60,), probabilities (60, 4), folds (60,)) with every class in every fold."""
    rng = np.random.default_rng(1)
    labels = np.tile(np.arange(4), 15)
    logits = rng.normal(size=(60, 4))
    logits[np.arange(60), labels] += 1.5
    probabilities = np.exp(logits)
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True), np.repeat([1, 2, 3], 20)


@pytest.fixture
def ax():
    _, ax = plt.subplots()
    return ax
