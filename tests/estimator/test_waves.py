"""Two waves that arrive at a sensor with three axes, made up at 100 Hz; loudness differs by orders of magnitude.

They stand in for seismic traces with a P and an S pick each: 116 to learn from.
"""

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt

from course_lib.data import EventRecording
from course_lib.estimator import EventClassifier
from course_lib.estimator.event_crops import EventCrops, level_of
from course_lib.models import OwnLevel

RATE = 100.0


def coloured(rng, n, slope):
    """(n,) noise whose power falls with the frequency to the `slope`."""
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    hertz[0] = hertz[1]
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * hertz ** (-slope / 2), n)
    return x / x.std()


def wave(rng, n, at, low, high, rise, decay):
    """(3, n) noise of a band that sets in at a second, rises, and dies away slowly (seconds)."""
    late = np.clip(np.arange(n) / RATE - at, 0, None)
    x = sosfilt(butter(2, [low, high], "bandpass", fs=RATE, output="sos"), rng.standard_normal((3, n)))
    envelope = (1 - np.exp(-late / rise)) * (1 + late / decay) ** -2.0
    return x / x.std(axis=1, keepdims=True) * envelope / envelope.max()


def trace(rng):
    """40 to 60 s: noise of some colour, P that rises slowly, and 2 to 20 s later S, louder, lower, on other axes."""
    n = int(rng.uniform(40, 60) * RATE)
    first = rng.uniform(8, 18)
    second = min(first + np.exp(rng.uniform(np.log(2), np.log(20))), n / RATE - 3)
    noise = np.stack([coloured(rng, n, rng.uniform(0, 1.8)) for _ in range(3)])
    noise /= sosfilt(butter(2, [2, 15], "bandpass", fs=RATE, output="sos"), noise).std(axis=1, keepdims=True)
    centre = rng.uniform(3, 9)
    rise, later = np.exp(rng.uniform(np.log(0.03), np.log([0.25, 0.4])))
    p = wave(rng, n, first, max(2, centre / 1.7), min(15, centre * 1.7), rise, rng.uniform(1.5, 6))
    s = wave(rng, n, second, max(1, centre / 3), centre, max(0.05, later), rng.uniform(3, 10))
    waves = p * [[1], [0.5], [0.5]] + rng.uniform(2, 4) * s * [[0.4], [1], [1]]
    x = noise + np.exp(rng.uniform(np.log(5), np.log(60))) * waves
    return EventRecording(10 ** rng.uniform(-1.5, 1.5) * x.T, [("P", first), ("S", second)], RATE)


def crops(traces, own_level):
    """Batches of 3.5 s of these, whose statistics are those of all together."""
    data = np.concatenate([one.data for one in traces])
    options = {"window": 350, "used": (300, 330), "batch_size": 16, "steps": 8, "own_level": own_level}
    return EventCrops(traces, ["P", "S"], (data.mean(0), data.std(0)), rng=np.random.default_rng(0), **options)


def test_the_noise_of_training_drowns_no_quiet_trace():
    """A share of the deviation over all traces is many times what the quiet ones measure."""
    rng = np.random.default_rng(0)
    loud, quiet = trace(rng), trace(rng)
    both = [
        EventRecording(one.data * scale / level_of(one.data), one.events, RATE)
        for one, scale in ((loud, 1e3), (quiet, 1))
    ]
    least = {own: min(level_of(x.numpy()) for batch in crops(both, own) for x in batch.x) for own in (False, True)}
    clean = level_of(
        (both[1].data - np.concatenate([one.data for one in both]).mean(0))
        / np.concatenate([one.data for one in both]).std(0)
    )
    assert least[True] < 2 * clean < least[False] / 3


def test_most_crops_around_an_event_have_it_where_scores_are_used():
    rng = np.random.default_rng(0)
    around = [t for batch in crops([trace(rng) for _ in range(6)], True) for t in batch.timings[1::2].flatten(1)]
    used = [bool(((t >= 300) & (t <= 331)).any()) for t in around]
    assert 0.6 < np.mean(used) < 0.95


def test_a_window_is_seen_as_it_is_at_any_level():
    """Over twelve orders of magnitude, beside gaps too; one that stands still is seen as nothing, at any value."""
    model = OwnLevel(4, 1, 8, signals=2, dilations=(1,), timing_resolution_samples=5)
    x = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0))
    there = torch.ones_like(x)
    there[1, 10:20, 0] = 0
    x = x * there
    seen = model._levelled(torch.cat([x, there], 2), None)
    for scale in (1e-6, 1e6):
        torch.testing.assert_close(model._levelled(torch.cat([scale * x, there], 2), None), seen, atol=1e-5, rtol=1e-5)
    for value in (0.0, 0.3, -1e5):
        still = torch.cat([torch.full_like(x, value), there], 2)
        assert (model._levelled(still, None)[..., :2] == 0).all()
    still[:, -1, 0] += 1e4
    assert model._levelled(still, None)[..., :2].abs().max() < 15


@pytest.mark.slow
def test_arrivals_in_traces_of_any_loudness_with_the_defaults():
    """P to 0.1 s: the bar is 0.8."""
    rng = np.random.default_rng(2)
    traces, others = [trace(rng) for _ in range(116)], [trace(rng) for _ in range(60)]
    model = EventClassifier(tolerance=0.1, random_state=0).fit(traces)
    assert model.own_level_ and model.stream().latency <= 1.0
    assert model.report(others).loc["P", "f1"] >= 0.8
    louder = [EventRecording(1000 * one.data, one.events, RATE) for one in others[:4]]
    found, again = ([[e.type for e in model.detect(r)] for r in part] for part in (others[:4], louder))
    assert found == again
