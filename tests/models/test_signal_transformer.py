"""The signal transformer: size, padding, weights, checkpointing, every option, what it refuses."""

from dataclasses import replace

import pytest
import torch

from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.sequence import Sequence

SMALL = SignalTransformerConfig(
    num_classes=3, max_signal_length=64, model_dim=8, num_layers=2, num_heads=2, channels=(4, 6), strides=(2, 2),
    pooling_heads=2, dropout=0.0,
)  # fmt: skip


def model_of(**options):
    torch.manual_seed(0)
    return SignalSequenceTransformer(replace(SMALL, **options))


@pytest.fixture(autouse=True)
def _own_random_state():
    with torch.random.fork_rng():
        yield


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_size_of_every_part():
    model = SignalSequenceTransformer(SignalTransformerConfig(num_classes=10))
    assert count(model) == 2_298_758
    parts = {name: count(part) for name, part in model.named_children()}
    assert sum(parts.values()) == count(model)
    assert parts["features"] == 745_528
    d, hidden = 144, 384
    block = 4 * d * d + 4 * d + 3 * d * hidden + 2 * hidden + d + 2 * d  # attention, SwiGLU, two norms
    assert parts["encoder"] == 6 * block


OPTIONS = [
    {},
    {"norm": "post", "norm_kind": "layer", "feed_forward": "gelu"},
    {"positions": "sinusoidal", "pooling": "cls"},
    {"positions": "learned", "pooling": "attention"},
    {"positions": "none", "pooling": "mean", "squeeze": False},
    {"pooling": "max", "cnn_norm": "group", "separable": True},
    {"dilations": (1,), "squeeze": False, "residual": False, "num_layers": 0},
    {"gradient_checkpointing": True, "hidden_size": 5, "dropout": 0.3},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_trains_and_shows_its_weights(options):
    model = model_of(**options)
    x = torch.randn(4, 50)
    model(x).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    model.eval()
    logits, weights = model(x, return_weights=True)
    torch.testing.assert_close(logits, model(x))
    tokens = 13 + (model.config.pooling == "cls")
    assert [tuple(w.shape) for w in weights.attention] == [(4, 2, tokens, tokens)] * model.config.num_layers
    if model.config.pooling in ("statistics", "attention"):
        torch.testing.assert_close(weights.pooling.sum(-1), torch.ones(4, 2))
    else:
        assert weights.pooling is None
    assert len(weights.channels) == (2 if model.config.squeeze else 0)


@pytest.mark.parametrize("options", OPTIONS[:6], ids=str)
def test_invalid_steps_change_nothing(options):
    model = model_of(**options).eval()
    x = torch.randn(2, 60)
    x[1, 40:] = torch.nan
    mask = torch.arange(60) < torch.tensor([[60], [40]])
    together = model(Sequence(x, mask))
    torch.testing.assert_close(together[0], model(x[:1])[0])
    torch.testing.assert_close(together[1], model(x[1:, :40])[0])


def test_gradient_checkpointing_computes_the_same():
    gradients = []
    for option in (False, True):
        model = model_of(gradient_checkpointing=option, dropout=0.2)
        torch.manual_seed(1)
        model(torch.ones(3, 40) * torch.arange(40)).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain)


def test_gradient_checkpointing_keeps_less():
    def kept(option):
        sizes = []
        model = model_of(gradient_checkpointing=option, num_layers=4, model_dim=32)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            model(torch.randn(8, 64))
        return sum(sizes)

    assert kept(True) < 0.5 * kept(False)


def test_one_channel_may_be_left_out_and_several_may_not():
    model = model_of().eval()
    x = torch.randn(2, 30)
    torch.testing.assert_close(model(x), model(x[..., None]))
    several = model_of(in_channels=3).eval()
    assert several(torch.randn(2, 30, 3)).shape == (2, 3)
    with pytest.raises(ValueError, match=r"expected \(B, L, 3\), got \(2, 3, 30\): is the time axis second"):
        several(torch.randn(2, 3, 30))
    with pytest.raises(ValueError, match=r"expected \(B, L, 3\), got \(2, 30\)"):
        several(x)


def test_numbers_of_any_real_type_and_layout():
    model = model_of().eval()
    x = torch.randint(-5, 5, (3, 20))
    expected = model(x.float())
    for same in (x, x.double(), x.short(), x.t().contiguous().t(), x.repeat(1, 2)[:, :20]):
        torch.testing.assert_close(model(same), expected)
    torch.testing.assert_close(model.double()(x), expected.double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 3, 64])
def test_shortest_and_longest_signals_train(length):
    model = model_of()
    for x in (torch.randn(1, length), torch.full((3, length), 2.0), torch.zeros(3, length)):
        model(x).sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_bad_signal_spoils_its_own_logits_only(bad):
    model = model_of().eval()
    x = torch.randn(3, 30)
    x[1, 4] = bad
    logits = model(x)
    assert logits[1].isnan().all()
    torch.testing.assert_close(logits[[0, 2]], model(x[[0, 2]]))


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((2, 65), "expected 1 to max_signal_length=64 time steps, got 65"),
        ((2, 0), "expected 1 to max_signal_length=64 time steps, got 0"),
        ((30,), r"expected \(B, L\) or \(B, L, 1\), got \(30,\)"),
        ((2, 1, 30), r"got \(2, 1, 30\): is the time axis second"),
        ((2, 30, 1, 1), r"got \(2, 30, 1, 1\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shape, complaint):
    with pytest.raises(ValueError, match=complaint):
        model_of()(torch.zeros(shape))


def test_no_signals_give_no_logits():
    assert model_of().eval()(torch.zeros(0, 30)).shape == (0, 3)


def test_complex_signals_are_refused():
    with pytest.raises(ValueError, match="expected real numbers, got torch.complex64"):
        model_of()(torch.zeros(2, 30, dtype=torch.complex64))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"num_classes": 1}, "num_classes: expected at least 2"),
        ({"max_signal_length": 0}, "max_signal_length: expected at least 1"),
        ({"in_channels": 0}, "in_channels: expected at least 1"),
        ({"num_layers": -1}, "num_layers: expected at least 0"),
        ({"positions": "absolute"}, "positions: expected one of rotary"),
        ({"pooling": "median"}, "pooling: expected one of statistics"),
        ({"num_heads": 3}, "num_heads: expected a divisor of embed_dim=8, got 3"),
        ({"pooling_heads": 3}, "num_heads: expected a divisor of embed_dim=8, got 3"),
        ({"strides": (2,)}, "channels, strides: expected one of each"),
        ({"model_dim": 7, "num_heads": 1}, "expected an even number with rotary, got 7"),
    ],
)
def test_options_that_do_not_fit_are_named(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        model_of(**options)


def test_runs_under_bfloat16_autocast():
    model = model_of().eval()
    x = torch.randn(4, 50)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
    torch.testing.assert_close(logits.float(), model(x), atol=0.1, rtol=0.1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("squeeze", [True, False])
def test_linear_layers_may_be_quantised(squeeze):
    """A quantised `nn.Linear` has a method for its weight and no parameters: nothing asks them for their dtype."""
    model = model_of(squeeze=squeeze).eval()
    x = torch.randn(2, 64, 1)
    with torch.no_grad():
        quantised = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
        torch.testing.assert_close(quantised(x), model(x), atol=0.05, rtol=0.05)
