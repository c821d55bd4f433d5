"""The recorded run of the audio models on made-up clips: pairs, mixing of waveforms, deep supervision."""

import numpy as np
import pytest
import torch

from course_lib.course.experiments import esc10


def logits_with(right: np.ndarray, labels: np.ndarray, strength: float = 4.0) -> list[list[float]]:
    """(N, 10): `strength` on the label where `right`, on the next class elsewhere."""
    return (strength * np.eye(10)[np.where(right, labels, (labels + 1) % 10)]).tolist()


def test_waveforms_are_mixed_about_every_other_time_and_targets_stay_shares():
    x, y = torch.randn(200, 1, 400), torch.arange(200) % 10
    mixed, targets = esc10.mix_waveforms(x, y, generator=torch.Generator().manual_seed(0))
    assert mixed.shape == x.shape
    torch.testing.assert_close(targets.sum(1), torch.ones(200))
    share = (targets.amax(1) < 1).float().mean()
    assert 0.3 < share < 0.6  # a half, less those that met their own class
    alone = targets.amax(1) == 1
    levels = mixed[alone].square().mean((1, 2)).sqrt() / x[alone].square().mean((1, 2)).sqrt()
    assert levels.max() / levels.min() > 2 and levels.max() < 2.5  # up to 6 dB either way


@pytest.mark.parametrize("make_model", [esc10.raw_model, esc10.cls_model])
def test_models_take_their_input_and_train_every_weight(make_model):
    torch.manual_seed(0)
    x = torch.randn(2, 1, 16_000) if make_model is esc10.raw_model else torch.randn(2, 64, 17)
    model, targets = make_model(), torch.tensor([3, 1])
    esc10.smoothed_loss(model(x), targets).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.eval()(x).shape == (2, 10)


def test_deep_supervision_adds_a_loss_in_training_and_leaves_the_answer_alone():
    torch.manual_seed(0)
    supervised, x, targets = esc10.cls_model(), torch.randn(4, 64, 17), torch.tensor([3, 1, 0, 2])
    torch.testing.assert_close(supervised.eval()(x), supervised.model(x))
    logits, other = supervised.train()(x)
    smoothed = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    expected = smoothed(logits, targets) + 0.3 * smoothed(other, targets)
    torch.testing.assert_close(esc10.smoothed_loss((logits, other), targets), expected)
    torch.testing.assert_close(esc10.smoothed_loss(logits, targets), smoothed(logits, targets))
    weight = supervised.model.features.project.weight
    (slope,) = torch.autograd.grad(smoothed(other, targets), weight)
    assert slope.abs().sum() > 0  # a way to the convolutions past the encoder
    right = (logits.argmax(1) == targets).float().mean()
    torch.testing.assert_close(esc10.share_correct((logits, other), targets), right)


def test_a_pair_follows_its_surer_member(clips):
    def cell(right: int, strength: float) -> dict:
        return {
            "seconds": 10.0,
            "parameters": 7,
            "training accuracy": 0.5,
            "logits": logits_with(np.arange(50) < right, clips.labels, strength),
        }

    found = {esc10.CNN: [cell(40, 4.0)] * 2, esc10.PARTNER: [cell(20, 8.0)] * 2}  # the partner is surer of itself
    rows = {row["measure"]: row for row in esc10.rows(found, clips)}
    single, pair = rows[f"{esc10.CNN}: accuracy"], rows[f"{esc10.PAIR}: accuracy"]
    assert single["value"] == pytest.approx(0.6) and single["seeds"] == 4  # two members right on 40 of 50, two on 20
    assert pair["value"] == pytest.approx(0.4) and pair["seeds"] == 2
    assert (single["seconds"], pair["seconds"]) == (10, 20)
    assert rows[f"{esc10.PAIR}: parameters"]["value"] == 14
    assert f"{esc10.PAIR}: training accuracy" not in rows
