"""Generated events in time: damped two-tone bursts on several channels at 2000 Hz, every onset known exactly."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import fft
from torch.utils.data import DataLoader

from course_lib.data.datasets import EventBatch, EventDataset, Statistics, collate_fn_supervised

SAMPLE_RATE = 2000  # Hz
TEMPLATE_LENGTH = 80  # samples: 40 ms
MAX_SKEW = 10.0  # samples: ±5 ms between an event's onset and its start on one channel
MAX_WARP = 0.1  # an event lasts 0.9 to 1.1 times its template
REFRACTORY_PERIOD = 4000  # samples: 2 s between two events of one type
MARGIN_BEFORE, MARGIN_AFTER = int(MAX_SKEW), int(TEMPLATE_LENGTH * (1 + MAX_WARP) + MAX_SKEW) + 2  # of an onset
_NOISE_FLOOR = 5.0  # Hz below which the noise is white, so that its level does not depend on the window's length


@dataclass(frozen=True)
class EventTemplates:
    """What `make_events` draws from: E event types on C channels.

    frequencies: (E, 2) Hz.  decays: (E,) seconds to 1/e.  gains, phases: (E, C, 2), phases in radians.
    skews: (E, C) samples by which channel c starts after the event's onset; they sum to 0 over channels.
    """

    frequencies: np.ndarray
    decays: np.ndarray
    gains: np.ndarray
    phases: np.ndarray
    skews: np.ndarray

    def __len__(self) -> int:
        return len(self.decays)

    @property
    def num_features(self) -> int:
        """C, the number of channels."""
        return self.skews.shape[1]

    @property
    def waveforms(self) -> np.ndarray:
        """(E, C, 80) float32, each channel from its own start (no skews), RMS 1 over all channels of a type."""
        samples = np.arange(TEMPLATE_LENGTH)
        return self._at(np.arange(len(self)), np.broadcast_to(samples, (*self.skews.shape, TEMPLATE_LENGTH)))

    def render(self, types: np.ndarray, times: np.ndarray, warps: np.ndarray | float = 1.0) -> np.ndarray:
        """Events as their channels receive them, skews included: (M, C, L) float32.

        types: (M,) integers.  times: (M, L) samples since the event's onset, fractions and values before it allowed.
        warps: (M,) duration of the event over that of its template.
        """
        types, warps = np.asarray(types), np.broadcast_to(warps, np.shape(types))
        since_start = np.asarray(times)[:, None] - self.skews[types][..., None]  # (M, C, L)
        return self._at(types, since_start / warps[:, None, None])

    def _at(self, types: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Waveforms of `types` (M,) at `samples` (M, C, L) after each channel's start: (M, C, L) float32."""
        seconds = (samples / SAMPLE_RATE).astype(np.float32)
        inside = (samples >= 0) & (samples < TEMPLATE_LENGTH)
        values = np.zeros(samples.shape, np.float32)
        for tone in range(2):
            angle = 2 * np.pi * self.frequencies[types, tone][:, None, None] * seconds
            angle = angle.astype(np.float32) + self.phases[types, :, tone][..., None].astype(np.float32)
            values += self.gains[types, :, tone][..., None].astype(np.float32) * np.sin(angle)
        envelope = np.exp(-np.maximum(seconds, 0) / self.decays[types][:, None, None].astype(np.float32))
        attack = 1 - np.exp(-np.maximum(seconds, 0) / np.float32(0.001))
        return values * envelope * attack * inside


