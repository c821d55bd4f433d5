"""From AudioCNN to LogMelCNN, one change at a time, on ESC-10: what stands behind the convolutions, and what they see.

All rungs share the split and the training: folds 1 to 4 in turn are held out, the other three (240 clips) are trained
on, fold 5 is put away; 40 epochs of Adam at 1e-3, batches of 16, the last epoch's weights, three seeds. Waveforms are
the loudest 50 ms of each clip at 16 kHz; log-mel pictures are those of `log_mel_cnn`, whole (63 columns of 80 ms), cut
to the loudest 12 columns or to the loudest one. Beside them, without seeds, a support vector machine on the mean and
the standard deviation of each band over time. Computed in bfloat16 where autocast takes it, single columns in float32:
about 15 CPU minutes. std over seeds; each seed's value is the mean of four folds.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from course_lib.course.experiments._esc10_runs import MEL_RATE, TEST_FOLD, average_pairs, trained
from course_lib.course.experiments._training import seeded
from course_lib.course.experiments.audio_cnn import energy, loudest, loudest_second
from course_lib.course.experiments.runner import Experiment, by_seed
from course_lib.data import AudioData, load_esc10, log_mel
from course_lib.models import AudioCNN, LogMelCNN, PooledAudioCNN
from course_lib.training import predict

EPOCHS = 40
SHORT = 800  # samples: 50 ms at 16 kHz
MOVED = 16  # samples: 1 ms
COLUMNS = {"0.1 s": 1, "1 s": 12, "5 s": None}  # of a log-mel picture
NARROW = 4  # columns: on such pictures gradients of convolutions in bfloat16 are now and then not finite (torch 2.13)


def loudest_part(seconds: np.ndarray, samples: int = SHORT) -> np.ndarray:
    """The `samples` neighbours of largest energy in each clip.  (N, 1, T) -> (N, 1, samples)."""
    return loudest(seconds, samples, energy)


def loudest_columns(pictures: np.ndarray, columns: int | None) -> np.ndarray:
    """The `columns` neighbours of largest power in each picture; all for None.  (N, M, T) -> (N, M, columns)."""
    return pictures if columns is None else loudest(pictures, columns, lambda picture: (10.0**picture).sum(0))


def band_statistics(pictures: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each band over time: (N, M, T) -> (N, 2 M)."""
    return np.concatenate([pictures.mean(2), pictures.std(2)], axis=1)


def move_at_random(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each clip rolled in time by its own number of samples, any from 0 to T - 1."""
    shifts = torch.randint(x.shape[2], (len(x),), generator=generator)
    return torch.stack([clip.roll(int(shift), dims=1) for clip, shift in zip(x, shifts, strict=True)]), y


def inputs(data: AudioData, length: str) -> np.ndarray:
    """What a rung sees: "waveform", (N, 1, 800), or log-mel pictures cut to a key of COLUMNS, (N, 64, columns)."""
    if length == "waveform":
        return loudest_part(loudest_second(data))
    pictures = average_pairs(log_mel(data.resample(MEL_RATE).signals, MEL_RATE))
    return loudest_columns(pictures, COLUMNS[length])


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "flatten": lambda: AudioCNN(10, SHORT),
    "mean and maximum": PooledAudioCNN,
    "LogMelCNN": LogMelCNN,
}


def measure(seed: int, data: AudioData, network: str, length: str, moved: bool = False) -> dict[str, float]:
    """Means over four folds: accuracy on training and held-out clips, of waveforms also moved by a millisecond."""
    x, folds = inputs(data, length), []
    for fold in (1, 2, 3, 4):
        train = np.flatnonzero((data.folds != fold) & (data.folds != TEST_FOLD))
        held_out = np.flatnonzero(data.folds == fold)
        if network == "SVM":
            machine = make_pipeline(StandardScaler(), SVC(C=10)).fit(band_statistics(x[train]), data.labels[train])
            folds.append({"held out": machine.score(band_statistics(x[held_out]), data.labels[held_out])})
            continue
        model = _trained(x[train], data.labels[train], network, moved, seed)
        right = predict(model, x).argmax(1) == data.labels
        scores = {"training": right[train].mean(), "held out": right[held_out].mean()}
        if length == "waveform":
            right = predict(model, np.roll(x, MOVED, axis=2)).argmax(1) == data.labels
            scores |= {"training, moved": right[train].mean(), "held out, moved": right[held_out].mean()}
        folds.append(scores)
    return pd.DataFrame(folds).mean().to_dict()


def _trained(x: np.ndarray, y: np.ndarray, network: str, moved: bool, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    clips = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    return trained(
        seeded(seed, NETWORKS[network]),
        clips,
        generator,
        generator,
        epochs=EPOCHS,
        batch_size=16,
        loss=None,
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        schedule=None,
        clip_norm=None,
        train_transform=move_at_random if moved else None,
        amp=x.shape[2] > NARROW,
    )


EXPERIMENT = Experiment(
    measure,
    settings={
        "waveform, flatten": {"network": "flatten", "length": "waveform"},
        "waveform, flatten, moved in training": {"network": "flatten", "length": "waveform", "moved": True},
        "waveform, mean and maximum": {"network": "mean and maximum", "length": "waveform"},
    }
    | {f"log-mel {length}, LogMelCNN": {"network": "LogMelCNN", "length": length} for length in COLUMNS}
    | {f"log-mel {length}, SVM": {"network": "SVM", "length": length} for length in COLUMNS},
    once=[f"log-mel {length}, SVM" for length in COLUMNS],
    details=partial(by_seed, by="rung"),
    details_by="rung",
    source="ESC-10",
    load=load_esc10,
    cheapest="log-mel 0.1 s, SVM",
)
