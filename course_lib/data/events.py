"""Generated events in time: several channels at 2000 Hz, where every onset is known exactly."""

from __future__ import annotations

import numpy as np
from scipy import fft

from course_lib.data.event_waveforms import (
    MAX_SKEW,
    MAX_WARP,
    SAMPLE_RATE,
    TEMPLATE_LENGTH,
    EventTemplates,
    distractor_templates,
    event_templates,
)

REFRACTORY_PERIOD = 4000  # samples: 2 s between two events of one type
MARGIN_BEFORE, MARGIN_AFTER = int(MAX_SKEW), int(TEMPLATE_LENGTH * (1 + MAX_WARP) + MAX_SKEW) + 2  # of an onset
_NOISE_FLOOR = 5.0  # Hz below which the noise is white, so that its level does not depend on the window's length


def make_events(
    num_samples: int,
    seq_len: int = 2000,
    num_events: int = 16,
    num_features: int = 6,
    seed: int | np.random.SeedSequence | None = None,
    *,
    snr_db: float = 0.0,
    event_rate: float = 3.0,
    distractor_rate: float = 1.0,
    noise_exponent: float = 1.0,
    templates: EventTemplates | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of noise with events of known type and onset: data, labels, timings.

    data: (num_samples, seq_len, num_features) float32, at 2000 Hz.
    labels: (num_samples, num_events) float32, 1 where the type occurs; a type occurs at most once a window.
    timings: (num_samples, num_events) float64, the onset in samples, not rounded; NaN where the type is absent.

    snr_db: RMS of a template (all channels, 40 ms) over RMS of the noise.  event_rate: events a second on average,
    Poisson, so some windows have none; whole events lie inside the window.  distractor_rate: unlabelled bursts of
    other shapes, a second.  noise_exponent: the noise's power falls as 1/frequency to this exponent.
    templates: the types; None: `event_templates(num_events, num_features)`, the same for every `seed`, so that
    training and test data hold the same types.
    Amplitudes are 0.7 to 1.3, durations 0.9 to 1.1 of the template's.
    seed: of a generator of its own, so that global random state is neither read nor changed; None: never the same.
    Raises ValueError naming the argument.
    """
    templates = _checked(templates, num_events, num_features, event_rate, distractor_rate)
    if num_samples < 0:
        raise ValueError(f"num_samples: expected at least 0, got {num_samples}")
    if seq_len < MARGIN_BEFORE + MARGIN_AFTER + 1:
        raise ValueError(
            f"seq_len: expected at least {MARGIN_BEFORE + MARGIN_AFTER + 1}, room for one event, got {seq_len}"
        )
    rng = np.random.default_rng(seed)
    data = coloured_noise((num_samples, seq_len, num_features), rng, noise_exponent)
    data *= np.float32(10 ** (-snr_db / 20))
    counts = np.minimum(rng.poisson(event_rate * seq_len / SAMPLE_RATE, num_samples), num_events)
    chosen = rng.random((num_samples, num_events)).argsort(axis=1).argsort(axis=1) < counts[:, None]
    onsets = rng.uniform(MARGIN_BEFORE, seq_len - MARGIN_AFTER, (num_samples, num_events))
    timings = np.where(chosen, onsets, np.nan)
    windows, types = np.nonzero(chosen)
    _add(data, windows, types, onsets[windows, types], templates, rng)
    _add_distractors(data, distractor_rate, rng)
    return data, chosen.astype(np.float32), timings


def make_event_stream(
    seconds: float,
    num_events: int = 16,
    num_features: int = 6,
    seed: int | np.random.SeedSequence | None = None,
    *,
    snr_db: float = 0.0,
    event_rate: float = 3.0,
    distractor_rate: float = 1.0,
    noise_exponent: float = 1.0,
    templates: EventTemplates | None = None,
) -> tuple[np.ndarray, list[tuple[int, float]]]:
    """One long recording: data (T, num_features) float32 and its events, [(type, onset in samples), ...] in time order.

    Two events of one type are at least 2 s apart, from onset to onset, and otherwise as likely at any time: gaps are
    2 s and an exponential.  The rest as in `make_events`; event_rate: of all types together, below num_events / 2.
    """
    templates = _checked(templates, num_events, num_features, event_rate, distractor_rate)
    length = round(seconds * SAMPLE_RATE)
    if length < MARGIN_BEFORE + MARGIN_AFTER + 1:
        raise ValueError(f"seconds: expected room for one event, got {seconds}")
    free_gap = num_events * SAMPLE_RATE / event_rate - REFRACTORY_PERIOD if event_rate else np.inf
    if free_gap <= 0:
        limit = num_events * SAMPLE_RATE / REFRACTORY_PERIOD
        raise ValueError(f"event_rate: expected below {limit:g}, what the refractory period allows, got {event_rate}")
    rng = np.random.default_rng(seed)
    data = coloured_noise((1, length, num_features), rng, noise_exponent) * np.float32(10 ** (-snr_db / 20))
    events = []
    for kind in range(num_events if event_rate else 0):
        onset = MARGIN_BEFORE - rng.uniform(0, REFRACTORY_PERIOD) + rng.exponential(free_gap)
        while onset < length - MARGIN_AFTER:
            if onset >= MARGIN_BEFORE:
                events.append((kind, float(onset)))
            onset += REFRACTORY_PERIOD + rng.exponential(free_gap)
    events.sort(key=lambda event: event[1])
    types = np.array([kind for kind, _ in events], int)
    onsets = np.array([onset for _, onset in events], float)
    _add(data, np.zeros_like(types), types, onsets, templates, rng)
    _add_distractors(data, distractor_rate, rng)
    return data[0], events


def coloured_noise(shape: tuple[int, int, int], rng: np.random.Generator, exponent: float = 1.0) -> np.ndarray:
    """Noise (N, T, C) float32 of RMS 1 whose power falls as 1/frequency^exponent above 5 Hz.  exponent 0 is white."""
    count, length, channels = shape
    power = np.maximum(fft.rfftfreq(length, 1 / SAMPLE_RATE), _NOISE_FLOOR) ** -exponent
    amplitude = np.sqrt(power / power.mean() * length / 2).astype(np.float32)
    spectrum = rng.standard_normal((count, channels, len(power), 2), np.float32)
    spectrum = spectrum.view(np.complex64)[..., 0] * amplitude
    return np.ascontiguousarray(fft.irfft(spectrum, length, axis=2).astype(np.float32).transpose(0, 2, 1))


def _add(data, windows, types, onsets, templates, rng) -> None:
    """Add events to data (N, T, C) in place.  windows, types, onsets: (M,)."""
    amplitudes = rng.uniform(0.7, 1.3, len(types)).astype(np.float32)
    warps = rng.uniform(1 - MAX_WARP, 1 + MAX_WARP, len(types))
    steps = np.arange(-MARGIN_BEFORE - 1, MARGIN_AFTER)
    for part in np.array_split(np.arange(len(types)), max(1, len(types) // 1000)):
        first = np.floor(onsets[part]).astype(int)
        positions = first[:, None] + steps  # (M, L)
        bursts = templates.render(types[part], positions - onsets[part][:, None], warps[part])  # (M, C, L)
        bursts *= amplitudes[part][:, None, None] * ((positions >= 0) & (positions < data.shape[1]))[:, None]
        positions = positions.clip(0, data.shape[1] - 1)
        np.add.at(data, (windows[part][:, None], positions), bursts.transpose(0, 2, 1))


def _add_distractors(data: np.ndarray, rate: float, rng: np.random.Generator) -> None:
    count = rng.poisson(rate * data.shape[0] * data.shape[1] / SAMPLE_RATE)
    templates = distractor_templates(count, data.shape[2], rng)
    windows = rng.integers(0, max(data.shape[0], 1), count)
    onsets = rng.uniform(0, data.shape[1], count)
    _add(data, windows, np.arange(count), onsets, templates, rng)


def _checked(templates, num_events, num_features, event_rate, distractor_rate) -> EventTemplates:
    for name, value in (("event_rate", event_rate), ("distractor_rate", distractor_rate)):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name}: expected at least 0 a second, got {value}")
    if templates is None:
        return event_templates(num_events, num_features)
    if (len(templates), templates.num_features) != (num_events, num_features):
        raise ValueError(
            f"templates: expected {num_events} types on {num_features} channels, "
            f"got {len(templates)} on {templates.num_features}"
        )
    return templates