def event_templates(num_events: int = 16, num_features: int = 6, seed: int = 0) -> EventTemplates:
    """The event types number `seed`: tones of 50 to 450 Hz that die down within 40 ms, differently on each channel.

    Every type has its own pair of tones, its own decay (8 to 16 ms), and on each channel its own mixture, phases and
    skew. The same seed gives the same types, whatever data are drawn from them.
    """
    for name, value in (("num_events", num_events), ("num_features", num_features)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    rng = np.random.default_rng([seed, num_events, num_features])
    low = rng.permutation(np.geomspace(50, 180, num_events)) * rng.uniform(0.95, 1.05, num_events)
    high = rng.permutation(np.geomspace(150, 450, num_events)) * rng.uniform(0.95, 1.05, num_events)
    return _draw(rng, np.stack([low, high], axis=1), num_features)


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


class FreshEvents:
    """`batches` new batches of generated windows at every pass, normalised: an epoch for `fit`.

    batch_size: windows a batch.  seed: of all windows, pass by pass; the same seed gives the same passes.
    A checkpoint does not hold how many passes were made: a resumed run begins with the first one again.
    statistics: (mean, std) per channel; None: of 256 windows drawn first.  events: further arguments of `make_events`.
    `state_dict` and `load_state_dict` keep how far the seeds have come, so that a run that was stopped goes on.
    """

    def __init__(
        self, batches: int, batch_size: int, seed: int = 0, statistics: Statistics | None = None, **events: Any
    ):
        if batches < 1 or batch_size < 1:
            raise ValueError(f"batches, batch_size: expected at least 1, got {batches} and {batch_size}")
        self.batches, self.batch_size, self.events = batches, batch_size, events
        self.seeds = np.random.SeedSequence(seed)
        if statistics is None:
            statistics = EventDataset(*make_events(256, seed=self.seeds.spawn(1)[0], **events)).statistics
        self.statistics = statistics

    def __len__(self) -> int:
        return self.batches

    def state_dict(self) -> dict[str, Any]:
        """The seed, and how many draws have been made from it."""
        return {"entropy": self.seeds.entropy, "draws": self.seeds.n_children_spawned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was read."""
        self.seeds = np.random.SeedSequence(state["entropy"], n_children_spawned=state["draws"])

    def __iter__(self) -> Iterator[EventBatch]:
        for start in range(0, self.batches, 8):  # eight batches at a time: one large draw is faster, many cost memory
            count = min(8, self.batches - start) * self.batch_size
            drawn = make_events(count, seed=self.seeds.spawn(1)[0], **self.events)
            dataset = EventDataset(*drawn, statistics=self.statistics)
            yield from DataLoader(dataset, self.batch_size, collate_fn=collate_fn_supervised)


def _draw(rng: np.random.Generator, frequencies: np.ndarray, channels: int) -> EventTemplates:
    """Templates of the tones `frequencies` (E, 2), the rest drawn at random, each of RMS 1 over all channels."""
    shape = (len(frequencies), channels)
    skews = rng.uniform(-MAX_SKEW, MAX_SKEW, shape)
    skews -= skews.mean(axis=1, keepdims=True)
    largest = np.abs(skews).max(axis=1, keepdims=True, initial=1e-9)
    skews *= np.minimum(1, MAX_SKEW / largest)
    drawn = EventTemplates(
        frequencies,
        rng.uniform(0.008, 0.016, shape[0]),
        rng.uniform(0.2, 1.0, (*shape, 2)) * rng.choice([-1, 1], (*shape, 2)),
        rng.uniform(0, 2 * np.pi, (*shape, 2)),
        skews,
    )
    rms = np.sqrt((drawn.waveforms.astype(np.float64) ** 2).mean(axis=(1, 2), keepdims=True))
    return replace(drawn, gains=drawn.gains / rms)


def _add(
    data: np.ndarray,
    windows: np.ndarray,
    types: np.ndarray,
    onsets: np.ndarray,
    templates: EventTemplates,
    rng: np.random.Generator,
) -> None:
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
    """Add bursts of no type, each of its own tones, as loud as events are, to data (N, T, C) in place."""
    count = rng.poisson(rate * data.shape[0] * data.shape[1] / SAMPLE_RATE)
    templates = _draw(rng, np.exp(rng.uniform(np.log(50), np.log(450), (count, 2))), data.shape[2])
    windows = rng.integers(0, max(data.shape[0], 1), count)
    onsets = rng.uniform(0, data.shape[1], count)
    _add(data, windows, np.arange(count), onsets, templates, rng)


def _checked(
    templates: EventTemplates | None, num_events: int, num_features: int, event_rate: float, distractor_rate: float
) -> EventTemplates:
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
