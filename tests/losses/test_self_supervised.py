"""Losses without labels, against a hand computation and PyTorch's own distributions."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from course_lib.losses import AutoencoderLoss, NTXentLoss, VariationalLoss, explained_variance, kl_to_standard_normal


def test_nt_xent_by_hand():
    """Two windows, views at right angles, temperature 1: each view's cosines are 1 with its partner, twice 0."""
    views = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    values = NTXentLoss(1.0)(views, views)
    assert values["loss"].item() == pytest.approx(math.log(math.e + 2) - 1)
    assert values["accuracy"] == 1


def test_nt_xent_against_a_loop():
    first, second = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).unbind()
    views = torch.cat([first, second])
    terms = []
    for i in range(10):
        cosine = torch.cosine_similarity(views[i][None], views, dim=1) / 0.2
        others = [j for j in range(10) if j != i]
        terms.append(torch.logsumexp(cosine[others], 0) - cosine[(i + 5) % 10])
    torch.testing.assert_close(NTXentLoss(0.2)(first, second)["loss"], torch.stack(terms).mean())


def test_nt_xent_with_equal_projections_is_guessing():
    same = torch.ones(4, 3)
    assert NTXentLoss()(same, same)["loss"].item() == pytest.approx(math.log(7))


def test_one_window_has_nothing_to_be_told_from():
    with pytest.raises(ValueError, match="at least 2 windows"):
        NTXentLoss()(torch.ones(1, 3), torch.ones(1, 3))
    with pytest.raises(ValueError, match="temperature"):
        NTXentLoss(0.0)


def test_kl_is_that_of_torch():
    mean, log_variance = torch.randn(2, 7, dtype=torch.float64).unbind()
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(7), torch.ones(7)))
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)


def test_padding_reaches_neither_error_nor_gradient():
    x = torch.randn(2, 12, 3)
    lengths = torch.tensor([12, 5])
    drawn = torch.randn(2, 12, 3)
    drawn[1, 5:] = torch.nan
    drawn.requires_grad_()
    values = AutoencoderLoss()(drawn, x, lengths)
    expected = torch.cat([(drawn - x)[0], (drawn - x)[1, :5]]).square().mean()
    torch.testing.assert_close(values["loss"], expected)
    values["loss"].backward()
    assert drawn.grad.isfinite().all() and (drawn.grad[1, 5:] == 0).all()


def test_r2_is_one_for_a_copy_and_zero_for_each_channels_mean():
    x = torch.randn(2, 12, 3) + torch.tensor([1.0, 5.0, -3.0])
    assert explained_variance(x, x) == 1
    assert explained_variance(x.mean((0, 1)).expand_as(x), x).item() == pytest.approx(0, abs=1e-5)


def test_the_bound_by_hand():
    """One latent of mean 1 and variance 1 for each of two stretches costs half a nat each."""
    x, drawn = torch.zeros(1, 4, 1), torch.full((1, 4, 1), 0.5)
    loss = VariationalLoss(noise_std=0.5, warmup_steps=0, free_bits=0.0, latent_samples=2)
    values = loss(drawn, torch.ones(1, 2, 1), torch.zeros(1, 2, 1), x)
    assert values["kl"].item() == pytest.approx(0.5)
    assert values["loss"].item() == pytest.approx(0.25 / (2 * 0.25) + 0.5 / 2)


def test_the_weight_of_the_kl_rises_in_training_only():
    loss = VariationalLoss(beta=2.0, warmup_steps=4, latent_samples=2)
    arguments = torch.zeros(1, 4, 1), torch.ones(1, 2, 1), torch.zeros(1, 2, 1), torch.zeros(1, 4, 1)
    with torch.no_grad():
        for _ in range(3):
            assert loss(*arguments)["beta"] == 0.5
    assert [loss(*arguments)["beta"].item() for _ in range(6)] == [0.5, 1, 1.5, 2, 2, 2]


def test_free_bits_leave_small_latents_alone():
    mean = torch.full((1, 2, 1), 0.1, requires_grad=True)
    loss = VariationalLoss(warmup_steps=0, free_bits=0.1, latent_samples=2)
    loss(torch.zeros(1, 4, 1), mean, torch.zeros(1, 2, 1), torch.zeros(1, 4, 1))["loss"].backward()
    assert (mean.grad == 0).all()


def test_the_latents_must_be_as_many_as_the_loss_believes():
    with pytest.raises(ValueError, match="expected \\(1, 2\\) latent vectors of 2 samples, got \\(1, 4, 1\\)"):
        VariationalLoss(latent_samples=2)(*[torch.zeros(1, 4, 1)] * 4)
    with pytest.raises(ValueError, match="noise_std"):
        VariationalLoss(noise_std=0.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_losses_of_rounded_outputs_are_in_float32_and_near(dtype):
    x, drawn = torch.randn(2, 2, 40, 3, generator=torch.Generator().manual_seed(0))
    mean, log_variance = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([40, 17])
    for loss, inputs in (
        (AutoencoderLoss(), (drawn, x, lengths)),
        (VariationalLoss(), (drawn, mean, log_variance, x, lengths)),
        (NTXentLoss(), (mean[:, 0], mean[:, 1])),
    ):
        rounded = [part.to(dtype) if part.is_floating_point() else part for part in inputs]
        for name, value in loss(*rounded).items():
            assert value.dtype == torch.float32, name
            torch.testing.assert_close(value, loss(*inputs)[name], rtol=0.05, atol=0.05) if name != "beta" else None


def test_padding_reaches_neither_losses_nor_gradients():
    x = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(0))
    drawn, mean, log_variance = torch.randn(2, 40, 3), torch.randn(2, 4, 5), torch.randn(2, 4, 5)
    lengths = torch.tensor([40, 17])
    clean = VariationalLoss()(drawn, mean, log_variance, x, lengths)
    for part in (x, drawn):
        part[1, 17:] = torch.nan
    mean[1, 2:] = log_variance[1, 2:] = torch.nan
    parts = [part.requires_grad_() for part in (drawn, mean, log_variance)]
    values = VariationalLoss()(*parts, x, lengths)
    for name, value in values.items():
        torch.testing.assert_close(value, clean[name])
    values["total"].backward()
    assert all(part.grad.isfinite().all() for part in parts)
