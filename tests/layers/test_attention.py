"""Attention against PyTorch's own, its visibility rule, its refusals."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import course_lib.layers as sl
from course_lib.layers.attention_functions import attention_weights, band, dot_product_attention, windows

float64 = torch.float64


def normal(*shape, seed=0, dtype=float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradients(y, *inputs):
    return torch.autograd.grad((y * normal(*y.shape, seed=9)).sum(), inputs)


def ragged(batch=2, length=40, channels=6, lengths=(40, 23), **options):
    return sl.random_sequence(batch, length, channels, seed=1, lengths=list(lengths), dtype=float64, **options)


# Against PyTorch.


def test_equals_multihead_attention_in_values_and_gradients():
    theirs = nn.MultiheadAttention(8, 2, batch_first=True, bias=True, dtype=float64)
    with torch.no_grad():
        theirs.in_proj_bias.normal_()
        theirs.out_proj.weight.copy_(torch.eye(8))
    ours = sl.DotProductSelfAttention(8, 2, 4, max_past_horizon=-1, max_future_horizon=-1, bias=True).double()
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if k.startswith("in_proj")})
    x = normal(3, 7, 8).requires_grad_()
    mask = torch.arange(7) < torch.tensor([7, 4, 1])[:, None]

    expected = theirs(x, x, x, key_padding_mask=~mask)[0] * mask[..., None]
    got = ours.layer(sl.Sequence(x, mask)).masked().values
    torch.testing.assert_close(got, expected)
    expected = gradients(expected, x, theirs.in_proj_weight, theirs.in_proj_bias)
    for g, e in zip(gradients(got, x, ours.in_proj_weight, ours.in_proj_bias), expected, strict=True):
        torch.testing.assert_close(g, e)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("kind", ["nothing hidden", "hidden", "bias", "causal"])
def test_formula_equals_pytorchs_kernel(kind, kv_heads):
    q, k, v = (normal(2, heads, 5, 6, seed=i).requires_grad_() for i, heads in enumerate([4, kv_heads, kv_heads]))
    options = {}
    if kind in ("hidden", "bias"):
        options["visible"] = normal(2, 1, 5, 5, seed=4) > 0
        options["visible"][0, 0, 2] = False  # a row that sees nothing
    if kind == "bias":
        options["bias"] = normal(4, 5, 5, seed=5).requires_grad_()
    options["is_causal"] = kind == "causal"
    results = []
    for implementation in ("math", "sdpa"):
        y = dot_product_attention(q, k, v, implementation=implementation, **options)
        leaves = [q, k, v] + ([options["bias"]] if kind == "bias" else [])
        results.append((y, *gradients(y, *leaves)))
    for ours, pytorchs in zip(*results, strict=True):
        torch.testing.assert_close(ours, pytorchs)
    if kind in ("hidden", "bias"):
        assert (results[0][0][0, :, 2] == 0).all()
    if kind == "hidden" and kv_heads == 4:
        mask = torch.zeros(2, 1, 5, 5, dtype=float64).masked_fill(~options["visible"], float("-inf"))
        torch.testing.assert_close(results[0][0], F.scaled_dot_product_attention(q, k, v, mask))


@pytest.mark.parametrize("implementation", ["sdpa", "math"])
@pytest.mark.parametrize(("past", "future"), [(5, 0), (5, 3), (0, 2), (-1, 0), (-1, 2), (3, -1), (50, 50)])
def test_layer_equals_attention_under_a_dense_mask(past, future, implementation):
    x = ragged()
    layer = sl.DotProductSelfAttention(6, 2, 4, past, future, implementation=implementation).double()
    q, k, v = F.linear(x.masked().values, layer.in_proj_weight).view(2, 40, 3, 2, 4).permute(2, 0, 3, 1, 4)
    distance = torch.arange(40) - torch.arange(40)[:, None]  # key - query
    visible = (distance >= (-past if past >= 0 else -40)) & (distance <= (future if future >= 0 else 40))
    expected = F.scaled_dot_product_attention(q, k, v, visible & x.mask[:, None, None])
    got = layer.layer(x)
    torch.testing.assert_close(got.masked().values, x.with_values(expected.transpose(1, 2).flatten(2)).masked().values)


def test_half_precision_takes_the_softmax_in_float32():
    q, k = normal(1, 1, 3, 4).to(torch.bfloat16), 5 * normal(1, 1, 200, 4, seed=1).to(torch.bfloat16)
    weights = attention_weights(q, k)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 1, 3), rtol=1e-6, atol=1e-6)


# The rule of visibility.


def test_band_is_the_rule():
    for queries, keys, offset, past, future in itertools.product((1, 4), (3, 8), (0, 2), (None, 0, 3), (None, 0, 2)):
        got = band(queries, keys, offset, past, future)
        for i, j in itertools.product(range(queries), range(keys)):
            distance = (j - offset) - i
            expected = (past is None or distance >= -past) and (future is None or distance <= future)
            assert expected == (True if got is None else got[i, j].item())


def test_windows_overlap_by_the_span():
    x = torch.arange(1, 11).view(1, 10, 1)
    expected = [[1, 2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 8, 9, 10], [7, 8, 9, 10, 0, 0, 0], [10, 0, 0, 0, 0, 0, 0]]
    assert windows(x, 4, 3, 4)[..., 0].tolist() == expected
    assert windows(x, 3, 3, 0)[..., 0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize("query_block", [1, 3, 8, 16, 39, 40])
def test_query_blocks_change_no_result(query_block):
    x = ragged()
    dense = sl.DotProductSelfAttention(6, 2, 4, 5, 3, bias=True, rotary=100.0, query_block=40).double()
    blocks = sl.DotProductSelfAttention(6, 2, 4, 5, 3, bias=True, rotary=100.0, query_block=query_block).double()
    blocks.load_state_dict(dense.state_dict())
    torch.testing.assert_close(blocks.layer(x).masked().values, dense.layer(x).masked().values)
    streamed = sl.stream(blocks, x, 20)
    torch.testing.assert_close(streamed.masked().values, dense.layer(x).masked().values)


def test_memory_of_a_long_sequence_grows_with_its_length_not_its_square():
    layer = sl.DotProductSelfAttention(4, 1, 4, max_past_horizon=16).eval()
    with torch.no_grad():
        y = layer(torch.randn(1, 200_000, 4))  # a mask of (T, T) would take 40 GB
    assert y.shape == (1, 200_000, 4)


def test_dropout_is_active_in_training_only_and_keeps_the_mean():
    layer = sl.DotProductSelfAttention(6, 1, 4, 30, dropout=0.5).double()
    x = ragged(lengths=(40, 40))
    evaluated = layer.layer(x, training=False).values
    torch.testing.assert_close(layer.layer(x, training=False).values, evaluated)
    mean = torch.stack([layer.layer(x, training=True).values.detach() for _ in range(2000)]).mean(0)
    assert not torch.allclose(layer.layer(x, training=True).values, evaluated)
    torch.testing.assert_close(mean, evaluated, rtol=0, atol=0.25)


# Streams.


def test_unlimited_past_steps_up_to_its_capacity_and_then_says_so():
    layer = sl.DotProductSelfAttention(6, 2, 4, max_past_horizon=-1, capacity=10).double()
    fits = sl.random_sequence(2, 11, 6, seed=2, dtype=float64)  # ten past steps and the present one
    torch.testing.assert_close(sl.stream(layer, fits).values, layer.layer(fits).values)
    longer = sl.random_sequence(2, 12, 6, seed=2, dtype=float64)
    with pytest.raises(ValueError, match="capacity: the stream is longer than the 10 past steps"):
        sl.stream(layer, longer)
    padded = sl.random_sequence(2, 40, 6, seed=2, dtype=float64, lengths=[9, 5])
    torch.testing.assert_close(sl.stream(layer, padded).masked().values, layer.layer(padded).masked().values)


def test_state_size_does_not_grow():
    layer = sl.DotProductSelfAttention(6, 2, 4, 7, 2, rotary=100.0)
    state = layer.initial_state(3)
    shapes = [leaf.shape for leaf in torch.utils._pytree.tree_leaves(state)]
    for steps in (1, 30, 2):
        _, state = layer.step(sl.random_sequence(3, steps, 6), state)
        assert [leaf.shape for leaf in torch.utils._pytree.tree_leaves(state)] == shapes


def test_look_ahead_comes_late_by_the_future_horizon():
    layer = sl.DotProductSelfAttention(6, 2, 4, 3, 2)
    assert (layer.input_latency, layer.output_latency, layer.receptive_field) == (2, 2, (-3, 2))
    y, _ = layer.step(sl.random_sequence(1, 5, 6), layer.initial_state(1))
    assert y.mask.tolist() == [[False, False, True, True, True]]


def test_cross_attention_streams_with_the_source_given_once():
    layer = sl.DotProductAttention(6, 5, 2, 4).double()
    x, source = ragged(), ragged(length=9, channels=5, lengths=(9, 0))
    whole = layer.layer(x, constants={"source": source})
    assert (whole.values[1] == 0).all()  # its source has no valid step
    state = layer.initial_state(2, constants={"source": source})
    y, _ = layer.step(x[:, :3], state)  # no constants here
    torch.testing.assert_close(y.values, whole.values[:, :3])


# What it refuses.


def test_unlimited_horizons_do_not_step():
    for past, future, reason in [(-1, 0, "capacity="), (3, -1, "has not seen yet"), (-1, -1, "has not seen yet")]:
        layer = sl.DotProductSelfAttention(6, 2, 4, past, future)
        assert not layer.supports_step
        with pytest.raises(NotImplementedError, match=reason):
            layer.initial_state(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3, "num_kv_heads": 2}, "num_kv_heads a divisor"),
        ({"max_past_horizon": -2}, "max_past_horizon: expected at least 0, or -1"),
        ({"max_future_horizon": -3}, "max_future_horizon: expected"),
        ({"capacity": 5}, "capacity: .*max_past_horizon=-1"),
        ({"units_per_head": 3, "rotary": 10.0}, "units_per_head: expected an even"),
        ({"dropout": 1.0}, "dropout: expected a probability"),
        ({"implementation": "flash"}, "implementation: expected .sdpa. or .math."),
        ({"query_block": 0}, "query_block: expected a positive"),
        ({"relative_position": sl.T5RelativePositionBias(3)}, "relative_position: expected 2 heads, got 3"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    arguments = {"input_size": 6, "num_heads": 2, "units_per_head": 4, "max_past_horizon": 3, **options}
    with pytest.raises(ValueError, match=message):
        sl.DotProductSelfAttention(**arguments)


def test_cross_attention_asks_for_its_source():
    layer = sl.DotProductAttention(6, 5, 2, 4, source_name="text")
    x = sl.random_sequence(2, 3, 6)
    with pytest.raises(ValueError, match="constants: expected a Sequence named 'text'"):
        layer.layer(x)
    with pytest.raises(ValueError, match=r"constants\['text'\]: expected \(2, S, 5\), got \(3, 4, 5\)"):
        layer.layer(x, constants={"text": sl.random_sequence(3, 4, 5)})


# Kernels.


@pytest.mark.parametrize("past", [-1, 39])
def test_a_causal_layer_without_padding_needs_no_mask(past, monkeypatch):
    seen = []
    real = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *a, **k: seen.append(a[3:6]) or real(*a, **k))
    layer = sl.DotProductSelfAttention(6, 2, 4, past)
    layer(torch.randn(2, 40, 6))
    layer.layer(sl.Sequence(torch.randn(2, 40, 6), torch.ones(2, 40, dtype=torch.bool)))
    sl.DotProductSelfAttention(6, 2, 4, -1, -1)(torch.randn(2, 40, 6))
    assert seen == [(None, 0.0, True), (None, 0.0, True), (None, 0.0, False)]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("past", "future"), [(-1, 0), (-1, -1)])
def test_flash_kernel_runs_where_there_is_neither_padding_nor_horizon(past, future):
    layer = sl.DotProductSelfAttention(64, 4, 32, past, future, num_kv_heads=2, rotary=10_000.0).cuda().half()
    x = torch.randn(2, 256, 64, device="cuda", dtype=torch.half)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # raises where that kernel cannot run
        fused = layer(x)
    layer.implementation = "math"
    torch.testing.assert_close(fused, layer(x), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("implementation", ["sdpa", "math"])
@pytest.mark.parametrize("past", [5, 20, -1])
def test_a_relative_bias_does_not_open_the_future(past, implementation):
    """Where all steps are valid and the horizon covers them, attention takes a short cut: it must stay causal."""
    bias = sl.T5RelativePositionBias(2, 8, 16)
    layer = sl.DotProductSelfAttention(4, 2, 3, past, relative_position=bias, implementation=implementation)
    x = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, 4].sum(), x)
    assert not gradient[0, 5:].any() and gradient[0, 4].any()


@pytest.mark.parametrize("rotary", [None, 100.0])
def test_a_learned_scale_weighs_the_channels_of_a_dot_product(rotary):
    """log₂(1 + e^p) on the queries' channels, after the rotation; at p = 0 it changes nothing."""
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    scaled = sl.DotProductSelfAttention(6, 2, 4, 3, rotary=rotary, per_dim_scale=True, implementation="math").double()
    plain = sl.DotProductSelfAttention(6, 2, 4, 3, rotary=rotary).double()
    plain.load_state_dict(scaled.state_dict(), strict=False)
    torch.testing.assert_close(scaled(x), plain(x))
    with torch.no_grad():
        scaled.per_dim_scale.copy_(torch.log(2 ** torch.tensor([1.0, 2.0, 3.0, 0.5]).double() - 1))
    queries, kv = plain._project(sl.Sequence.of(x), None if rotary is None else torch.arange(5))
    queries = (queries * torch.tensor([1.0, 2.0, 3.0, 0.5])).transpose(1, 2)
    keys, values = kv.transpose(1, 2).chunk(2, dim=1)
    expected = dot_product_attention(queries, keys, values, band(5, 5, 0, 3, 0))
    torch.testing.assert_close(scaled(x), expected.transpose(1, 2).flatten(2))


