"""Losses where nothing is valid, where padding holds anything, and where a target is none."""

import numpy as np
import pytest
import torch

from course_lib import losses
from course_lib.losses import FocalLoss, focal_loss, template_loss

NAN, INF = float("nan"), float("inf")
LABELS = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
TIMINGS = torch.tensor([[5.0, NAN, NAN], [NAN, 40.0, NAN]])
NONE = torch.zeros(2, 3)


def padded(lengths, steps, channels, pad, samples=1):
    """Random (B, F, C) that holds `pad` behind each item's frames, with gradients."""
    x = torch.randn(len(lengths), steps, channels, generator=torch.Generator().manual_seed(steps))
    for row, length in zip(x, lengths, strict=True):
        row[-(-length // samples) :] = pad
    return x.requires_grad_()


def timing(lengths, pad, labels, timings):
    scores, frames = padded([9] * len(lengths), 3, 1, 0)[..., 0], padded(lengths, 9, 3, pad, 10)
    return losses.EventTimingLoss()(scores, frames, labels, timings, torch.tensor(lengths)), [frames]


def heatmap(lengths, pad, labels, timings):
    maps = padded(lengths, 9, 3, pad, 10), padded(lengths, 9, 3, pad, 10)
    return losses.HeatmapLoss()((*maps, torch.zeros(2, 3)), labels, timings, torch.tensor(lengths)), list(maps)


def template(lengths, pad, labels, timings):
    scores = padded(lengths, 90, 3, pad)
    return {"loss": template_loss(scores, labels, timings, torch.tensor(lengths))}, [scores]


def autoencoder(lengths, pad, *_):
    drawn = padded(lengths, 30, 2, pad)
    return losses.AutoencoderLoss()(drawn, padded(lengths, 30, 2, pad).detach(), torch.tensor(lengths)), [drawn]


def variational(lengths, pad, *_):
    parts = padded(lengths, 30, 2, pad), padded(lengths, 3, 4, pad, 10), padded(lengths, 3, 4, pad, 10)
    x = padded(lengths, 30, 2, pad).detach()
    return losses.VariationalLoss()(*parts, x, torch.tensor(lengths)), list(parts)


LOSSES = {f.__name__: f for f in (timing, heatmap, template, autoencoder, variational)}


@pytest.mark.parametrize("pad", [NAN, INF, -INF])
@pytest.mark.parametrize("lengths", [(0, 25), (0, 0), (10, 30)])
@pytest.mark.parametrize("name", LOSSES)
def test_items_without_samples_and_any_padding_leave_values_and_gradients_finite(name, lengths, pad):
    values, parts = LOSSES[name](list(lengths), pad, NONE, TIMINGS * NAN)
    values["loss"].backward()
    assert all(value.isfinite() for value in values.values())
    assert all(part.grad.isfinite().all() for part in parts)
    for part in parts:
        for row, length in zip(part.grad, lengths, strict=True):
            assert not row[length:].any()


@pytest.mark.parametrize("wrong", [TIMINGS * NAN, TIMINGS + INF, TIMINGS + 1000, TIMINGS - 500, TIMINGS + 7])
@pytest.mark.parametrize("loss", [timing, template])
def test_a_label_without_a_time_in_its_window_is_an_error(loss, wrong):
    with pytest.raises(ValueError, match="timings: expected samples inside the window where labels are 1"):
        loss([10, 45], 0.0, LABELS, wrong)
    loss([10, 45], 0.0, LABELS, TIMINGS)


@pytest.mark.parametrize("targets", [[[NAN, 1.0]], [[-1.0, 1.0]], [[2.0, 0.0]]])
def test_soft_targets_are_probabilities(targets):
    with pytest.raises(ValueError, match="targets: expected probabilities, 0 to 1"):
        focal_loss(torch.zeros(1, 2), torch.tensor(targets))


@pytest.mark.parametrize("weight", [[-1.0, 1.0], [NAN, 1.0], [1.0, INF]])
def test_weights_are_numbers_from_0_on(weight):
    with pytest.raises(ValueError, match="weight: expected numbers from 0 on"):
        FocalLoss(weight=np.array(weight))
    with pytest.raises(ValueError, match="gamma: expected at least 0"):
        FocalLoss(gamma=INF)
