"""ESC-10 without a look at what it is tested on: nine candidates, chosen on inner folds, then five new seeds.

For each official fold (outer) the candidate is chosen by accuracy on the other four (inner): for each pair of folds a
model trained without both answers b for outer fold a, and a for outer fold b; one seed. The chosen one is frozen and
trained on the four inner folds, with five seeds that no earlier run has used. The first one wins a tie.

today's recipe: the attentive CNN of the run `esc10`, 100 epochs. Its settings were chosen on all five folds, so the
list starts from a recipe that has seen them; from there on nothing is chosen on an outer fold.
pre-trained: the same CNN, first 20 epochs on 1,000 clips of the generated soundscape, whose ten kinds are ESC-10's,
then 60 epochs on the recordings; one pre-training a seed.
wider: beside the usual picture two of short windows (mean and largest power in a column of 80 ms), and more change:
speed, a random equaliser, three bands of pitch; 60 epochs.
cepstra: a support vector machine on mean and spread of 20 cepstra and the spread of their steps; C and the kernel's
width are chosen by cross-validation over the training folds that it has.
X + Y, X + Y + Z: the mean of their probabilities.
Before the run "wider" and the cepstra were tried on fold 4 (trained on folds 1 to 3, fold 5 set aside), nowhere else.
So fold 4 helped to make the list, and a row leaves it out. Two runs came before this one, and both have seen the outer
folds: with seeds 10 to 14, seven candidates and two inner folds for each outer one, 89.8 %; with seeds 20 to 24 and the
two sums that have both today's recipe and the pre-trained CNN, 91.4 %. Their choices differed from fold to fold, so
this one chooses on all four inner folds.

Standard errors are clustered by recording; seconds are CPU seconds of one seed, all folds. All of it takes more than an
hour; `--only` measures the folds of the candidates that were chosen.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.model_selection import PredefinedSplit

from course_lib.course.experiments import results
from course_lib.course.experiments._esc10_members import CEPSTRA, CNNS, GENERATED, TODAY, WIDER, cepstra, machine
from course_lib.course.experiments._esc10_runs import CLIPS, RECIPE
from course_lib.course.experiments.runner import Experiment, Found, column
from course_lib.data import AudioData
from course_lib.training import compare, cross_validate

FOLDS, BAR, SCOUTED = (1, 2, 3, 4, 5), 0.92, 4
PAIRS = tuple(combinations(FOLDS, 2))
MEMBERS = (*CNNS, CEPSTRA)
SUMS = ((TODAY, CEPSTRA), (GENERATED, CEPSTRA), (WIDER, CEPSTRA), (TODAY, GENERATED), (TODAY, GENERATED, CEPSTRA))
CANDIDATES = {name: (name,) for name in MEMBERS} | {" + ".join(names): names for names in SUMS}


def measure(seed: int, data: AudioData, member: str, held: list[tuple[int, ...]]) -> dict:
    """Logits of the clips in each entry of `held`, folds that the model did not train on."""
    logits = []
    for folds in held:
        test = np.isin(data.folds, folds)
        if member == CEPSTRA:
            logits.append(machine(data, ~test).decision_function(cepstra(data)[test]).tolist())
            continue
        make, pictures, changes = CNNS[member]
        found = cross_validate(
            partial(make, seed),
            pictures(data),
            data.labels,
            splitter=PredefinedSplit(np.where(test, 0, -1)),
            generator=torch.Generator().manual_seed(int(f"{seed}" + "".join(map(str, folds)))),
            curves=False,
            progress=False,
            **RECIPE | changes,
        )
        logits.append(found.logits[test].tolist())
    return {"logits": logits}


def right(found: Found, candidate: str, setting: str, data: AudioData, seed: int = 0) -> list[np.ndarray]:
    """For each entry of a setting's `held`: (N,), 1 where the candidate is right, 0 where not, NaN where not held."""
    cells = [found[f"{member}, {setting}"] for member in CANDIDATES[candidate]]
    cells = [of_member[min(seed, len(of_member) - 1)] for of_member in cells]  # the machine has no seeds
    answers = []
    for entry, folds in enumerate(EXPERIMENT.settings[f"{CEPSTRA}, {setting}"]["held"]):
        held = np.isin(data.folds, folds)
        share = np.mean([softmax(cell["logits"][entry], axis=1) for cell in cells], axis=0)  # (clips held, 10)
        answers.append(np.full(len(held), np.nan))
        answers[-1][held] = share.argmax(1) == data.labels[held]
    return answers


def measured(found: Found, setting: str) -> list[str]:
    """The candidates whose members have all been measured in this setting."""
    return [name for name, of in CANDIDATES.items() if all(f"{member}, {setting}" in found for member in of)]


