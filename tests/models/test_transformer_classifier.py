"""The audio transformer: shapes for every number of heads, weights, invariances, what it refuses."""

import pytest
import torch
from torch import nn

from course_lib.models import LogMelFeatures, TransformerClassifier, WaveformFeatures


def small(**options):
    return TransformerClassifier(num_classes=3, embed_dim=12, num_heads=2, num_layers=2, **options)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("heads", [1, 2, 3, 4])
def test_every_number_of_heads_trains_and_shows_its_weights(heads, norm):
    model = TransformerClassifier(num_classes=5, embed_dim=24, num_heads=heads, num_layers=2, norm=norm)
    x = torch.randn(2, 1, 1300)
    model(x).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    model.eval()
    logits, weights = model(x, return_weights=True)
    torch.testing.assert_close(logits, model(x))
    assert [w.shape for w in weights] == [(2, heads, 12, 12)] * 2  # 1300 samples: 11 tokens, and the CLS token
    torch.testing.assert_close(weights[0].sum(-1), torch.ones(2, heads, 12))


def test_number_of_heads_does_not_change_the_size():
    sizes = {sum(p.numel() for p in TransformerClassifier(10, 48, heads).parameters()) for heads in (1, 2, 3, 4)}
    assert len(sizes) == 1


@pytest.mark.parametrize(("samples", "tokens"), [(1, 1), (128, 1), (129, 2), (16_000, 125)])
def test_one_token_for_128_samples(samples, tokens):
    assert WaveformFeatures(6)(torch.randn(2, 1, samples)).shape == (2, tokens, 6)


def test_level_and_offset_do_not_matter():
    model = small().double().eval()
    x = torch.randn(2, 1, 700, dtype=torch.float64)
    torch.testing.assert_close(model(100 * x + 3), model(x), atol=1e-3, rtol=1e-3)


def test_order_of_time_matters():
    model = small().eval()
    x = torch.randn(2, 1, 1024)
    assert not torch.allclose(model(x.flip(2)), model(x), atol=1e-4)


def test_silence_and_a_single_sample_train():
    model = small()
    for x in (torch.zeros(2, 1, 400), torch.full((2, 1, 400), 0.3), torch.randn(1, 1, 1)):
        model(x).sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_front_end_of_ones_own():
    class Frames(nn.Module):
        def forward(self, x):
            return x.unflatten(2, (-1, 12)).squeeze(1)

    assert small(features=Frames())(torch.randn(2, 1, 120)).shape == (2, 3)


def test_log_mel_pictures_as_tokens():
    model = small(features=LogMelFeatures(12, num_mels=40))
    x = torch.randn(2, 40, 33)
    model(x).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    logits, weights = model.eval()(x, return_weights=True)
    assert logits.shape == (2, 3) and weights[0].shape == (2, 2, 6, 6)
    for shape in ((2, 64, 33), (2, 1, 40, 33), (2, 40, 0)):
        with pytest.raises(ValueError, match=r"x: expected \(B, 40, frames\), got"):
            model(torch.zeros(shape))


def test_numbers_of_any_real_type_and_layout():
    model = small().eval()
    x = torch.randint(-100, 100, (2, 1, 300))
    for same in (x, x.short(), x.double(), x.transpose(0, 2).contiguous().transpose(0, 2)):
        torch.testing.assert_close(model(same), model(x.float()))


def test_a_bad_clip_spoils_its_own_logits_only():
    model = small().eval()
    x = torch.randn(3, 1, 300)
    for bad in (torch.nan, torch.inf):
        x[1, 0, 7] = bad
        logits = model(x)
        assert logits[1].isnan().all() and torch.isfinite(logits[[0, 2]]).all()


@pytest.mark.parametrize("shape", [(2, 100), (2, 2, 100), (2, 100, 1), (2, 1, 0), (100,)])
def test_wrong_shapes_are_named(shape):
    with pytest.raises(ValueError, match=r"x: expected \(B, 1, samples\), got"):
        small()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"num_classes": 1}, "num_classes: expected at least 2"),
        ({"embed_dim": 10, "num_heads": 4}, "num_heads: expected a divisor of embed_dim=10, got 4"),
        ({"embed_dim": 9, "num_heads": 3}, "embed_dim: expected an even number"),
        ({"norm": "none"}, 'norm: expected "pre" or "post"'),
        ({"num_layers": -1}, "count: expected at least 0"),
    ],
)
def test_arguments_that_do_not_fit_are_named(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        TransformerClassifier(**options)


def test_runs_under_bfloat16_autocast():
    model = small().eval()
    x = torch.randn(2, 1, 500)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
    torch.testing.assert_close(logits.float(), model(x), atol=0.1, rtol=0.1)


def test_complex_waveforms_are_refused():
    with pytest.raises(ValueError, match="expected real numbers"):
        small()(torch.zeros(2, 1, 100, dtype=torch.complex64))
