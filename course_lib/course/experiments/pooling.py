"""Six ways to pool over time on one backbone: mean, max, statistics, attention, its statistics, CLS; ESC-10, 5 folds.

The convolutions of LogMelCNN make eight tokens of a clip, 640 ms each; a head makes one vector of them; a linear layer
names the class. Data, augmentation and recipe are those of `log_mel_cnn` (100 epochs, the last epoch's weights), so
that only the head differs. About 2.5 CPU minutes for five folds of one head where bfloat16 is fast. "16 epochs": three
of the heads, trained for a sixth of the time (`--only '*, 16 epochs'`, 5 CPU minutes).

std over seeds. The gain over the mean has a standard error over recordings: clip by clip, averaged over seeds, and over
the clips of a recording (of 100 epochs not recorded yet). Kept beside the table: in what share of the seeds each clip
came out right.
"""

from functools import partial

import pandas as pd

from course_lib.course.experiments import results
from course_lib.course.experiments._esc10_runs import CLIPS, columns, five_folds
from course_lib.course.experiments._training import parameters
from course_lib.course.experiments.runner import Experiment, Found, column, grid, mean_rows, total_seconds
from course_lib.data import AudioData
from course_lib.models import LogMelFeatures, PooledClassifier
from course_lib.models.small_classifiers import HEADS
from course_lib.training import compare

EMBED_DIM = 128
SHORT = 16  # epochs
SHORTER = ("mean", "max", "attention statistics")


def make_model(head: str) -> PooledClassifier:
    """The recorded run's model for log-mel pictures (B, 64, frames) and ten classes."""
    return PooledClassifier(LogMelFeatures(EMBED_DIM), head, EMBED_DIM, 10)


def measure(seed: int, data: AudioData, head: str, short: bool = False) -> dict:
    """Five folds of one head: the share of clips that came out right, and which."""
    changes = {"epochs": SHORT} if short else {}
    found = five_folds(partial(make_model, head), columns(data), data, seed, **changes)
    right = (found.predictions == data.labels).astype(float)
    return {"accuracy": right.mean(), "parameters": parameters(make_model(head)), "right": right.tolist()}


def rows(found: Found, data: AudioData) -> list[dict]:
    """The means over seeds, and the gains over the mean of as many epochs, where it is there."""
    made = mean_rows(found)
    for setting, cells in found.items():
        head, short, epochs = setting.partition(", ")
        mean = found.get(f"mean{short}{epochs}")
        if head != "mean" and mean is not None:
            right, baseline = (column(c, "right").mean(0) for c in (cells, mean))  # (clips,), over seeds
            gain = compare(right, baseline, groups=data.groups)
            row = results.difference(f"{setting}: gain over the mean", gain)
            made.append(row | {"seeds": len(cells), "seconds": round(total_seconds(cells))})
    return made


def details(found: Found, data: AudioData) -> dict[str, pd.DataFrame]:
    """By head and clip: its recording, and the share of seeds with which it came out right."""
    clips = pd.DataFrame({"file": data.files, "recording": data.groups})
    tables = [clips.assign(setting=name, right=column(cells, "right").mean(0)) for name, cells in found.items()]
    return {"clips": pd.concat(tables)}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{head}", head=HEADS) | grid(f"{{head}}, {SHORT} epochs", head=SHORTER, short=[True]),
    rows=rows,
    details=details,
    cheapest="max",
    **CLIPS,
)