def choices(found: Found, data: AudioData) -> pd.DataFrame:
    """A row an outer fold and candidate: accuracy on its inner folds, and whether it is the chosen one."""
    made = []
    for name in measured(found, "inner"):
        answers = right(found, name, "inner", data)
        for outer in FOLDS:
            of_pairs = [(a, sum(pair) - outer) for a, pair in zip(answers, PAIRS, strict=True) if outer in pair]
            inner = [a[data.folds == fold] for a, fold in of_pairs]
            made.append({"candidate": name, "fold": outer, "inner accuracy": np.concatenate(inner).mean()})
    table = pd.DataFrame(made, columns=["candidate", "fold", "inner accuracy"])
    table["chosen"] = table.index.isin(table.groupby("fold")["inner accuracy"].idxmax())
    return table


def outer(found: Found, data: AudioData, names: dict[int, str]) -> np.ndarray | None:
    """(seeds, N): where the candidate named for a clip's fold is right; None where one of them was not measured."""
    if not names or any(name not in measured(found, f"fold {fold}") for fold, name in names.items()):
        return None
    of_folds = [
        [right(found, name, f"fold {fold}", data, seed)[0] for fold, name in names.items()]
        for seed in range(max(map(len, members(found, names))))
    ]
    return np.nansum(of_folds, axis=1)


def members(found: Found, names: dict[int, str]) -> list[list[dict]]:
    """The cells of every member of the candidate named for a fold, on that fold."""
    return [found[f"{member}, fold {fold}"] for fold, name in names.items() for member in CANDIDATES[name]]


def chosen(found: Found, data: AudioData) -> dict[int, str]:
    """Outer fold → the candidate chosen for it; nothing before all candidates have been tried on the inner folds."""
    if len(measured(found, "inner")) < len(CANDIDATES):
        return {}
    table = choices(found, data)
    return table[table["chosen"]].set_index("fold")["candidate"].to_dict()


def rows(found: Found, data: AudioData) -> list[dict]:
    """Accuracy on inner folds and changes there; of fixed candidates, not nested; the nested one against the bar."""
    made: list[dict[str, Any]] = []
    inner = {name: np.nanmean(right(found, name, "inner", data), axis=0) for name in measured(found, "inner")}
    for name, values in inner.items():
        spent = sum(found[f"{member}, inner"][0]["seconds"] for member in CANDIDATES[name])
        made.append(results.over_seeds(f"inner folds: {name}", [values.mean()], spent))
    others = {name: values for name, values in inner.items() if name != TODAY}
    if TODAY in inner and others:
        found_changes = compare(others, inner[TODAY], groups=data.groups)
        made += [results.difference(f"inner folds: {name}: change", change) for name, change in found_changes.items()]
    named = {f"fixed, not nested: {name}": dict.fromkeys(FOLDS, name) for name in CANDIDATES}
    for title, names in (named | {"nested": chosen(found, data)}).items():
        answers = outer(found, data, names)
        if answers is None:
            continue
        seconds = sum(float(column(cells, "seconds").mean()) for cells in members(found, names))
        row = results.over_seeds(title, answers.mean(1), seconds)
        bar = results.difference(
            f"{title}: change from {BAR}", compare(answers.mean(0), np.full(len(data), BAR), groups=data.groups)
        )
        made += [row | {"standard_error": bar["standard_error"]}, bar]
        if title == "nested":
            kept = data.folds != SCOUTED
            made.append(results.over_seeds(f"nested, without fold {SCOUTED}", answers[:, kept].mean(1)))
    return made


def details(found: Found, data: AudioData) -> dict[str, pd.DataFrame]:
    """Choices; accuracy a seed and fold of the nested and the fixed candidates; clips of the nested."""
    named = {name: dict.fromkeys(FOLDS, name) for name in CANDIDATES} | {"nested": chosen(found, data)}
    folds, clips = [], []
    for name, names in named.items():
        answers = outer(found, data, names)
        if answers is None:
            continue
        scores = [
            {"draw": draw, "fold": k, "accuracy": a[data.folds == k].mean()}
            for draw, a in enumerate(answers)
            for k in FOLDS
        ]
        folds.append(pd.DataFrame(scores).assign(candidate=name))
        shares = {"file": data.files, "recording": data.groups, "fold": data.folds, "right": answers.mean(0)}
        clips.append(pd.DataFrame(shares).assign(candidate=name))
    tables = {"choices": [choices(found, data)], "folds": folds, "clips": clips}
    return {name: pd.concat(parts) for name, parts in tables.items() if sum(map(len, parts))}


INNER = {f"{member}, inner": {"member": member, "held": PAIRS} for member in MEMBERS}
OUTER = {f"{member}, fold {fold}": {"member": member, "held": [(fold,)]} for member in MEMBERS for fold in FOLDS}

EXPERIMENT = Experiment(
    measure,
    settings=INNER | OUTER,
    seeds=(30, 31, 32, 33, 34),
    once=[*INNER, *(setting for setting in OUTER if setting.startswith(CEPSTRA))],
    rows=rows,
    details=details,
    details_by="candidate",
    threads=1,
    cheapest=f"{CEPSTRA}, inner",
    **CLIPS,
)
