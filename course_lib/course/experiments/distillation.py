"""Two attentive CNNs and what becomes of them at 40,000 weights: students, pruned channels, zeros; ESC-10, five folds.

In each official fold two `AttentiveCNN` are trained on the other four by the recipe of the run `esc10`, whose settings
were chosen on these folds; the mean of their probabilities teaches. Students see the same batches at the same time: one
learns from labels alone, others from the teachers alone, at temperatures 1, 2 and 4, all of these from the same initial
weights; a depthwise-separable one learns at 2. Temperature 2 was set beforehand and is compared: targets of ten
classes, smoothed by 0.1, give the right one 91 times another one's share; T = ln 91 / ln 9 = 2.05 makes it one half.
Nothing is chosen by what was measured. All have the same number of epochs; gradients of students are not clipped.
Pruned: the first teacher with as many weights as the student left, by size, over all its matrices; and its channels of
the largest norm in the student's widths; both are trained on for a quarter of the epochs from labels.
std, and the differences of pairs, over folds.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils.data import TensorDataset

from course_lib.course.experiments import results
from course_lib.course.experiments._esc10_runs import ATTENTIVE, CLIPS, RECIPE, columns, trained
from course_lib.course.experiments._training import seeded
from course_lib.course.experiments.runner import Experiment, Found, grid, total_seconds
from course_lib.data import AudioData
from course_lib.models import AttentiveCNN, LogMelFeatures
from course_lib.training import accuracy, compare, predict

PAIR, LABELS, STUDENT, SEPARABLE = "two teachers", "student, labels alone", "student, T = 2", "separable, T = 2"
CHANNELS, ZEROS = "channels of a teacher", "zeros in a teacher"
TEMPERATURES = {"student, T = 1": 1, STUDENT: 2, "student, T = 4": 4, SEPARABLE: 2}
WIDTHS, EMBED = (12, 24, 48, 48), 20  # of the student's convolutions and tokens
SEPARABLE_WIDTHS, SEPARABLE_EMBED = (16, 48, 96, 128), 24


def student() -> AttentiveCNN:
    return AttentiveCNN(10, EMBED, features=LogMelFeatures(EMBED, widths=WIDTHS))


def separable_student() -> AttentiveCNN:
    features = LogMelFeatures(SEPARABLE_EMBED, widths=SEPARABLE_WIDTHS, separable=True)
    return AttentiveCNN(10, SEPARABLE_EMBED, features=features)


def log_mean_probability(models: list[nn.Module], x: Tensor) -> Tensor:
    """(N, 10): log of the mean of the models' probabilities."""
    answers = torch.stack([torch.log_softmax(model(x).float(), dim=1) for model in models])  # (M, N, 10)
    return answers.logsumexp(0) - np.log(len(models))


def distillation_loss(logits: Tensor, teacher: Tensor, T: float) -> Tensor:
    """T² times the divergence of the softened answers; (B, 10) each."""
    return T**2 * F.kl_div(
        (logits / T).log_softmax(1), (teacher / T).log_softmax(1), reduction="batchmean", log_target=True
    )


@torch.no_grad()
def fewer_channels(teacher: AttentiveCNN) -> AttentiveCNN:
    """The student's network with the teacher's channels of the largest norm, layer after layer."""
    small = student()
    old, new = teacher.features, small.features
    kept = torch.arange(1)
    pairs = list(zip(old.convolutions, new.convolutions, strict=True))
    for (wide, narrow), (norm, narrow_norm) in zip(pairs[::3], pairs[1::3], strict=True):
        best = wide.weight.flatten(1).norm(dim=1).topk(len(narrow.weight)).indices
        narrow.weight.copy_(wide.weight[best][:, kept])
        for name, values in norm.state_dict().items():
            narrow_norm.state_dict()[name].copy_(values[best] if values.dim() else values)
        kept = best
    new.standardise.load_state_dict(old.standardise.state_dict())
    rows = old.project.weight.unflatten(1, (-1, 4))[:, kept].flatten(1)  # (128, 4 channels)
    best = rows.norm(dim=1).topk(EMBED).indices
    new.project.weight.copy_(rows[best]), new.project.bias.copy_(old.project.bias[best])
    scores, small_scores = teacher.pooling.score, small.pooling.score
    small_scores.load_state_dict(scores.state_dict() | {"0.weight": scores[0].weight[:, best]})
    last, small_last = teacher.classifier[1], small.classifier[1]
    small_last.weight.copy_(last.weight[:, torch.cat([best, best + len(rows)])]), small_last.bias.copy_(last.bias)
    return small


