"""AudioCNN in its published setting on ESC-10: Adam 1e-3, 100 epochs, fold 5 held out, 4-fold validation on the rest.

The published code turns [1, 220500] into [1, 16000] in a way that is not stated, so two readings are measured: the
whole clip at 3,200 Hz, and one second at 16 kHz, the loudest. Everything else is left plain: batches of 32, no
augmentation, no weight decay, the last epoch's weights. Computed in bfloat16 where autocast takes it: about
ten minutes a reading and fold. The rows of a reading are means over the folds that are done, std over these. Kept
beside the table: every epoch of every fold, and out-of-fold logits of the 320 clips.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch

from course_lib.course.experiments import results
from course_lib.course.experiments._esc10_runs import four_folds, predictions
from course_lib.course.experiments.runner import Experiment, Found, column, grid, total_seconds
from course_lib.data import AudioData, load_esc10
from course_lib.models import AudioCNN, ChannelsLast

SAMPLES = 16_000


def whole_clip(data: AudioData) -> np.ndarray:
    """The clips resampled so that each has 16,000 samples: 3,200 Hz for 5 s.  (N, 1, 16000) float32."""
    seconds = data.signals.shape[-1] / data.sample_rate
    return np.array(data.resample(round(SAMPLES / seconds)).signals)


def loudest(x: np.ndarray, size: int, power: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The `size` neighbours of largest power in each item: (N, C, T) -> (N, C, size).  power: (C, T) -> (T,)."""
    parts = []
    for item in x:
        total = np.concatenate([[0.0], np.cumsum(power(item))])  # (T + 1,)
        start = int(np.argmax(total[size:] - total[:-size]))
        parts.append(item[:, start : start + size])
    return np.stack(parts)


def energy(clip: np.ndarray) -> np.ndarray:
    """(1, T) -> (T,) float64."""
    return np.square(clip[0], dtype=np.float64)


def loudest_second(data: AudioData) -> np.ndarray:
    """The second of each clip with the largest energy, at 16 kHz.  (N, 1, 16000) float32."""
    return loudest(data.resample(SAMPLES).signals, SAMPLES, energy)


READINGS = {"whole clip at 3,200 Hz": whole_clip, "loudest second at 16 kHz": loudest_second}


def measure(seed: int, data: AudioData, reading: str, fold: int, epochs: int) -> dict:
    """One fold of one reading: accuracies, the learning curve and the validation clips' logits."""
    found = four_folds(
        lambda: ChannelsLast(AudioCNN(num_classes=10, input_length=SAMPLES)),
        READINGS[reading](data),
        data,
        seed,
        folds=[fold],
        epochs=epochs,
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        amp=True,
    )
    (curve,), best = found["curves"], "best epoch's validation accuracy"
    names = ("training accuracy", "validation accuracy", "test accuracy")
    scores = {name: found[name][0] for name in names} | {best: max(curve["validation_accuracy"])}
    return {**scores, "curve": curve, "logits": found["logits"][0]}


def rows(found: Found) -> list[dict]:
    """Of each reading the mean over the folds that are there, std over them, and the validation accuracy of each."""
    made = []
    for reading, folds in by_reading(found).items():
        cells = list(folds.values())
        common = {"seeds": 1, "seconds": round(total_seconds(cells))}
        for what in ("training", "validation", "best epoch's validation", "test"):
            made.append(results.over_seeds(f"{reading}: {what} accuracy", column(cells, f"{what} accuracy")) | common)
        for fold, cell in folds.items():
            value = round(cell["validation accuracy"], 4)
            made.append({"measure": f"{reading}: validation accuracy, fold {fold}", "value": value} | common)
    return made


def details(found: Found, data: AudioData) -> dict[str, pd.DataFrame]:
    """Every epoch of every fold, and the out-of-fold logits."""
    curves, clips = [], []
    for reading, folds in by_reading(found).items():
        for fold, cell in folds.items():
            table = pd.DataFrame(cell["curve"]).drop(columns=["learning_rate", "seconds"])
            curves.append(table.assign(reading=reading, fold=fold))
            clips.append(predictions(data, cell["logits"], data.folds == fold, reading=reading))
    return {"curves": pd.concat(curves), "predictions": pd.concat(clips)}


def by_reading(found: Found) -> dict[str, dict[int, dict]]:
    """reading → fold → what its first seed measured."""
    sorted_out: dict[str, dict[int, dict]] = {}
    for setting, cells in found.items():
        reading, fold = EXPERIMENT.settings[setting].values()
        sorted_out.setdefault(reading, {})[fold] = cells[0]
    return sorted_out


EXPERIMENT = Experiment(
    measure,
    settings=grid("{reading}, fold {fold}", reading=READINGS, fold=(1, 2, 3, 4)),
    seeds=(0,),
    options={"epochs": (100, "passes over the training clips")},
    rows=rows,
    details=details,
    details_by="reading",
    source="ESC-10",
    load=load_esc10,
    cheapest="loudest second at 16 kHz, fold 1",
    unchecked="(training|validation|test) accuracy$",  # of all four folds
)
