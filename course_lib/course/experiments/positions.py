"""Which way does it run: what a small transformer makes of order, with each way to tell it positions.

Three tasks. "chirp": does a tone rise or fall? Every clip comes with its reversal, so that both classes hold the same
frames, in another order; training and test chirps lie in the first half of the clip, "moved" ones in the second.
"vowels": is a spoken /ae/ (JapaneseVowels) played forwards or backwards? "speaker": which of nine men speaks? One
encoder block, six encodings, 250 batches of 32. Recorded is the accuracy on test clips. About half a CPU minute a seed.
"""

import math
from functools import partial

import torch
from torch import Tensor, nn

import course_lib.layers as sl
from course_lib.course.experiments._training import accuracy, fitted, seeded
from course_lib.course.experiments.look_ahead import load_speakers, load_splits
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.models import OrderClassifier

RATE, SAMPLES = 8_000, 4_096  # a clip lasts half a second
FRAMES, BANDS = 32, 16  # what `frames` makes of it
ENCODINGS = OrderClassifier.ENCODINGS
TEST_SEED = 99


def chirps(pairs: int, where: tuple[float, float] = (0.0, 1.0), noise: float = 0.1, generator=None):
    """Rising tones, each followed by its reversal: clips (2 * pairs, SAMPLES), and labels (2 * pairs,), 1 for rising.

    Each tone lasts a quarter of a clip to half of it, lies between the shares `where` of the clip, begins at 300 to
    1,500 Hz and ends half an octave to one and a half octaves higher.  noise: standard deviation of white noise.
    """
    low, high = where[0] * SAMPLES, where[1] * SAMPLES
    share = torch.rand(4, pairs, 1, generator=generator, dtype=torch.float64)
    duration = (0.25 + 0.25 * share[0]) * min(SAMPLES, 2 * (high - low))
    start = low + share[1] * (high - low - duration)
    first = 300 * 5 ** share[2]
    last = first * 2 ** (0.5 + share[3])
    t = (torch.arange(SAMPLES) - start) / duration  # (pairs, SAMPLES), from 0 to 1 while the tone sounds
    phase = 2 * math.pi * duration / RATE * (first * t + (last - first) * t**2 / 2)
    tone = torch.sin(phase) * torch.sin(math.pi * t.clamp(0, 1))  # silent before 0 and after 1
    x = tone.float() + noise * torch.randn(pairs, SAMPLES, generator=generator)
    x = torch.stack([x, x.flip(1)], dim=1).flatten(0, 1)  # rising, falling, rising, falling, ...
    if where != (0.0, 1.0):  # a reversal lies at the other end: move it to the same part of the clip
        x[1::2] = x[1::2].roll(round(low + high - SAMPLES), dims=1)
    return x, torch.tensor([1, 0]).repeat(pairs)


def frames(x: Tensor) -> Tensor:
    """(B, SAMPLES) -> (B, FRAMES, BANDS): log magnitudes of frames of 16 ms, end to end, in bands of 250 Hz.

    The window is symmetric, and no frame overlaps the next: reversed sound has the same frames, reversed, and what is
    moved by half a clip still has them all.
    """
    windows = x.unflatten(1, (FRAMES, -1)) * torch.hann_window(SAMPLES // FRAMES, periodic=False)  # (B, 32, 128)
    bands = torch.fft.rfft(windows).abs()[..., :64].unflatten(2, (BANDS, -1)).mean(dim=3)  # (B, 32, 16)
    return torch.log(bands + 0.1)


def train(encoding: str, batches: list, seed: int, in_channels: int = BANDS, num_classes: int = 2) -> OrderClassifier:
    """An `OrderClassifier` after one pass over `batches`, in evaluation mode."""
    model = seeded(seed, OrderClassifier, encoding, in_channels, num_classes, max_length=FRAMES)
    return fitted(model, batches, 1e-2, torch.optim.Adam)


def chirp_batches(steps: int, seed: int, where: tuple[float, float] = (0.0, 1.0)) -> list:
    """`steps` batches of 16 chirps and their reversals: (frames, labels) each."""
    generator = torch.Generator().manual_seed(seed)
    made = (chirps(16, where, generator=generator) for _ in range(steps))
    return [(frames(x), labels) for x, labels in made]


def padded(utterances: list[Tensor]) -> sl.Sequence:
    """Utterances (T, 12) of different lengths, as one sequence."""
    lengths = torch.tensor([len(u) for u in utterances])
    values = nn.utils.rnn.pad_sequence(utterances, batch_first=True)  # (B, T, 12)
    return sl.Sequence(values, torch.arange(values.shape[1]) < lengths[:, None])


def vowels(split: str, task: str) -> tuple[list[Tensor], Tensor]:
    """Utterances and labels: for "vowels" each one forwards (1) and backwards (0), for "speaker" as they are."""
    utterances, speakers = load_speakers(split)
    if task == "speaker":
        return utterances, speakers
    both = [u for utterance in utterances for u in (utterance, utterance.flip(0))]
    return both, torch.tensor([1, 0]).repeat(len(utterances))


def vowel_batches(utterances: list[Tensor], labels: Tensor, steps: int, seed: int) -> list:
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randint(len(labels), (32,), generator=generator) for _ in range(steps)]
    return [(padded([utterances[i] for i in rows]), labels[rows]) for rows in draws]


def measure(seed: int, encoding: str, steps: int) -> dict[str, float]:
    held_out = torch.Generator().manual_seed(TEST_SEED)
    model = train(encoding, chirp_batches(steps, seed, (0.0, 0.5)), seed)
    scores = {}
    for name, where in (("chirp", (0.0, 0.5)), ("chirp, moved", (0.5, 1.0))):
        clips, labels = chirps(250, where, generator=held_out)
        scores[name] = accuracy(model, frames(clips), labels)
    for task, classes in (("vowels", 2), ("speaker", 9)):
        batches = vowel_batches(*vowels("train", task), steps, seed)
        model = train(encoding, batches, seed, in_channels=12, num_classes=classes)
        utterances, labels = vowels("test", task)
        scores[task] = accuracy(model, padded(utterances), labels)
    return scores


EXPERIMENT = Experiment(
    measure,
    settings=grid("{encoding}", encoding=ENCODINGS),
    cheapest="none",
    seeds=range(8),
    details=partial(by_seed, by="encoding"),
    details_by="encoding",
    options={"steps": (250, "batches of 32 clips")},
    label="{what}: {setting}",
    source="JapaneseVowels and generated",
    load=load_splits,
)