def zeros_in(teacher: AttentiveCNN, left: int) -> AttentiveCNN:
    """The teacher with so many weights left: of its matrices the largest, and all vectors; held in training."""
    thin = copy.deepcopy(teacher).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    matrices = [(m, "weight") for m in thin.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    in_matrices = sum(m.weight.numel() for m, _ in matrices)
    amount = in_matrices - (left - (weights_of(thin) - in_matrices))
    prune.global_unstructured(matrices, pruning_method=prune.L1Unstructured, amount=amount)
    return thin


def weights_of(model: nn.Module) -> int:
    """Weights that are not held at zero."""
    held = sum(int((mask == 0).sum()) for name, mask in model.named_buffers() if name.endswith("weight_mask"))
    return sum(p.numel() for p in model.parameters()) - held


def measure(seed: int, data: AudioData, fold: int, epochs: int) -> dict[str, Any]:
    """One fold: accuracy and weights of the teachers, the students and the pruned."""
    x, y, test = torch.from_numpy(columns(data)), torch.from_numpy(np.asarray(data.labels)), data.folds == fold
    generator = torch.Generator().manual_seed(1000 * seed + fold)
    train = partial(trained, clips=TensorDataset(x[~test], y[~test]), generator=generator, **ATTENTIVE)

    def make() -> tuple[list[AttentiveCNN], nn.ModuleList]:
        teachers, first = [AttentiveCNN(10), AttentiveCNN(10)], student()
        return teachers, nn.ModuleList([*(copy.deepcopy(first) for _ in range(4)), separable_student()])

    teachers, students = seeded(1000 * seed + fold, make)
    for teacher in teachers:
        train(teacher, epochs=epochs).eval()

    def step(models: Any, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, targets = batch
        with torch.no_grad():
            known = log_mean_probability(teachers, x)  # (B, 10)
        total = RECIPE["loss"](models[0](x).float(), targets)
        for model, T in zip(models[1:], TEMPERATURES.values(), strict=True):
            total = total + distillation_loss(model(x).float(), known, T)
        return total

    train(students, epochs=epochs, loss=None, training_step=step, clip_norm=None)
    models = {"one teacher": teachers[0], **dict(zip((LABELS, *TEMPERATURES), students, strict=True))}
    models[CHANNELS] = fewer_channels(teachers[0])
    models[ZEROS] = zeros_in(teachers[0], weights_of(students[0]))
    for name in (CHANNELS, ZEROS):
        train(models[name], epochs=max(1, epochs // 4))
    answers = {name: predict(model, x[test], batch_size=80) for name, model in models.items()}
    with torch.no_grad():
        answers[PAIR] = log_mean_probability(teachers, x[test])
    weights = {name: weights_of(model) for name, model in models.items()}
    return {
        "accuracy": {name: float(accuracy(torch.as_tensor(z), y[test])) for name, z in answers.items()},
        "weights": weights | {PAIR: sum(map(weights_of, teachers))},
    }


def by_fold(found: Found) -> pd.DataFrame:
    """A row a fold and model: setting, fold, model, weights, accuracy."""
    return pd.DataFrame(
        {"setting": s, "fold": EXPERIMENT.settings[s]["fold"], "model": m, "weights": c["weights"][m], "accuracy": a}
        for s, cells in found.items()
        for c in cells[:1]
        for m, a in c["accuracy"].items()
    )


def rows(found: Found) -> list[dict]:
    """Of each model its weights, and mean and std over folds; differences of pairs, a fold each."""
    table = by_fold(found)
    seconds = total_seconds([cell for cells in found.values() for cell in cells])
    scores = table.pivot(index="fold", columns="model", values="accuracy")
    made: list[dict] = []
    for name, values in table.groupby("model", sort=False):
        made.append(results.over_seeds(f"{name}: accuracy", values["accuracy"], seconds) | {"seeds": 1})
        made.append({"measure": f"{name}: weights", "value": int(values["weights"].iloc[0])})
    if len(scores) > 1:
        for name, base in ((STUDENT, PAIR), (STUDENT, LABELS), (SEPARABLE, PAIR), (SEPARABLE, STUDENT)):
            made.append(results.difference(f"{name}: change from {base}", compare(scores[name], scores[base])))
    return made


EXPERIMENT = Experiment(
    measure,
    settings=grid("fold {fold}", fold=(1, 2, 3, 4, 5)),
    seeds=(0,),
    options={"epochs": (40, "passes over the training clips")},
    rows=rows,
    details=lambda found: {"folds": by_fold(found)},
    threads=1,
    cheapest="fold 1",
    unchecked="(accuracy|change from .*)$",  # over all folds
    **CLIPS,
)
