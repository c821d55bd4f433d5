"""Recurrent layers against PyTorch's, on padding, in streams."""

import pytest
import torch
from torch import nn

import course_lib.layers as sl

PAIRS = {"VanillaRNN": (sl.VanillaRNN, nn.RNN), "GRU": (sl.GRU, nn.GRU), "LSTM": (sl.LSTM, nn.LSTM)}


def both(name, bias=True, dtype=torch.float64, **options):
    """Our layer and PyTorch's with the same weights, loaded by name."""
    ours, theirs = PAIRS[name]
    theirs = theirs(4, 5, bias=bias, batch_first=True).to(dtype)
    ours = ours(4, 5, bias=bias, **options).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("implementation", ["fused", "loop"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_equals_pytorch_in_values_and_gradients(name, bias, implementation):
    ours, theirs = both(name, bias, implementation=implementation)
    x = sl.random_sequence(3, 9, 4, seed=0, dtype=torch.float64).values.requires_grad_()
    y, expected = ours(x), theirs(x)[0]
    torch.testing.assert_close(y, expected)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    got = torch.autograd.grad((y * weights).sum(), [x, *ours.parameters()])
    expected = torch.autograd.grad((expected * weights).sum(), [x, *theirs.parameters()])
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e)


@pytest.mark.parametrize("name", PAIRS)
def test_ragged_batch_equals_a_packed_one(name):
    ours, theirs = both(name)
    x = sl.random_sequence(3, 9, 4, seed=0, lengths=[9, 6, 1], dtype=torch.float64)
    packed = nn.utils.rnn.pack_padded_sequence(x.values, x.lengths, batch_first=True)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(ours.layer(x).masked().values, expected)


@pytest.mark.parametrize("implementation", ["fused", "loop"])
@pytest.mark.parametrize("name", PAIRS)
def test_invalid_steps_hold_the_state(name, implementation):
    ours, theirs = both(name, implementation=implementation)
    x = sl.random_sequence(1, 8, 4, seed=0, dtype=torch.float64)
    mask = torch.tensor([[False, True, True, False, False, True, True, False]])
    y = ours.layer(sl.Sequence(x.values, mask))
    torch.testing.assert_close(y.values[mask], theirs(x.values[mask][None])[0][0])
    _, state = ours.step(x[:, :3], ours.initial_state(1))
    _, held = ours.step(sl.Sequence.invalid(1, 4, x.spec), state)
    for before, after in zip(state, held, strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("name", PAIRS)
def test_final_state_of_a_stream_is_pytorchs(name):
    ours, theirs = both(name)
    x = sl.random_sequence(3, 9, 4, seed=0, dtype=torch.float64)
    final = theirs(x.values)[1]
    final = final if name == "LSTM" else (final,)
    for blocks in ([9], [1] * 9, [4, 5]):
        state, start = ours.initial_state(3), 0
        for size in blocks:
            _, state = ours.step(x[:, start : start + size], state)
            start += size
        for got, expected in zip(state, final, strict=True):
            torch.testing.assert_close(got, expected[0])


def test_state_can_be_omitted_a_spec_and_knows_its_dtype():
    h, c = sl.LSTM(4, 5).double().initial_state(batch_size=2)
    assert h.shape == c.shape == (2, 5) and h.dtype == torch.float64


@pytest.mark.parametrize("name", PAIRS)
def test_no_steps_and_no_items(name):
    ours, _ = both(name)
    assert ours(torch.zeros(2, 0, 4, dtype=torch.float64)).shape == (2, 0, 5)
    assert ours(torch.zeros(0, 3, 4, dtype=torch.float64)).shape == (0, 3, 5)


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match="input_size, hidden_size: expected at least 1"):
        sl.LSTM(0, 5)
    with pytest.raises(ValueError, match="implementation: expected"):
        sl.GRU(4, 5, implementation="cuda")
    with pytest.raises(ValueError, match=r"expected \(B, T, 4\), got \(B, T, 3\)"):
        sl.LSTM(4, 5)(torch.zeros(2, 7, 3))
    with pytest.raises(ValueError, match=r"^state\[0\]: expected a tensor \(2, 5\) .*, got a tensor \(3, 5\)"):
        sl.LSTM(4, 5).step(sl.random_sequence(2, 1, 4), sl.LSTM(4, 5).initial_state(3))
