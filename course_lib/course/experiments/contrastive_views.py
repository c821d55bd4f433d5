"""What two views share decides what a contrastive encoder learns: the window's noise, other noise, less noise.

512 windows as in notebook 21 (0.2 s, 4 types, 6 dB). Views are made of a window; of its bursts in noise that both
share but that is drawn anew at every look; of its bursts in noise that the two do not share (no real recording gives
that); of a window with noise borrowed from quiet ones, other noise for each view; of a window's differences of
neighbouring samples. Beside them encoders that were never trained.
Measured on new windows: how often the other view is the nearest of 63, also in noise alone; the area under the ROC
curve of a linear probe on the frozen encoder, with 512 and 32 labelled windows; and the share of onsets right to a step
after fine-tuning on 32 windows. A seed draws data, weights and views.

About 4 CPU minutes.
"""

from functools import partial

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from course_lib.course.experiments._label_tasks import collate_steps, few_steps, steps_of
from course_lib.course.experiments._training import seeded
from course_lib.course.experiments.runner import Experiment, by_seed
from course_lib.data import TemporalAugmentation, channel_statistics, coloured_noise, make_events
from course_lib.losses import EventTimingLoss
from course_lib.models import ContrastiveLSTM, LSTMEventClassifier, augmentation_ranges
from course_lib.training import ContrastiveTrainer, SupervisedTrainer
from course_lib.training.rng import isolated

EVENTS = {"num_events": 4, "seq_len": 400, "event_rate": 8.0}
WINDOWS, TESTED, LABELLED, FEW = 512, 256, 128, 32
SNR_DB, QUIET = 6.0, 64
FINE_TUNING = 60  # epochs
KINDS = ("window", "fresh noise", "other noise", "borrowed noise", "sharpened")


class Data:
    """Windows of one seed, normalised, (N, T, C) float32 each, and what is known of them."""

    def __init__(self, seed: int):
        drawn, self.labels, self.timings = make_events(WINDOWS, seed=[seed, 0], snr_db=SNR_DB, **EVENTS)
        self.statistics = channel_statistics(drawn)
        self.windows = self.normalised(drawn)
        self.bursts = make_events(WINDOWS, seed=[seed, 0], snr_db=200.0, **EVENTS)[0]  # the same, hardly any noise
        tested, self.test_labels, self.test_timings = make_events(TESTED, seed=[seed, 1], snr_db=SNR_DB, **EVENTS)
        silent = EVENTS | {"event_rate": 0.0, "distractor_rate": 0.0}
        noise = make_events(TESTED, seed=[seed, 2], snr_db=SNR_DB, **silent)[0]
        self.tested, self.noise_alone = self.normalised(tested), self.normalised(noise)
        few = (values[:LABELLED] for values in (self.windows, self.labels, self.timings))
        self.change = TemporalAugmentation(**augmentation_ranges(*few, length=80))

    def normalised(self, windows: np.ndarray) -> np.ndarray:
        mean, std = self.statistics
        return ((windows - mean) / std).astype(np.float32)


def sharpen(x: Tensor) -> Tensor:
    """Differences of neighbouring samples, (..., T, C); the first is 0."""
    return torch.diff(x, dim=-2, prepend=x[..., :1, :])


def quietest(windows: np.ndarray, count: int) -> np.ndarray:
    """The windows whose loudest 40 ms are loudest by the least, compared with the median."""
    power = torch.from_numpy(np.square(windows).mean(2)).unfold(1, 80, 20).mean(2)  # (N, 17)
    return windows[np.argsort((power.amax(1) / power.median(1).values).numpy())[:count]]


class Views(Dataset):
    """Two views (T, C) of each window, of one of `KINDS`."""

    def __init__(self, data: Data, kind: str, windows: np.ndarray | None = None):
        self.data, self.kind = data, kind
        self.windows = data.windows if windows is None else windows
        self.quiet = quietest(data.windows, QUIET)
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.windows)

    def in_noise(self, index: int) -> np.ndarray:
        noise = 10 ** (-SNR_DB / 20) * coloured_noise((1, *self.data.bursts.shape[1:]), self.rng)[0]
        return self.data.normalised(self.data.bursts[index] + noise)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if self.kind == "other noise":
            both = self.in_noise(index), self.in_noise(index)
        else:
            both = (self.in_noise(index) if self.kind == "fresh noise" else self.windows[index],) * 2
        first, second = (self.data.change(torch.from_numpy(x)) for x in both)
        if self.kind == "borrowed noise":
            first, second = (x + self.borrowed() for x in (first, second))
        return (sharpen(first), sharpen(second)) if self.kind == "sharpened" else (first, second)

    def borrowed(self) -> Tensor:
        quiet = torch.from_numpy(self.quiet[self.rng.integers(QUIET)])
        return quiet.roll(int(self.rng.integers(len(quiet))), 0) * float(self.rng.choice([-1, 1]))


