"""AudioCNN in its published setting on ESC-10: Adam 1e-3, 100 epochs, fold 5 held out, 4-fold validation on the rest.

The published code turns [1, 220500] into [1, 16000] in a way that is not stated, so two readings are measured: the
whole clip at 3,200 Hz, and one second at 16 kHz, the loudest. Everything else is left plain: batches of 32, no
augmentation, no weight decay, the last epoch's weights. Computed in bfloat16 where autocast takes it: about
half an hour a reading. A run that was stopped goes on where it was; the table gets a reading's rows when all four
folds are done.

Writes figures/results/audio_cnn.csv and, under figures/results/detail/, audio_cnn_curves.csv (every epoch of every
fold) and audio_cnn_predictions.csv (out-of-fold logits of the 320 clips).
"""

import shutil

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments import results
from course_lib.data import AudioData, load_esc10
from course_lib.files import replacing
from course_lib.models import AudioCNN, ChannelsLast
from course_lib.paths import RESULTS, cache_dir
from course_lib.training import fit, predict
from course_lib.training.rng import isolated

TEST_FOLD = 5
SAMPLES = 16_000


def whole_clip(data: AudioData) -> np.ndarray:
    """The clips resampled so that each has 16,000 samples: 3,200 Hz for 5 s.  (N, 1, 16000) float32."""
    seconds = data.signals.shape[-1] / data.sample_rate
    return np.array(data.resample(round(SAMPLES / seconds)).signals)


def loudest_second(data: AudioData) -> np.ndarray:
    """The second of each clip with the largest energy, at 16 kHz.  (N, 1, 16000) float32."""
    signals = data.resample(SAMPLES).signals
    loudest = np.empty((len(signals), 1, SAMPLES), dtype=np.float32)
    for clip, out in zip(signals[:, 0], loudest[:, 0], strict=True):
        energy = np.concatenate([[0.0], np.cumsum(clip.astype(np.float64) ** 2)])
        start = np.argmax(energy[SAMPLES:] - energy[:-SAMPLES])
        out[:] = clip[start : start + SAMPLES]
    return loudest


READINGS = {"whole clip at 3,200 Hz": whole_clip, "loudest second at 16 kHz": loudest_second}


def add_arguments(parser) -> None:
    parser.add_argument("--epochs", type=int, default=100, help="passes over the training clips (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="weights and order of clips (default: %(default)s)")


def run(arguments) -> None:
    data = load_esc10()
    for reading, signals_of in READINGS.items():
        folds, curves, predictions = [], [], []
        signals = signals_of(data)
        for fold in (1, 2, 3, 4):
            measured, curve, logits = _one_fold(signals, data, fold, arguments, reading)
            folds.append(measured)
            curves.append(curve.assign(reading=reading, fold=fold))
            held_out = np.flatnonzero(data.folds == fold)
            clips = pd.DataFrame({"file": np.array(data.files)[held_out], "label": data.labels[held_out]})
            scores = pd.DataFrame(logits, columns=[f"logit_{i}" for i in range(logits.shape[1])])
            predictions.append(pd.concat([clips.assign(reading=reading, fold=fold), scores], axis=1))
        _record(reading, pd.DataFrame(folds), pd.concat(curves), pd.concat(predictions), arguments)
    shutil.rmtree(_folder(arguments))


def _one_fold(signals: np.ndarray, data: AudioData, fold: int, arguments, reading: str):
    """Train on three folds, validate on `fold`.  Returns accuracies and seconds, the history, validation logits."""
    x, y = torch.from_numpy(signals), torch.from_numpy(data.labels)
    held_out, test = data.folds == fold, data.folds == TEST_FOLD
    train = np.flatnonzero(~held_out & ~test)
    generator = torch.Generator().manual_seed(arguments.seed)
    with isolated(arguments.seed, torch.device("cpu")):
        model = ChannelsLast(AudioCNN(num_classes=10, input_length=SAMPLES))
    history = fit(
        model,
        DataLoader(TensorDataset(x[train], y[train]), batch_size=32, shuffle=True, generator=generator),
        validation=DataLoader(TensorDataset(x[held_out], y[held_out]), batch_size=16),
        epochs=arguments.epochs,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
        amp=True,
        checkpoint_dir=_folder(arguments) / f"{reading.split()[0]}-{fold}",
        generator=generator,
    )
    logits = predict(model, x, batch_size=16)
    right = logits.argmax(1) == data.labels
    table = history.table
    measured = {
        "training accuracy": right[train].mean(),
        "validation accuracy": right[held_out].mean(),
        "best epoch's validation accuracy": table["validation_accuracy"].max(),
        "test accuracy": right[test].mean(),
        "seconds": table["seconds"].sum(),
    }
    return measured, table.drop(columns=["learning_rate", "seconds"]), logits[held_out]


def _record(reading: str, folds: pd.DataFrame, curves: pd.DataFrame, predictions: pd.DataFrame, arguments) -> None:
    """Write a reading's rows; std is over the four folds.  The detail files keep the other reading's rows."""
    seconds = round(folds.pop("seconds").sum())
    common = {"seeds": 1, "seconds": seconds}
    rows = [
        {"measure": f"{reading}: {name}", "value": round(folds[name].mean(), 4), "std": round(folds[name].std(), 4)}
        | common
        for name in folds
    ]
    for fold, value in enumerate(folds["validation accuracy"], start=1):
        rows.append({"measure": f"{reading}: validation accuracy, fold {fold}", "value": round(value, 4)} | common)
    results.record("audio_cnn", rows, arguments.command)
    for name, new in (("curves", curves), ("predictions", predictions)):
        path = RESULTS / "detail" / f"audio_cnn_{name}.csv"
        if path.exists():
            old = pd.read_csv(path)
            new = pd.concat([old[old.reading != reading], new])
        with replacing(path) as temporary:
            new.to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")


def _folder(arguments):
    """Where an unfinished run keeps its checkpoints."""
    return cache_dir() / f"audio-cnn-{arguments.epochs}-{arguments.seed}"
