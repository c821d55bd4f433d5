"""Generated events: what is promised of labels, timings, noise, chance and streams."""

import numpy as np
import pytest
import torch
from scipy.signal import welch

from course_lib.data import (
    FreshEvents,
    coloured_noise,
    event_templates,
    make_event_stream,
    make_events,
)


def test_shapes_labels_and_timings():
    data, labels, timings = make_events(50, 700, num_events=5, num_features=3, seed=1, event_rate=6.0)
    assert data.shape == (50, 700, 3) and data.dtype == np.float32
    assert labels.shape == timings.shape == (50, 5)
    assert set(np.unique(labels)) == {0.0, 1.0}
    assert (np.isnan(timings) == (labels == 0)).all()
    present = timings[labels == 1]
    assert present.min() >= 0 and present.max() < 700
    assert not np.equal(present, np.round(present)).any()  # onsets are not rounded
    assert labels.sum(axis=1).min() == 0 and labels.sum(axis=1).max() > 1  # none, and several


def test_global_random_state_is_neither_read_nor_changed():
    before = np.random.get_state()[1].copy()  # noqa: NPY002  the global generator is what this is about
    first = make_events(2, 300, seed=3)[0]
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.random(5)  # noqa: NPY002
    assert (make_events(2, 300, seed=3)[0] == first).all()


def test_two_sets_differ_unless_seeded_alike():
    assert (make_events(2, 300, seed=3)[0] == make_events(2, 300, seed=3)[0]).all()
    assert not (make_events(2, 300, seed=3)[0] == make_events(2, 300, seed=4)[0]).any()
    assert not (make_events(2, 300)[0] == make_events(2, 300)[0]).any()


def test_types_are_the_same_for_every_seed():
    loud = dict(snr_db=60.0, distractor_rate=0.0, num_events=1, event_rate=20.0)
    windows = []
    for seed in (0, 1):
        data, labels, timings = make_events(20, 400, seed=seed, **loud)
        row = int(np.flatnonzero(labels[:, 0])[0])
        start = round(timings[row, 0])
        windows.append(data[row, start - 5 : start + 60].ravel())
    assert np.corrcoef(windows)[0, 1] > 0.8


def test_templates_are_40_ms_and_skewed_by_at_most_5_ms():
    templates = event_templates()
    assert templates.waveforms.shape == (16, 6, 80)  # 40 ms at 2000 Hz
    np.testing.assert_allclose((templates.waveforms**2).mean(axis=(1, 2)), 1, rtol=1e-5)
    assert np.abs(templates.skews).max() <= 10
    np.testing.assert_allclose(templates.skews.sum(axis=1), 0, atol=1e-9)
    flat = templates.waveforms.reshape(16, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(16)).max() < 0.8  # no two types alike


def test_an_event_lies_where_its_timing_says():
    """Without noise the data are the template, at the onset with its fraction, times 0.7 to 1.3, warped by ±10 %."""
    data, labels, timings = make_events(40, 300, seed=2, snr_db=200.0, distractor_rate=0.0, event_rate=4.0)
    templates = event_templates()
    alone = np.flatnonzero(labels.sum(axis=1) == 1)
    assert len(alone) > 5
    for row in alone:
        kind = int(labels[row].argmax())
        times = np.arange(300) - timings[row, kind]
        warps = np.linspace(0.9, 1.1, 201)
        shapes = templates.render(np.full(201, kind), np.tile(times, (201, 1)), warps)  # (201, C, T)
        gains = (shapes * data[row].T).sum(axis=(1, 2)) / (shapes**2).sum(axis=(1, 2))
        errors = ((data[row].T - gains[:, None, None] * shapes) ** 2).sum(axis=(1, 2)) / (data[row] ** 2).sum()
        assert errors.min() < 1e-3
        assert 0.69 < gains[errors.argmin()] < 1.31


@pytest.mark.parametrize("snr_db", [-6.0, 0.0])
def test_signal_to_noise_ratio_is_as_stated(snr_db):
    noise = make_events(20, 2000, seed=0, snr_db=snr_db, event_rate=0.0, distractor_rate=0.0)[0]
    assert 20 * np.log10(1 / noise.std()) == pytest.approx(snr_db, abs=0.3)  # templates have RMS 1


def test_noise_is_coloured():
    noise = coloured_noise((4, 20_000, 2), np.random.default_rng(0), exponent=1.0)
    frequencies, power = welch(noise, 2000, nperseg=1000, axis=1)
    band = (frequencies >= 10) & (frequencies <= 800)
    slope = np.polyfit(np.log(frequencies[band]), np.log(power.mean(axis=(0, 2))[band]), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)


def test_distractors_are_not_labelled():
    data, labels, _ = make_events(20, 2000, seed=0, snr_db=100.0, event_rate=0.0, distractor_rate=3.0)
    assert labels.sum() == 0 and np.abs(data).max() > 0.5


def test_streams_respect_the_refractory_period():
    data, events = make_event_stream(60, seed=0, event_rate=7.0)
    assert data.shape == (120_000, 6)
    assert events == sorted(events, key=lambda event: event[1])
    assert len(events) == pytest.approx(420, rel=0.2)
    for kind in range(16):
        times = np.array([time for k, time in events if k == kind])
        assert (np.diff(times) >= 4000).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(num_samples=-1), "num_samples"),
        (dict(num_samples=1, seq_len=50), "seq_len"),
        (dict(num_samples=1, event_rate=-1.0), "event_rate"),
        (dict(num_samples=1, num_events=0), "num_events"),
        (dict(num_samples=1, templates=event_templates(3, 6)), "templates"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_events(**arguments)


def test_more_events_than_the_refractory_period_allows():
    with pytest.raises(ValueError, match="below 8"):
        make_event_stream(10, event_rate=8.0)


def test_fresh_events_differ_from_pass_to_pass_and_repeat_from_the_seed():
    make = lambda: FreshEvents(2, 3, seed=5, seq_len=400)  # noqa: E731
    one, other = make(), make()
    first, second = list(one), list(one)
    assert len(first) == 2 and first[0].x.shape == (3, 400, 6)
    assert not torch.equal(first[0].x, second[0].x)
    assert torch.equal(first[0].x, list(other)[0].x)
