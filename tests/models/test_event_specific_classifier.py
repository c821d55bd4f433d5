"""The event-specific classifier and its parts: types kept apart, padding not seen, learning possible."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_lib.data import event_templates, make_events
from course_lib.events import decode_peaks
from course_lib.losses import EventSpecificLoss, template_loss
from course_lib.models import EventSpecificClassifier, EventSpecificCNN, EventSpecificTimingHeads, EventTemplateBank


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("shared", [True, False])
def test_cnn_returns_features_by_type_and_joint_ones(shared):
    by_type, joint = EventSpecificCNN(5, 6, use_shared=shared)(torch.randn(2, 70, 6))
    assert by_type.shape == (2, 70, 5, 32) and joint.shape == (2, 70, 32)


def test_cnn_keeps_types_apart():
    cnn, x = EventSpecificCNN(4, 6, 8), torch.randn(1, 60, 6)
    before = cnn(x)[0]
    with torch.no_grad():
        for scale in cnn.scales:
            scale.weight[8:16] += 1
        cnn.mix.weight[8:16] *= 2
    moved = (cnn(x)[0] - before).abs().amax(dim=(0, 1, 3))
    assert moved[1] > 0 and moved[[0, 2, 3]].max() == 0


def test_heads_agree_with_one_attention_module_a_type():
    heads, x = EventSpecificTimingHeads(3, 8), torch.randn(2, 11, 8)
    logits = heads(x)
    for e in range(3):
        attention = torch.nn.MultiheadAttention(8, 4, bias=False, batch_first=True)
        attention.in_proj_weight.data = heads.in_projection[e].T
        attention.out_proj.weight.data = heads.out_projection[e].T
        y = heads.norm(x + attention(x, x, x)[0])
        y = F.gelu(y @ heads.hidden_weight[e] + heads.hidden_bias[e])
        torch.testing.assert_close(logits[..., e], (y @ heads.weight[e])[..., 0] + heads.bias[e])


def test_heads_leave_out_types_that_nobody_asks_about_and_padding():
    heads, x = EventSpecificTimingHeads(3, 8), torch.randn(2, 11, 8)
    mask = torch.tensor([[True, False, True], [True, True, False]])
    asked = heads(x, mask)
    assert (asked[0, :, 1] == 0).all() and (asked[1, :, 2] == 0).all()
    torch.testing.assert_close(asked[0, :, 0], heads(x)[0, :, 0])
    valid = torch.arange(11) < torch.tensor([[11], [6]])
    padded = heads(x, None, valid)
    torch.testing.assert_close(padded[1, :6], heads(x[1:, :6])[0])
    assert (padded[1, 6:] == -torch.inf).all()


def classifier(**options):
    return EventSpecificClassifier(hidden_size=4, num_layers=1, num_events=3, cnn_channels=3, **options)


PARTS = EventSpecificClassifier.PARTS
SUBSETS = [subset for count in range(4) for subset in combinations(PARTS, count)]


@pytest.mark.parametrize("parts", SUBSETS, ids=" ".join)
def test_no_item_depends_on_its_batch_mates_or_on_padding(parts):
    model, lengths = classifier(parts=parts).eval(), torch.tensor([95, 203, 7])
    x = torch.randn(3, 203, 6)
    x[0, 95:], x[2, 7:] = torch.nan, 1e6
    event_logits, timing_logits, scores = model(x, lengths)
    assert timing_logits.shape == (3, 21, 3) and scores.shape == (3, 203, 3)
    for item, length in enumerate(lengths.tolist()):
        alone = model(x[item : item + 1, :length])
        torch.testing.assert_close(event_logits[item : item + 1], alone[0])
        torch.testing.assert_close(timing_logits[item, : alone[1].shape[1]], alone[1][0])
        torch.testing.assert_close(scores[item, :length], alone[2][0])
        assert (scores[item, length:] == 0).all()


@pytest.mark.parametrize("parts", SUBSETS, ids=" ".join)
def test_each_subset_of_the_parts_trains_and_its_lstm_begins_alike(parts):
    data, labels, timings = (torch.tensor(a) for a in make_events(4, 300, 3, seed=3, snr_db=6, event_rate=8))
    model = classifier(parts=parts)
    torch.manual_seed(0)
    whole = classifier()
    assert all(map(torch.equal, model.lstm.parameters(), whole.lstm.parameters()))
    left_out = sum(p.numel() for p in whole.parameters()) - sum(p.numel() for p in model.parameters())
    assert (left_out == 0) == (len(parts) == 3)
    outputs = model(data)
    EventSpecificLoss()(*outputs, labels, timings)["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert bool(outputs[2].any()) == ("templates" in parts)


def test_without_templates_the_timing_is_all_that_the_heads_say():
    model = classifier(parts=("cnn",)).eval()
    x = torch.randn(2, 100, 6)
    timing = model(x)[1]
    model.score_gain.data += 100
    torch.testing.assert_close(model(x)[1], timing)
    model.timing_heads.bias.data += torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(model(x)[1], timing + torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("wrong", ["cnn", ("cnn", "lstm")])
def test_parts_that_it_does_not_have_are_named(wrong):
    with pytest.raises(ValueError, match="parts: expected some of"):
        classifier(parts=wrong)


@pytest.mark.parametrize("parts", [PARTS, ()], ids=" ".join)
def test_frame_scores_can_be_decoded(parts):
    model = classifier(parts=parts).eval()
    scores, offsets = model.frame_scores(torch.randn(2, 203, 6))
    assert scores.shape == offsets.shape == (2, 21, 3)
    assert scores.min() >= 0 and scores.max() <= 1 and offsets.min() >= 0 and offsets.max() <= 9
    decode_peaks(scores[0].numpy(), offsets[0].numpy(), threshold=0.0, length=203)


def test_learns_which_and_when_on_a_handful_of_windows():
    data, labels, timings = (torch.tensor(a) for a in make_events(8, 300, 3, seed=3, snr_db=6, event_rate=8))
    model = classifier(dropout=0.0)
    criterion, optimizer = EventSpecificLoss(), torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for _ in range(25):
        parts = criterion(*model(data), labels, timings)
        optimizer.zero_grad()
        parts["total"].backward()
        optimizer.step()
        losses.append({name: value.item() for name, value in parts.items()})
    assert losses[-1]["event"] < 0.5 * losses[0]["event"] and losses[-1]["timing"] < 0.5 * losses[0]["timing"]


def test_template_loss_is_a_cross_entropy_over_samples_of_present_types():
    scores, labels = torch.rand(2, 60, 3) * 2 - 1, torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    timings = torch.tensor([[20.0, torch.nan, 30.5], [torch.nan, 7.0, torch.nan]])
    on_samples = F.cross_entropy(10 * torch.stack([scores[0, :, 0], scores[1, :, 1]]), torch.tensor([20, 7]))
    between = F.log_softmax(10 * scores[0, :, 2], 0)[30:32].mean()
    expected = (2 * on_samples - between) / 3
    assert template_loss(scores, labels, timings, sigma=0.1) == pytest.approx(expected.item(), rel=1e-5)
    assert template_loss(scores, torch.zeros(2, 3), timings) == 0
    assert template_loss(torch.zeros(2, 60, 3), labels, timings) == pytest.approx(math.log(60))


def test_template_loss_leaves_out_padding():
    scores, labels = torch.rand(1, 60, 2, requires_grad=True), torch.tensor([[1.0, 0.0]])
    timings = torch.tensor([[20.5, torch.nan]])
    cut = template_loss(scores[:, :40], labels, timings)
    padded = template_loss(torch.cat([scores[:, :40], 99 + scores[:, 40:]], 1), labels, timings, torch.tensor([40]))
    torch.testing.assert_close(padded, cut)
    (gradient,) = torch.autograd.grad(padded, scores)
    assert gradient.isfinite().all() and not gradient[:, 40:].any()


def test_template_loss_prefers_the_right_templates_to_silence():
    data, labels, timings = make_events(12, 500, 4, seed=3, snr_db=6, event_rate=8)
    bank = EventTemplateBank(4)
    times = np.broadcast_to(np.arange(-12, 92.0), (4, 104))
    bank.load_kernels(torch.tensor(event_templates(4).render(np.arange(4), times)))
    labels, timings = torch.tensor(labels), torch.tensor(timings)
    right = template_loss(bank(torch.tensor(data)), labels, timings)
    assert right < 0.5 * template_loss(torch.zeros(12, 500, 4), labels, timings)


def test_the_loss_has_four_parts_and_no_nan_from_absent_types():
    model = classifier()
    for present in (torch.zeros(2, 3), torch.tensor([[1.0, 0, 0], [0, 1, 1]])):
        timings = torch.where(present > 0, 50.0, torch.nan)
        parts = EventSpecificLoss(1.0, 2.0, 0.5, 0.1)(*model(torch.randn(2, 120, 6)), present, timings)
        total = parts["event"] + 2 * parts["timing"] + 0.5 * parts["template"] + 0.1 * parts["refractory"]
        torch.testing.assert_close(parts["total"], total)
        parts["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_refuses_what_does_not_fit():
    model = classifier()
    for shape in [(1, 50, 5), (1, 50, 7), (1, 6, 50), (1, 0, 6)]:
        with pytest.raises(ValueError, match="x: expected"):
            model(torch.zeros(shape))
    with pytest.raises(ValueError, match="lengths"):
        model(torch.zeros(2, 50, 6), torch.tensor([50, 51]))
    with pytest.raises(ValueError, match="multiple of 4"):
        EventSpecificTimingHeads(3, 10)
    with pytest.raises(ValueError, match="event_mask: expected \\(2, 3\\)"):
        EventSpecificTimingHeads(3, 8)(torch.zeros(2, 5, 8), torch.ones(2, 4))
    with pytest.raises(ValueError, match="hidden_size"):
        EventSpecificClassifier(hidden_size=0)
