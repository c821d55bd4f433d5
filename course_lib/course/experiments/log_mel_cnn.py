"""LogMelCNN on the five official folds of ESC-10, with and without augmentation, and without each part of it.

Log-mel at 22.05 kHz (window 2,048, hop 882, 64 Slaney mels), powers of neighbouring frames averaged (80 ms a column);
100 epochs of AdamW 4e-3 with warm-up and cosine, batches of 32, label smoothing 0.1, gradients clipped at 1, the last
epoch's weights. About 2.5 CPU minutes for five folds where bfloat16 is fast. Seeds are repeated for "all parts"; each
other variant is measured with the first seed.
The recipe was put together with an eye on these five folds (a dozen settings), so its score is a little too good.
std over seeds; of an ablation's row over the five folds. Kept beside the table: curves and out-of-fold logits of the
first seed.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from course_lib.course.experiments import results
from course_lib.course.experiments._esc10_runs import CLIPS, average_pairs, columns, five_folds, predictions
from course_lib.course.experiments.runner import Experiment, Found, column, total_seconds
from course_lib.data import AudioData, LogMelAugmentation
from course_lib.models import LogMelCNN

__all__ = ["EXPERIMENT", "average_pairs"]

ALL, NONE = "all parts", "no augmentation"
PARTS = LogMelAugmentation.PARTS
VARIANTS = {ALL: PARTS, NONE: ()} | {f"without {part}": tuple(p for p in PARTS if p != part) for part in PARTS}


def measure(seed: int, data: AudioData, parts: tuple[str, ...]) -> dict:
    """Five folds of one variant: accuracy of each, macro F1 of all clips, logits and learning curves."""
    found = five_folds(LogMelCNN, columns(data), data, seed, train_transform=LogMelAugmentation(10, parts))
    curves = [history.table.assign(fold=fold) for fold, history in found.histories.items()]
    return {
        "accuracy": found.mean.accuracy,
        "macro F1": f1_score(data.labels, found.predictions, average="macro"),
        "folds": found.table["accuracy"].tolist(),
        "logits": found.logits.tolist(),
        "curves": pd.concat(curves).drop(columns=["learning_rate", "seconds"]).to_dict("list"),
    }


def rows(found: Found) -> list[dict]:
    """Of all parts the mean over seeds, for all folds and for each; of every variant its first seed."""
    made = []
    if cells := found.get(ALL):
        seconds = total_seconds(cells)
        made = [results.over_seeds(what, column(cells, what), seconds) for what in ("accuracy", "macro F1")]
        for fold, values in enumerate(column(cells, "folds").T, start=1):
            made.append(results.over_seeds(f"accuracy, fold {fold}", values, seconds))
    for variant, (first, *_) in found.items():
        made.append(results.over_seeds(f"ablation: {variant}", first["folds"], first["seconds"]) | {"seeds": 1})
    return made


def details(found: Found, data: AudioData) -> dict[str, pd.DataFrame]:
    """Learning curves and predictions of the first seed, with all parts and with none."""
    shown = {variant: found[variant][0] for variant in (ALL, NONE) if variant in found}
    if not shown:
        return {}
    curves = [pd.DataFrame(cell["curves"]).assign(variant=variant) for variant, cell in shown.items()]
    clips = [predictions(data, np.array(cell["logits"]), variant=variant) for variant, cell in shown.items()]
    return {"curves": pd.concat(curves), "predictions": pd.concat(clips)}


EXPERIMENT = Experiment(
    measure,
    settings={variant: {"parts": parts} for variant, parts in VARIANTS.items()},
    once=[variant for variant in VARIANTS if variant != ALL],
    rows=rows,
    details=details,
    details_by="variant",
    cheapest=NONE,
    **CLIPS,
)
