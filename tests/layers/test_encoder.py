"""Multi-head attention and the encoder block: PyTorch's own as oracle, what order and time do to them, refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import jacobian

import course_lib.layers as sl

float64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=float64)


def gradients(y, *inputs):
    return torch.autograd.grad((y * normal(*y.shape, seed=9)).sum(), inputs)


def shaken(module):
    """`module` in float64, its parameters moved at random so that zeros hide nothing."""
    module = module.double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=float64))
    return module


def assert_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


LENGTHS = torch.tensor([7, 4])
MASK = torch.arange(7) < LENGTHS[:, None]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_multihead_attention_in_values_weights_and_gradients(causal, bias):
    theirs = shaken(nn.MultiheadAttention(6, 3, bias=bias, batch_first=True))
    ours = sl.MultiHeadSelfAttention(6, 3, max_future_horizon=0 if causal else -1, bias=bias).double()
    ours.load_state_dict(theirs.state_dict())
    x = normal(2, 7, 6).requires_grad_()
    hidden = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
    expected, expected_weights = theirs(
        x, x, x, key_padding_mask=~MASK, attn_mask=hidden, average_attn_weights=False, is_causal=False
    )
    y, weights = ours(sl.Sequence(x, MASK), return_weights=True)
    torch.testing.assert_close(y.values[MASK], expected[MASK])
    torch.testing.assert_close(weights, expected_weights * MASK[:, None, :, None])
    got = gradients(y.masked().values, x, *ours.parameters())
    assert_same(got, gradients(expected * MASK[..., None], x, *theirs.parameters()))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_encoder_block_equals_transformer_encoder_layer(norm):
    theirs = shaken(
        nn.TransformerEncoderLayer(6, 2, 10, 0.0, F.gelu, batch_first=True, norm_first=norm == "pre")
    ).train()
    ours = sl.EncoderBlock(6, 2, norm=norm, hidden_size=10).double()
    named = dict(theirs.named_modules())
    parts = ["norm1", "self_attn", "linear1", "linear2", "norm2"]
    order = [0, 1, 4, 2, 3] if norm == "pre" else [1, 0, 2, 3, 4]
    # Both give a module's own parameters in one order: in_proj, out_proj; weight, bias.
    matching = [p for i in order for p in named[parts[i]].parameters()]
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), matching, strict=True):
            mine.copy_(other)
    x = normal(2, 7, 6).requires_grad_()
    expected = theirs(x, src_key_padding_mask=~MASK) * MASK[..., None]
    y = ours(sl.Sequence(x, MASK)).masked().values
    torch.testing.assert_close(y, expected)
    assert_same(gradients(y, x, *ours.parameters()), gradients(expected, x, *matching))


def test_swiglu_feed_forward_is_the_formula_and_as_large_as_gelu():
    layer = sl.FeedForward(6, 5, "swiglu").double()
    x = normal(2, 3, 6).requires_grad_()
    first, last = layer[0], layer[-1]
    w, v = first.weight.chunk(2)
    b, c = first.bias.chunk(2)
    expected = F.linear(F.silu(F.linear(x, w, b)) * F.linear(x, v, c), last.weight, last.bias)
    torch.testing.assert_close(layer(x), expected)
    assert_same(gradients(layer(x), x, *layer.parameters()), gradients(expected, x, *layer.parameters()))
    sizes = [sum(p.numel() for p in sl.FeedForward(96, kind=kind).parameters()) for kind in ("gelu", "swiglu")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


def test_rms_block_equals_the_same_built_of_torch_parts():
    block = sl.EncoderBlock(6, 2, norm_kind="rms", hidden_size=5).double()
    attention = nn.MultiheadAttention(6, 2, batch_first=True).double()
    attention.load_state_dict(block.attention.state_dict())
    norms = [nn.RMSNorm(6, eps=1e-6).double() for _ in range(2)]
    for norm, part in zip(norms, block, strict=True):
        norm.load_state_dict(part.body[0].state_dict())
    feed_forward = block[1].body[1]
    x = normal(2, 4, 6).requires_grad_()
    h = norms[0](x)
    h = x + attention(h, h, h)[0]
    expected = h + feed_forward(norms[1](h))
    torch.testing.assert_close(block(x), expected)
    parts = (norms[0], attention, norms[1], feed_forward)
    theirs = gradients(expected, x, *[p for part in parts for p in part.parameters()])
    assert_same(gradients(block(x), x, *block.parameters()), theirs)


def test_weights_are_those_that_make_the_output():
    layer = sl.MultiHeadSelfAttention(8, 2, 2, 1, rotary=100.0).double()
    x = normal(2, 9, 8)
    y, weights = layer(x, return_weights=True)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 9, dtype=float64))
    distance = torch.arange(9) - torch.arange(9)[:, None]
    assert (weights[:, :, (distance < -2) | (distance > 1)] == 0).all()
    values = F.linear(x, layer.in_proj_weight, layer.in_proj_bias)[..., 16:].view(2, 9, 2, 4).transpose(1, 2)
    torch.testing.assert_close(layer.out_proj((weights @ values).transpose(1, 2).flatten(2)), y)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_weights_of_a_block_are_its_attentions(norm):
    block = sl.EncoderBlock(6, 2, norm=norm).double()
    x = normal(2, 5, 6)
    y, weights = block(x, return_weights=True)
    torch.testing.assert_close(y, block(x))
    seen = F.layer_norm(x, (6,)) if norm == "pre" else x
    torch.testing.assert_close(weights, block.attention(seen, return_weights=True)[1])


def test_without_positions_order_is_invisible():
    block = sl.EncoderBlock(6, 3).double()
    x, order = normal(2, 8, 6), torch.randperm(8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order])
    rotated = sl.EncoderBlock(6, 3, rotary=10_000.0).double()
    assert not torch.allclose(rotated(x[:, order]), rotated(x)[:, order])


def test_rotary_attention_depends_on_distance_only():
    layer = sl.MultiHeadSelfAttention(8, 2, rotary=100.0).double()
    x = normal(1, 6, 8)
    later = sl.Sequence(F.pad(x, (0, 0, 3, 0)), torch.arange(9)[None] >= 3)
    torch.testing.assert_close(layer(later).values[:, 3:], layer(x))


@pytest.mark.parametrize(("past", "future"), [(-1, 0), (2, 1), (0, 0), (-1, 2)])
def test_horizons_are_where_the_jacobian_is_zero(past, future):
    block = sl.EncoderBlock(4, 2, max_past_horizon=past, max_future_horizon=future).double()
    slopes = jacobian(block, normal(1, 6, 4))[0, :, :, 0].abs().sum(dim=(1, 3))  # (out, in)
    distance = torch.arange(6) - torch.arange(6)[:, None]
    seen = (distance <= future) & (distance >= (-6 if past < 0 else -past))
    assert torch.equal(slopes > 0, seen)


def test_dropout_acts_in_training_only():
    block = sl.EncoderBlock(6, 2, dropout=0.5)
    x = torch.randn(2, 5, 6)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


def test_runs_under_autocast():
    block = sl.EncoderBlock(8, 2, norm_kind="rms", feed_forward="swiglu", rotary=100.0)
    x = torch.randn(2, 5, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y, weights = block(x, return_weights=True)
    y.float().sum().backward()
    assert torch.isfinite(x.grad).all()
    torch.testing.assert_close(y.float(), block(x), atol=0.05, rtol=0.05)
    torch.testing.assert_close(weights.float().sum(-1), torch.ones(2, 2, 5), atol=0.01, rtol=0)


def test_cls_token_is_in_front_and_stays_valid():
    layer = sl.CLSToken(3).double()
    x = normal(2, 4, 3)
    y = layer(sl.Sequence(x, torch.tensor([[True] * 4, [False] * 4])))
    torch.testing.assert_close(y.values[:, 0], layer.weight.expand(2, 3))
    torch.testing.assert_close(y.values[:, 1:], x)
    assert y.mask.tolist() == [[True] * 5, [True] + [False] * 4]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: sl.MultiHeadSelfAttention(6, 4), "num_heads: expected a divisor of embed_dim=6, got 4"),
        (lambda: sl.MultiHeadSelfAttention(6, 0), "num_heads: expected a divisor of embed_dim=6, got 0"),
        (lambda: sl.MultiHeadSelfAttention(6, 2, rotary=100.0), "expected an even number with rotary, got 3"),
        (lambda: sl.EncoderBlock(6, 2, norm="middle"), 'norm: expected "pre" or "post"'),
        (lambda: sl.EncoderBlock(6, 2, norm_kind="max"), "norm_kind: expected one of layer, rms, batch, group"),
        (lambda: sl.EncoderBlock(6, 2, feed_forward="relu"), 'feed_forward: expected "gelu" or "swiglu"'),
        (lambda: sl.CLSToken(0), "embed_dim: expected at least 1"),
        (lambda: sl.EncoderBlock(6, 2)(torch.zeros(2, 5, 7)), r"expected \(B, T, 6\), got \(B, T, 7\)"),
        (lambda: sl.MultiHeadSelfAttention(6, 2)(torch.zeros(5)), r"expected \(B, T, ...\), got \(5,\)"),
        (lambda: sl.MultiHeadSelfAttention(6, 2)(torch.zeros(2, 5, 6, dtype=float64)), "expected torch.float32"),
        (lambda: sl.MultiHeadSelfAttention(6, 2).weights(torch.zeros(2, 5, 4)), r"expected \(B, T, 6\)"),
    ],
)
def test_what_does_not_fit_is_named(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_no_signals_and_no_steps():
    block = sl.EncoderBlock(6, 2, rotary=None)
    assert block(torch.zeros(0, 5, 6)).shape == (0, 5, 6)
    assert block(torch.zeros(2, 0, 6)).shape == (2, 0, 6)
    assert block(torch.zeros(2, 0, 6), return_weights=True)[1].shape == (2, 2, 0, 0)
