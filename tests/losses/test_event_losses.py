"""Losses for events in time, against closed forms and PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.losses import (
    EventTimingLoss,
    HeatmapLoss,
    frame_targets,
    heatmap_loss,
    offset_loss,
    presence_loss,
    refractory_loss,
    template_loss,
    timing_loss,
)

NAN = torch.nan


def test_timing_is_the_cross_entropy_at_the_onsets_frame():
    logits = torch.randn(2, 7, 3)
    labels = torch.tensor([[1.0, 0, 1], [0, 0, 0]])
    timings = torch.tensor([[23.9, NAN, 69.99], [NAN] * 3])
    expected = (
        F.cross_entropy(logits[0, :, 0], torch.tensor(2)) + F.cross_entropy(logits[0, :, 2], torch.tensor(6))
    ) / 2
    torch.testing.assert_close(timing_loss(logits, labels, timings, 10), expected)


def test_absent_timings_reach_neither_loss_nor_gradient():
    logits = torch.randn(2, 7, 3, requires_grad=True)
    labels = torch.tensor([[1.0, 0, 0], [0, 0, 0]])
    timings = torch.tensor([[23.9, NAN, NAN], [NAN] * 3])
    timing_loss(logits, labels, timings, 10).backward()
    assert logits.grad.isfinite().all() and (logits.grad[1] == 0).all() and (logits.grad[0, :, 1:] == 0).all()


def test_no_events_at_all_cost_no_timing():
    assert timing_loss(torch.randn(2, 7, 3), torch.zeros(2, 3), torch.full((2, 3), NAN), 10) == 0


@pytest.mark.parametrize("onset", [-1.0, 70.0, NAN])
def test_an_onset_outside_the_window_is_refused(onset):
    with pytest.raises(ValueError, match="timings"):
        timing_loss(torch.randn(1, 7, 1), torch.ones(1, 1), torch.tensor([[onset]]), 10)


def test_padding_frames_are_left_out():
    logits, labels = torch.randn(1, 9, 2), torch.tensor([[1.0, 0.0]])
    valid = torch.arange(9)[None] < 5
    timings = torch.tensor([[31.0, NAN]])
    torch.testing.assert_close(
        timing_loss(logits, labels, timings, 10, valid), timing_loss(logits[:, :5], labels, timings, 10)
    )


def test_refractory_loss_by_hand():
    rates = torch.tensor([1.0, 0, 1, 0, 0, 1]).reshape(1, 6, 1)
    # windows of three frames hold 2, 1, 1, 1 events: above one by 1, 0, 0, 0
    assert refractory_loss(rates, 3).item() == 0.25
    assert refractory_loss(rates, 2).item() == 0
    assert refractory_loss(rates, 100).item() == 2  # one window, cut to the frames that there are


def test_refractory_loss_acts_and_a_softmax_would_silence_it():
    logits = torch.zeros(1, 20, 1)
    logits[0, [3, 15]] = 8.0
    logits.requires_grad_()
    refractory_loss(torch.softmax(logits, dim=1), 400).backward()
    assert (logits.grad == 0).all()
    loss = refractory_loss(torch.sigmoid(logits - 4), 400)
    loss.backward()
    assert loss > 0.5 and (logits.grad > 0).all()


def test_event_timing_loss_is_the_weighted_sum():
    torch.manual_seed(0)
    event_logits, timing_logits = torch.randn(2, 3), torch.randn(2, 7, 3)
    labels = torch.tensor([[1.0, 0, 1], [0, 0, 0]])
    timings = torch.tensor([[23.9, NAN, 65.0], [NAN] * 3])
    parts = EventTimingLoss(2.0, 3.0, 0.5)(event_logits, timing_logits, labels, timings)
    expected = 2 * parts["event"] + 3 * parts["timing"] + 0.5 * parts["refractory"]
    torch.testing.assert_close(parts["total"], expected)
    torch.testing.assert_close(parts["event"], F.binary_cross_entropy_with_logits(event_logits, labels))
    with pytest.raises(ValueError, match="labels"):
        presence_loss(event_logits, labels[:, :2])


def test_frame_targets_of_several_onsets():
    timings = torch.tensor([[[23.0, 61.0]], [[NAN, NAN]]])  # (B=2, E=1, K=2)
    heat, distance = frame_targets(timings, frames=9, sigma=1.0)
    assert heat.shape == (2, 9, 1)
    assert torch.nonzero(heat[0, :, 0] == 1)[:, 0].tolist() == [2, 6]
    assert heat[0, 3, 0].item() == pytest.approx(torch.exp(torch.tensor(-0.5)).item())
    assert (heat[1] == 0).all() and distance[1].isnan().all()
    torch.testing.assert_close(distance[0, 1:4, 0], torch.tensor([1.3, 0.3, -0.7]))
    torch.testing.assert_close(distance[0, 5:8, 0], torch.tensor([1.1, 0.1, -0.9]))


def test_heatmap_loss_is_the_papers_formula():
    torch.manual_seed(0)
    logits = torch.randn(2, 9, 3)
    targets = frame_targets(torch.tensor([[23.0, NAN, 80.0], [5.0, NAN, NAN]]), 9)[0]
    p = torch.sigmoid(logits)
    expected = (
        torch.where(targets == 1, -((1 - p) ** 2) * p.log(), -((1 - targets) ** 4) * p**2 * (1 - p).log()).sum() / 3
    )
    torch.testing.assert_close(heatmap_loss(logits, targets), expected)


def test_infinite_logits_of_padding_do_no_harm():
    logits = torch.zeros(1, 9, 2)
    logits[:, 5:] = -torch.inf
    logits.requires_grad_()
    maps = (logits, torch.zeros(1, 9, 2), torch.logsumexp(logits[:, :5], 1))
    losses = HeatmapLoss()(maps, torch.tensor([[1.0, 0]]), torch.tensor([[31.0, NAN]]), torch.tensor([45]))
    losses["loss"].backward()
    assert losses["loss"].isfinite() and logits.grad.isfinite().all()


def test_offset_loss_asks_only_near_onsets():
    _, distance = frame_targets(torch.tensor([[23.0]]), 9)
    offsets = distance.nan_to_num(1e6) + 0.25
    assert offset_loss(offsets, distance).item() == pytest.approx(0.25)
    assert offset_loss(offsets, torch.full_like(distance, NAN)).item() == 0


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_logits_of_minus_infinity(label):
    """A frame or a type that is ruled out: right or infinitely wrong, with a finite slope either way."""
    labels = torch.full((1, 2), label)
    logits = torch.tensor([[-torch.inf, 0.4]], requires_grad=True)
    loss = presence_loss(logits, labels)
    loss.backward()
    assert loss.isfinite() == (label == 0) and logits.grad.isfinite().all()
    frames = torch.zeros(1, 4, 1)
    frames[0, 2] = -torch.inf
    frames.requires_grad_()
    targets = torch.zeros(1, 4, 1)
    targets[0, 2] = label
    loss = heatmap_loss(frames, targets)
    loss.backward()
    assert loss.isfinite() == (label == 0) and frames.grad.isfinite().all()
    if label:
        assert frames.grad[0, 2, 0] == -1  # as of any logit that is far too low


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("onset", [1403.0, 3333.5, 3897.0])
def test_onsets_stand_where_they_are_whatever_the_outputs_dtype(dtype, onset):
    """What autocast hands over is rounded; where the events are is not."""
    labels, timings = torch.ones(1, 1), torch.tensor([[onset]])
    scores = torch.zeros(1, 4000, 1, dtype=dtype, requires_grad=True)
    template_loss(scores, labels, timings).backward()
    slope = -scores.grad[0, :, 0].float().clamp(max=0)  # where a higher score is asked for
    steps = torch.arange(4000.0)
    assert abs(float((slope * steps).sum() / slope.sum()) - onset) < 0.6
    for resolution in (1, 10):
        logits = torch.zeros(1, 4000 // resolution, 1, dtype=dtype, requires_grad=True)
        timing_loss(logits, labels, timings, resolution).backward()
        assert int(logits.grad[0, :, 0].argmin()) == int(onset // resolution)
    heatmap = torch.zeros(1, 400, 1, dtype=dtype, requires_grad=True)
    offsets = torch.zeros(1, 400, 1, dtype=dtype, requires_grad=True)
    values = HeatmapLoss()((heatmap, offsets, torch.zeros(1, 1, dtype=dtype)), labels, timings)
    assert all(value.dtype == torch.float32 for value in values.values())
    values["total"].backward()
    assert int(heatmap.grad[0, :, 0].argmin()) == int(onset // 10)
    assert offsets.grad[0, :, 0].nonzero().flatten().float().mean() == pytest.approx(onset // 10, abs=2)


@pytest.mark.parametrize("onset", [4000.0, -1.0, NAN])
def test_an_onset_outside_its_window_is_named(onset):
    with pytest.raises(ValueError, match="timings: expected samples inside the window"):
        timing_loss(torch.zeros(1, 400, 1), torch.ones(1, 1), torch.tensor([[onset]]), 10)
