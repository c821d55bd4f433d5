"""`Sequence`, `stream` and what every layer shares: checks, tensors in and out, random sequences."""

import pytest
import torch
from torch.utils import _pytree as pytree

import course_lib.layers as sl
from course_lib.sequence import ChannelSpec, Sequence, stream


def test_mask_and_values_must_fit():
    with pytest.raises(ValueError, match="mask: expected a boolean"):
        Sequence(torch.zeros(2, 5, 3), torch.ones(2, 5))
    with pytest.raises(ValueError, match=r"got \(2, 5, 3\) and \(2, 4\)"):
        Sequence(torch.zeros(2, 5, 3), torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"expected \(B, T, ...\)"):
        Sequence.of(torch.zeros(5))


def test_slicing_takes_batch_and_time_of_both():
    x = sl.random_sequence(3, 7, 4, seed=0, lengths=[7, 5, 2])
    part = x[1:, 2:6]
    torch.testing.assert_close(part.values, x.values[1:, 2:6])
    assert part.lengths.tolist() == [3, 0]
    for wrong in (0, (slice(None), slice(None), slice(None)), (slice(None), 1)):
        with pytest.raises(ValueError, match="index"):
            x[wrong]


@pytest.mark.parametrize("fill", [0.0, float("-inf")])
def test_masking_hides_nan_from_values_and_gradients(fill):
    values = torch.tensor([[1.0, float("nan")]], requires_grad=True)
    masked = Sequence(values, torch.tensor([[True, False]])).masked(fill).values
    assert masked.tolist() == [[1.0, fill]]
    masked[:, 0].exp().sum().backward()
    torch.testing.assert_close(values.grad, torch.tensor([[2.7182818, 0.0]]))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool, torch.float16, torch.complex64])
def test_masking_keeps_the_dtype(dtype):
    x = Sequence(torch.ones(1, 3).to(dtype), torch.tensor([[True, False, True]]))
    assert x.masked().values.dtype == dtype
    assert x.masked().values.real.tolist() == [[1, 0, 1]]


def test_a_sequence_is_a_pytree():
    x = sl.random_sequence(2, 3, 4, seed=0)
    leaves, spec = pytree.tree_flatten({"a": x})
    again = pytree.tree_unflatten(leaves, spec)["a"]
    assert len(leaves) == 2 and again.all_valid and torch.equal(again.values, x.values)


def test_moving_keeps_the_mask_boolean():
    x = sl.random_sequence(2, 3, 4, seed=0, lengths=[3, 1]).to(torch.float64)
    assert x.values.dtype == torch.float64 and x.mask.dtype == torch.bool
    assert x.to("meta").mask.device.type == "meta"


def test_random_sequences_are_reproducible_and_valid_unless_told():
    assert torch.equal(sl.random_sequence(2, 5, 3, seed=1).values, sl.random_sequence(2, 5, 3, seed=1).values)
    assert not torch.equal(sl.random_sequence(2, 5, 3, seed=1).values, sl.random_sequence(2, 5, 3, seed=2).values)
    assert sl.random_sequence(2, 5, 3).lengths.tolist() == [5, 5]
    tokens = sl.random_tokens(2, 50, 7, generator=torch.Generator().manual_seed(0), lengths=[50, 3])
    assert tokens.values.min() >= 0 and tokens.values.max() < 7 and tokens.lengths.tolist() == [50, 3]
    with pytest.raises(ValueError, match="seed, generator"):
        sl.random_sequence(2, 5, 3, seed=1, generator=torch.Generator())
    with pytest.raises(ValueError, match="lengths"):
        sl.random_sequence(2, 5, 3, lengths=[5, 6])


def test_random_sequences_leave_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    sl.random_sequence(2, 5, 3, seed=1)
    assert torch.equal(torch.rand(2), expected)


def test_a_layer_is_an_ordinary_module_on_tensors():
    layer = sl.Dense(3, 4)
    x = torch.randn(2, 5, 4)
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))
    assert isinstance(layer(Sequence.of(x)), Sequence)
    for wrong in ([1, 2], x.numpy()):
        with pytest.raises(ValueError, match="expected a Tensor or a Sequence"):
            layer(wrong)
    with pytest.raises(ValueError, match="expected a Sequence"):
        layer.layer(x)


def test_training_follows_the_module_unless_told():
    layer = sl.Dropout(0.5)
    x = Sequence.of(torch.ones(4, 100))
    assert (layer.layer(x).values == 0).any() and not (layer.layer(x, training=False).values == 0).any()
    layer.eval()
    assert not (layer.layer(x).values == 0).any() and (layer.layer(x, training=True).values == 0).any()


def test_stream_takes_mixed_blocks_and_refuses_others():
    layer = sl.Sequential([sl.Lookahead(1), sl.Downsample1D(3), sl.Dense(2, 4)])
    x = sl.random_sequence(2, 14, 4, seed=0, lengths=[14, 8])
    expected = layer.layer(x)
    for sizes in (None, 3, 9, [3, 9, 6]):
        got = stream(layer, x, sizes)
        assert torch.equal(got.mask, expected.mask)
        torch.testing.assert_close(got.masked().values, expected.masked().values)
    for sizes in (2, [3, 4], [0]):
        with pytest.raises(ValueError, match="block_size: expected multiples of 3"):
            stream(layer, x, sizes)
    with pytest.raises(ValueError, match="expected a multiple of block_size=3 steps, got 4 in Sequential"):
        layer.step(x[:, :4], layer.initial_state(2, x.spec))


def test_states_of_another_batch_or_device_are_refused():
    layer, x = sl.Delay(2), sl.random_sequence(2, 4, 3, seed=0)
    with pytest.raises(ValueError, match=r"^state\[0\]: expected a tensor \(2, 2, 3\) .*, got a tensor \(3, 2, 3\)"):
        layer.step(x, layer.initial_state(3, x.spec))
    with pytest.raises(ValueError, match="^state.* on cpu, got .* on meta"):
        layer.step(x, layer.initial_state(2, x.spec, device="meta"))
    with pytest.raises(ValueError, match="batch_size: expected at least 0"):
        layer.initial_state(-1, x.spec)
    with pytest.raises(ValueError, match="Delay does not know its input: pass a ChannelSpec"):
        layer.initial_state(2)


def test_a_layer_that_knows_its_input_needs_no_spec():
    layer = sl.Sequential([sl.Embedding(10, 4), sl.Delay(2), sl.Dense(3)])
    state = layer.initial_state(2)
    y, _ = layer.step(sl.random_tokens(2, 5, 10, seed=0), state)
    assert y.spec == ChannelSpec((3,)) and layer[2].in_features == 4


def test_nan_and_inf_at_valid_steps_stay_in_their_item_and_their_reach():
    layer = sl.Sequential([sl.Delay(1), sl.Dense(3, 4)])
    x = sl.random_sequence(2, 6, 4, seed=0)
    for bad in (float("nan"), float("inf")):
        values = x.values.clone()
        values[0, 2] = bad
        wrong = ~layer(values).isfinite().all(-1)
        assert wrong.nonzero().tolist() == [[0, 3]]
