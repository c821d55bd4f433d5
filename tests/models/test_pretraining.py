"""Autoencoders and the contrastive encoder: padding, transfer, and latents that are used."""

import math

import pytest
import torch

from course_lib.losses import VariationalLoss
from course_lib.models import ContrastiveLSTM, LSTMAutoencoder, LSTMEventClassifier, LSTMVariationalAutoencoder
from course_lib.training import UnsupervisedTrainer

MODELS = [LSTMAutoencoder, LSTMVariationalAutoencoder, ContrastiveLSTM]


def first(outputs):
    return outputs[0] if isinstance(outputs, tuple) else outputs


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("length", [1, 9, 10, 23])
def test_no_item_depends_on_its_batch_mates(make, length):
    model = make(3, 5, 4, 2).eval()
    x = torch.randn(2, 30, 3)
    padded = x.clone()
    padded[0, length:] = torch.nan
    together = first(model(padded, torch.tensor([length, 30])))
    alone = first(model(x[:1, :length]))
    torch.testing.assert_close(together[:1, :length] if together.dim() == 3 else together[:1], alone)
    assert together.isfinite().all()


@pytest.mark.parametrize("make", MODELS)
def test_transfer_copies_the_lstm_and_says_so(make):
    model, classifier = make(6, 8, num_layers=2), LSTMEventClassifier(6, 8, 2)
    heads = {name: p.clone() for name, p in classifier.named_parameters() if not name.startswith("lstm.")}
    report = model.transfer_encoder_to_classifier(classifier)
    for name, weight in model.lstm.named_parameters():
        torch.testing.assert_close(classifier.get_parameter(f"lstm.{name}"), weight, rtol=0, atol=0)
        assert f"lstm.{name}" in report.copied
    assert set(report.left) == set(heads)
    for name, before in heads.items():
        assert torch.equal(classifier.get_parameter(name), before)
    assert report.copied_numbers == sum(p.numel() for p in model.lstm.parameters())
    assert "copied 16 tensors" in str(report) and "timing_head" in str(report)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"input_size": 5}, "input_size 6 and 5"),
        ({"hidden_size": 12}, "hidden_size 8 and 12"),
        ({"num_layers": 3}, "num_layers 2 and 3"),
        ({"bidirectional": False}, "bidirectional True and False"),
        ({"front_end": True}, "input_size 6 and 64"),
    ],
)
def test_transfer_between_mismatched_sizes_is_refused_whole(options, told):
    classifier = LSTMEventClassifier(**({"input_size": 6, "hidden_size": 8, "num_layers": 2} | options))
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    with pytest.raises(ValueError, match=told):
        ContrastiveLSTM(6, 8, 4).transfer_encoder_to_classifier(classifier)
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())


def test_transfer_needs_an_lstm():
    with pytest.raises(TypeError, match="an nn.LSTM called lstm, got Linear"):
        ContrastiveLSTM(6, 8, 4).transfer_encoder_to_classifier(torch.nn.Linear(2, 2))


def test_the_bottleneck_has_its_size():
    x = torch.randn(2, 23, 3)
    assert LSTMAutoencoder(3, 5, 1, 4).encode(x).shape == (2, 3, 4)
    assert LSTMAutoencoder(3, 5, 1, 4, latent_samples=23).encode(x).shape == (2, 1, 4)
    mean, log_variance = LSTMVariationalAutoencoder(3, 5, 1, 4).encode(x)
    assert mean.shape == log_variance.shape == (2, 3, 4)


def test_projections_have_norm_one():
    norms = ContrastiveLSTM(3, 5, 4)(torch.randn(2, 23, 3)).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(2))


def test_a_variational_autoencoder_draws_in_training_only():
    model = LSTMVariationalAutoencoder(3, 5, 1, 4)
    x = torch.randn(2, 23, 3)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: LSTMAutoencoder(hidden_size=0), "hidden_size"),
        (lambda: LSTMAutoencoder(latent_size=0), "latent_size"),
        (lambda: LSTMVariationalAutoencoder(latent_samples=0), "latent_samples"),
        (lambda: ContrastiveLSTM(projection_size=0), "projection_size"),
        (lambda: ContrastiveLSTM(3, 5, 4)(torch.randn(2, 3, 23)), "is the time axis last"),
        (lambda: LSTMAutoencoder(3, 5)(torch.randn(2, 9, 3), torch.tensor([0, 9])), "lengths"),
    ],
)
def test_errors_name_the_argument(make, name):
    with pytest.raises(ValueError, match=name):
        make()


def waves(count: int) -> torch.Tensor:
    """Two channels of a slow wave of random phase and size, (count, 40, 2), with a little noise."""
    generator = torch.Generator().manual_seed(0)
    phase, size = 6.28 * torch.rand(count, 1, 1, generator=generator), torch.rand(count, 1, 1, generator=generator) + 1
    time = torch.arange(40)[:, None] / 20 * math.pi + torch.tensor([0.0, 1.0])
    return size * torch.sin(time + phase) + 0.1 * torch.randn(count, 40, 2, generator=generator)


def test_the_latents_do_not_collapse():
    """Floors: 1 nat a latent vector, and R² of 0.8, both after the annealing is over."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LSTMVariationalAutoencoder(2, 16, 1, 3)
        loss = VariationalLoss(noise_std=0.3, warmup_steps=40)
        loader = waves(128).split(32)
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
        history = UnsupervisedTrainer(model, loss, optimizer).fit(loader, num_epochs=25, progress=False, device="cpu")
    last = history.table.iloc[-1]
    assert last["train_beta"] == 1
    assert last["train_kl"] > 1 and last["train_r2"] > 0.8, (last["train_kl"], last["train_r2"])