def test_a_learned_scale_in_cross_attention():
    x, source = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 5, 6, dtype=torch.float64)
    layer = sl.DotProductAttention(4, 6, 2, 3, per_dim_scale=True).double()
    x, constants = sl.Sequence.of(x), {"source": sl.Sequence.of(source)}
    before = layer.layer(x, constants=constants)
    with torch.no_grad():
        layer.per_dim_scale.fill_(math.log(2**2.0 - 1))  # a factor of 2 for all is twice the scale
    after = layer.layer(x, constants=constants)
    other = sl.DotProductAttention(4, 6, 2, 3, scale=2 * 3**-0.5).double()
    other.load_state_dict(layer.state_dict(), strict=False)
    torch.testing.assert_close(after.values, other.layer(x, constants=constants).values)
    assert not torch.allclose(before.values, after.values)


@pytest.mark.parametrize("kind", ["Shaw", "Transformer-XL"])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_relative_positions_are_their_formulas_pair_by_pair(kind, scale):
    torch.manual_seed(0)
    H, D, P, F_ = 2, 4, 3, 2
    relative = sl.ShawRelativePosition(H, D, 2, 1) if kind == "Shaw" else sl.TransformerXLRelativePosition(H, D, 6)
    layer = sl.DotProductSelfAttention(5, H, D, P, F_, relative_position=relative, scale=scale).double()
    for parameter in relative.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(1, 7, 5, dtype=torch.float64)
    q, k, v = (x[0] @ layer.in_proj_weight.T).unflatten(1, (3, H, D)).unbind(1)  # (T, H, D) each
    expected = torch.zeros(7, H, D, dtype=torch.float64)
    for h in range(H):
        for i in range(7):
            seen = range(max(i - P, 0), min(i + F_, 6) + 1)
            logits = []
            for j in seen:
                if kind == "Shaw":
                    dot = q[i, h] @ (k[j, h] + relative.weight[min(max(j - i, -2), 1) + 2, h])
                else:
                    rates = 10_000.0 ** -(torch.arange(3).double() / 2)
                    wave = torch.cat([torch.sin((j - i) * rates), torch.cos((j - i) * rates)])
                    place = relative.weight.unflatten(0, (H, D))[h] @ wave
                    dot = (q[i, h] + relative.content_bias[h]) @ k[j, h]
                    dot = dot + (q[i, h] + relative.position_bias[h]) @ place
                logits.append(dot * (D**-0.5 if scale is None else scale))
            weights = torch.softmax(torch.stack(logits), dim=0)
            expected[i, h] = sum(w * v[j, h] for w, j in zip(weights, seen, strict=True))
    torch.testing.assert_close(layer(x)[0], expected.flatten(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sl.ShawRelativePosition(2, 4, -1), "max_past, max_future: expected at least 0, got -1, 0"),
        (lambda: sl.ShawRelativePosition(2, 0, 1), "num_heads, units_per_head: expected at least 1"),
        (lambda: sl.TransformerXLRelativePosition(2, 4, 0), "position_channels: expected at least 1"),
        (lambda: sl.StreamingDotProductAttention(5, 3, 2, 4, -1), "max_past_horizon: expected at least 0, got -1"),
    ],
)
def test_positions_and_horizons_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_normalised_queries_and_keys_bound_the_logits():
    x = 1000 * torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(0))
    layer = sl.DotProductSelfAttention(6, 2, 4, -1, qk_norm=True)
    with sl.emitted(layer) as seen:
        layer(x)
    (weights,) = seen["weights"]
    lowest = torch.where(weights > 0, weights, 1.0).amin(dim=-1) / weights.amax(dim=-1)
    assert (lowest > math.exp(-2 * 4 / 2) * 0.999).all(), "two vectors of length √D make at most √D: ±2 for D = 4"
    heads = F.linear(x, layer.in_proj_weight).unflatten(2, (6, 4))
    q, k = (F.rms_norm(part, (4,), eps=1e-6) for part in (heads[:, :, :2], heads[:, :, 2:4]))
    expected = F.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), heads[:, :, 4:].transpose(1, 2), is_causal=True
    )
    torch.testing.assert_close(layer(x), expected.transpose(1, 2).flatten(2))


def test_a_source_that_streams_is_read_no_farther_than_the_horizon():
    layer = sl.StreamingDotProductAttention(5, 3, 2, 4, max_past_horizon=2, max_future_horizon=1).eval()
    x, source = sl.random_sequence(2, 8, 5), sl.random_sequence(2, 8, 3)
    whole = layer.layer(x, constants={"source": source})
    wide = sl.DotProductAttention(5, 3, 2, 4)
    wide.load_state_dict(layer.state_dict())
    for n in range(8):  # step n is ordinary cross-attention to its own piece of the source
        piece = source[:, max(n - 2, 0) : n + 2]
        expected = wide.layer(x[:, n : n + 1], constants={"source": piece})
        torch.testing.assert_close(whole.values[:, n : n + 1], expected.values)
    state = layer.initial_state(2)
    for n in range(8):  # rows that have not come yet are not missed
        y, state = layer.step(x[:, n : n + 1], state, constants={"source": source[:, : n + 2]})
        torch.testing.assert_close(y.values, whole.values[:, n : n + 1])