collate = partial(collate_steps, size=10)


def seen(windows: np.ndarray, kind: str) -> Tensor:
    """Windows (N, T, C) as an encoder of this kind gets them, (N, T / 10, 10 C)."""
    x = torch.from_numpy(windows)
    return steps_of(sharpen(x) if kind == "sharpened" else x, 10)


def found(model: ContrastiveLSTM, data: Data, windows: np.ndarray, kind: str) -> float:
    """How often the nearest of 63 views is the right one; views as of a window, or of its differences."""
    views = Views(data, "sharpened" if kind == "sharpened" else "window", windows)
    with torch.no_grad(), isolated(5, torch.device("cpu")):
        batches = DataLoader(views, 32, collate_fn=collate)
        right = [model.loss(model(one, n), model(other, n))["accuracy"].item() for one, other, n in batches]
    return float(np.mean(right))


def probe(model: ContrastiveLSTM, data: Data, kind: str, count: int) -> float:
    """Area under the ROC curve of logistic regressions, one a type, on the mean output for `count` windows."""
    with torch.no_grad():
        known, new = (model.embed(seen(windows, kind)) for windows in (data.windows[:count], data.tested))
    mean, std = known.mean(0), known.std(0) + 1e-6
    areas = []
    for label, truth in zip(data.labels[:count].T, data.test_labels.T, strict=True):
        regression = LogisticRegression(C=0.1, max_iter=500).fit((known - mean) / std, label)
        areas.append(roc_auc_score(truth, regression.decision_function((new - mean) / std)))
    return float(np.mean(areas))


def onsets_right(encoder: ContrastiveLSTM, data: Data, kind: str, seed: int) -> float:
    """The share of onsets in the right step or next to it, after fine-tuning on the first 32 windows."""
    options = {"num_events": 4, "dropout": 0.0, "timing_resolution_samples": 1, "residual": True}
    model = seeded(seed, LSTMEventClassifier, 60, encoder.hidden_size, 1, presence="logsumexp", **options)
    encoder.transfer_encoder_to_classifier(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    trainer = SupervisedTrainer(model, EventTimingLoss(timing_resolution_samples=1), optimizer)
    loader = few_steps(seen(data.windows[:FEW], kind).numpy(), data.labels[:FEW], data.timings[:FEW], 10, 16)
    generator = torch.Generator().manual_seed(seed)
    trainer.fit(loader, FINE_TUNING, clip_norm=1.0, generator=generator, device="cpu", progress=False)
    with torch.no_grad():
        guesses = model.eval()(seen(data.tested, kind))[1].argmax(1).numpy()  # (N, E)
    near = np.abs(guesses + 0.5 - data.test_timings / 10) <= 1.5
    return float(near[data.test_labels == 1].mean())


def measure(seed: int, kind: str, epochs: int, trained: bool = True) -> dict[str, float]:
    """What one encoder recognises, and what can be read off it."""
    data = Data(seed)
    with isolated(seed, torch.device("cpu")):
        model = ContrastiveLSTM(60, 32, 16, 1)
        if trained:
            loader = DataLoader(Views(data, kind), 32, shuffle=True, drop_last=True, collate_fn=collate)
            trainer = ContrastiveTrainer(model, torch.optim.Adam(model.parameters(), lr=5e-3))
            trainer.fit(loader, epochs, clip_norm=1.0, device="cpu", progress=False)
    model.eval()
    return {
        "other view found": found(model, data, data.tested, kind),
        "other view found, noise alone": found(model, data, data.noise_alone, kind),
        "probe, 512 labelled": probe(model, data, kind, WINDOWS),
        "probe, 32 labelled": probe(model, data, kind, FEW),
        "onsets right, 32 labelled": onsets_right(model, data, kind, seed),
    }


EXPERIMENT = Experiment(
    measure,
    settings={
        "never trained": {"kind": "window", "trained": False},
        "never trained, sharpened": {"kind": "sharpened", "trained": False},
        **{kind: {"kind": kind} for kind in KINDS},
    },
    seeds=range(5),
    options={"epochs": (8, "of contrastive training")},
    details=by_seed,
    threads=1,
    cheapest="never trained",
)
