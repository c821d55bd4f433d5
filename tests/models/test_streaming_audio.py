"""The classifier that listens: the contract of a stream, what it attends to, what it does not hear yet."""

import librosa
import numpy as np
import pytest
import torch

import course_lib.layers as sl
from course_lib.export.runtime import split
from course_lib.models import RunningAttention, StreamingAudioCNN
from course_lib.sequence import check_contract, random_sequence


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return StreamingAudioCNN(3, 8000, window=100, hop=40, num_mels=16, widths=(4, 6), features=8).eval()


def sound(batch: int, samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, 1, generator=torch.Generator().manual_seed(seed))


def test_running_attention_is_a_layer_that_steps():
    torch.manual_seed(0)
    check_contract(RunningAttention(5, decay=0.9, hidden_size=4).eval(), random_sequence(2, 13, 5, seed=0))


def test_running_attention_is_the_weighted_mean_and_deviation_by_hand():
    torch.manual_seed(0)
    layer = RunningAttention(3, decay=0.5, hidden_size=4)
    x = torch.randn(1, 4, 3)
    with torch.no_grad():
        y = layer(x)
        weight = torch.sigmoid(layer.score(x))[0] * 0.5 ** torch.arange(3, -1, -1.0)[:, None]  # (4, 1)
    mean = (weight * x[0]).sum(0) / (weight.sum() + 1e-3)
    square = (weight * x[0].square()).sum(0) / (weight.sum() + 1e-3)
    torch.testing.assert_close(y[0, -1, :3], mean)
    torch.testing.assert_close(y[0, -1, 3:6], (square - mean.square() + 1e-5).sqrt())
    torch.testing.assert_close(y[0, -1, 6], torch.sigmoid(layer.score(x))[0, -1, 0])


def test_blocks_give_what_the_whole_sound_gives(model):
    assert (model.block_size, model.output_latency, model.input_latency) == (160, 0, 0)
    check_contract(model, sl.Sequence.of(sound(2, 160 * 6 + 30)))


def test_an_answer_has_probabilities_weights_and_the_picture_that_the_course_draws(model):
    x = sound(2, 160 * 5)
    with torch.no_grad():
        parts = split(model(x), model.parts)
    assert {name: tuple(part.shape) for name, part in parts.items()} == {
        "probabilities": (2, 5, 3),
        "attention": (2, 20, 1),
        "log_mel": (2, 20, 16),
    }
    torch.testing.assert_close(parts["probabilities"].sum(2), torch.ones(2, 5))
    assert ((0 < parts["attention"]) & (parts["attention"] < 1)).all()
    # librosa's frames are centred; ours end with the block: frame n of ours begins at sample 40 n - 60
    shifted = np.pad(x[..., 0].numpy(), ((0, 0), (60, 0)))
    framed = np.stack([shifted[:, 40 * n : 40 * n + 100] for n in range(20)], axis=1)  # (2, 20, 100)
    power = np.abs(np.fft.rfft(framed * np.hanning(101)[:-1], 128)) ** 2
    bands = power @ librosa.filters.mel(sr=8000, n_fft=128, n_mels=16).T
    np.testing.assert_allclose(parts["log_mel"].numpy(), np.log10(bands + 1e-7), atol=1e-3)


def test_what_is_heard_later_changes_no_answer_before(model):
    x, y = sound(1, 160 * 6), sound(1, 160 * 6, seed=1)
    y[:, : 160 * 4] = x[:, : 160 * 4]
    with torch.no_grad():
        torch.testing.assert_close(model(x)[:, :4], model(y)[:, :4])
        assert not torch.allclose(model(x)[:, 4:], model(y)[:, 4:])


def test_training_sees_the_logits_of_the_same_answers(model):
    x = sound(2, 160 * 5)
    with torch.no_grad():
        logits = model.logits(model.pictures(x))
        torch.testing.assert_close(logits.softmax(2), split(model(x), model.parts)["probabilities"])


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="num_classes: expected at least 2, got 1"):
        StreamingAudioCNN(1)
    with pytest.raises(ValueError, match="expected at least 1, got"):
        StreamingAudioCNN(hop=0)
