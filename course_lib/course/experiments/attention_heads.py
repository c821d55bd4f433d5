"""TransformerClassifier with 1, 2, 3 and 4 heads on log-mel tokens of ESC-10, and the same convolutions without it.

On the folds of `audio_cnn`: fold 5 away, 4-fold validation on the rest, the last epoch's weights. Fold 5 is scored too,
but the repairs were chosen on it, so it is no test. "0 heads" is `LogMelCNN`: no encoder. The recipe is that of
`encoder_repairs` with all repairs: log-mel pictures, 80 ms a column; 48 channels, here 2 blocks and 60 epochs. More
heads are narrower heads, so all four transformers have the same number of parameters. Computed in bfloat16 where
autocast takes it; about one and a half CPU minutes a head count. std is over the four folds; the out-of-fold logits of
the 320 clips are kept.
"""

from dataclasses import replace
from functools import partial

import pandas as pd
from torch import nn

from course_lib.course.experiments import results
from course_lib.course.experiments._esc10_runs import MEL_RATE, columns, four_folds, predictions
from course_lib.course.experiments.encoder_repairs import REPAIRED, fit_options
from course_lib.course.experiments.runner import Experiment, Found, grid
from course_lib.data import AudioData, load_esc10
from course_lib.models import LogMelCNN, LogMelFeatures, TransformerClassifier

FOLDS = (1, 2, 3, 4)
EMBED_DIM, BLOCKS = 48, 2
MEASURES = ("training accuracy", "validation accuracy", "macro F1", "ROC AUC", "fold 5 accuracy", "parameters")


def measure(seed: int, data: AudioData, heads: int, epochs: int) -> dict[str, list]:
    """Four folds of one head count: a list over folds of each measure, and the validation clips' logits."""
    x = columns(data)  # (400, 64, 63)

    def make() -> nn.Module:
        if heads == 0:
            return LogMelCNN(10)
        return TransformerClassifier(10, EMBED_DIM, heads, BLOCKS, features=LogMelFeatures(EMBED_DIM, x.shape[1]))

    options = fit_options(replace(REPAIRED, epochs=epochs))
    found = four_folds(make, x, data, seed, FOLDS, curves=False, batch_size=32, amp=True, **options)
    return found | {"fold 5 accuracy": found.pop("test accuracy")}


def rows(found: Found) -> list[dict]:
    """The means over folds of the first seed."""
    return [
        results.over_seeds(f"{setting} | {what}", cells[0][what], cells[0]["seconds"]) | {"seeds": 1}
        for setting, cells in found.items()
        for what in MEASURES
    ]


def details(found: Found, data: AudioData) -> dict[str, pd.DataFrame]:
    clips = [
        predictions(data, logits, data.folds == fold, heads=EXPERIMENT.settings[setting]["heads"])
        for setting, cells in found.items()
        for fold, logits in zip(FOLDS, cells[0]["logits"], strict=True)
    ]
    return {"predictions": pd.concat(clips)}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{heads} heads", heads=(0, 1, 2, 3, 4)),
    seeds=(0,),
    options={"epochs": (60, "passes over the training clips")},
    rows=rows,
    details=details,
    details_by="heads",
    source="ESC-10",
    load=partial(load_esc10, sample_rate=MEL_RATE),
    cheapest="1 heads",
)
