"""The waveforms of the generated event types: damped two-tone bursts on several channels."""

from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 2000  # Hz
TEMPLATE_LENGTH = 80  # samples: 40 ms
MAX_SKEW = 10.0  # samples: ±5 ms between an event's onset and its start on one channel
MAX_WARP = 0.1  # an event lasts 0.9 to 1.1 times its template


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
    shape = (num_events, num_features)
    drawn = _draw(rng, np.stack([low, high], axis=1), shape)
    rms = np.sqrt((drawn.waveforms.astype(np.float64) ** 2).mean(axis=(1, 2)))
    return EventTemplates(drawn.frequencies, drawn.decays, drawn.gains / rms[:, None, None], drawn.phases, drawn.skews)


def distractor_templates(count: int, num_features: int, rng: np.random.Generator) -> EventTemplates:
    """`count` bursts of no type: single-use templates with tones drawn at random, as loud as events are."""
    frequencies = np.exp(rng.uniform(np.log(50), np.log(450), (count, 2)))
    drawn = _draw(rng, frequencies, (count, num_features))
    rms = np.sqrt((drawn.waveforms.astype(np.float64) ** 2).mean(axis=(1, 2))) if count else np.ones(0)
    return EventTemplates(drawn.frequencies, drawn.decays, drawn.gains / rms[:, None, None], drawn.phases, drawn.skews)


def _draw(rng: np.random.Generator, frequencies: np.ndarray, shape: tuple[int, int]) -> EventTemplates:
    """Everything about `shape` = (types, channels) but the frequencies; gains are not yet scaled."""
    skews = rng.uniform(-MAX_SKEW, MAX_SKEW, shape)
    skews -= skews.mean(axis=1, keepdims=True)
    largest = np.abs(skews).max(axis=1, keepdims=True, initial=1e-9)
    skews *= np.minimum(1, MAX_SKEW / largest)
    return EventTemplates(
        frequencies,
        rng.uniform(0.008, 0.016, shape[0]),
        rng.uniform(0.2, 1.0, (*shape, 2)) * rng.choice([-1, 1], (*shape, 2)),
        rng.uniform(0, 2 * np.pi, (*shape, 2)),
        skews,
    )
