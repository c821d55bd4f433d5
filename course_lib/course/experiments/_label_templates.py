"""The two ways of the run on label efficiency that train no network: a matched filter, and templates improved by EM."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from course_lib.course.experiments._label_tasks import Task, Windows
from course_lib.course.experiments._training import seeded
from course_lib.events import Detections, decode_peaks, window_events
from course_lib.models import (
    EventTemplateBank,
    TemplateDetector,
    candidate_targets,
    expectation_maximisation,
    fill_from_snippets,
    noise_filter,
)


def matched_filter(task: Task, count: int):
    """Average the labelled snippets of each type, slide them over the data, take the peaks of the cosine.

    Differences of neighbouring samples stand in for whitening, since noise is strongest at low frequencies.
    """
    before, length = 10, task.template_length + 20

    def sharpened(windows: Windows) -> torch.Tensor:
        return F.pad(torch.from_numpy(windows.data).transpose(1, 2).diff(), (1 + before, length))  # (N, C, T + ...)

    few = task.train.first(count)
    x, kernels = sharpened(few), torch.zeros(task.num_events, task.channels, length)
    for row, kind in np.argwhere(few.labels > 0):
        start = round(float(few.timings[row, kind]))
        kernels[kind] += x[row, :, start : start + length]
    kernels /= kernels.flatten(1).norm(dim=1).clamp(min=1e-9)[:, None, None]

    def find(windows: Windows) -> list[Detections]:
        x = sharpened(windows)[..., :-1]
        energy = F.conv1d(x.square().sum(1, keepdim=True), torch.ones(1, 1, length))
        scores = (F.conv1d(x, kernels) / energy.clamp(min=1e-9).sqrt()).clamp(0, 1).transpose(1, 2)  # (N, T, E)
        return [decode_peaks(s, np.zeros(s.shape), resolution=1, threshold=0.05, radius=20) for s in scores.numpy()]

    return find


def snippets_and_em(task: Task, count: int, seed: int, rounds: int = 3):
    """The `TemplateDetector` of notebook 23: averaged snippets, then EM over all training windows, labels unseen.

    Where the labelled windows yield no wrong candidate, or no right one, there is nothing to train its verifier on, and
    candidates are ranked by how much they explain.
    """
    few = task.train.first(count)
    bank = seeded(seed, EventTemplateBank, task.num_events, task.channels, task.template_length)
    fill_from_snippets(bank, *few)
    expectation_maximisation(bank, task.train.data, rounds=rounds, anchors=few)
    model = TemplateDetector(bank, noise_filter(bank, task.train.data[:200]))
    candidates, events = model.propose(few.data), window_events(few.labels, few.timings)
    right = np.concatenate([candidate_targets(f, e) for f, e in zip(candidates, events, strict=True)])
    if not 0 < right.sum() < len(right):
        return lambda windows: [found.detections() for found in model.propose(windows.data)]
    model.fit_verifier(candidates, events)
    return lambda windows: model.detect(windows.data)
