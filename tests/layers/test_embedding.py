"""Tables of vectors against `nn.Embedding`, and what they say about tokens that they do not have."""

import pytest
import torch
from torch import nn

import course_lib.layers as sl


def test_embedding_loads_and_equals_pytorch():
    oracle, layer = nn.Embedding(10, 6), sl.Embedding(10, 6)
    layer.load_state_dict(oracle.state_dict())
    tokens = sl.random_tokens(2, 5, 10, seed=0)
    torch.testing.assert_close(layer(tokens.values), oracle(tokens.values))
    for dtype in (torch.int8, torch.uint8, torch.int16, torch.int32):
        torch.testing.assert_close(layer(tokens.values.to(dtype)), oracle(tokens.values))


def test_every_step_has_its_own_table():
    layer = sl.SequenceEmbedding(10, 6, num_steps=4)
    tokens = sl.random_tokens(2, 5, 10, seed=0)
    y = layer.layer(tokens)
    assert y.mask.tolist() == [[True] * 4 + [False]] * 2
    for t in range(4):
        torch.testing.assert_close(y.values[:, t], layer.weight[t, tokens.values[:, t]])


@pytest.mark.parametrize("layer", [sl.Embedding(10, 6), sl.SequenceEmbedding(10, 6, 5)])
@pytest.mark.parametrize("token", [-1, 10])
def test_tokens_outside_the_table_are_named(layer, token):
    tokens = torch.tensor([[3, token, 5]])
    with pytest.raises(ValueError, match=f"tokens from 0 to 9, got .*{token}.* in {type(layer).__name__}"):
        layer(tokens)
    hidden = sl.Sequence(tokens, torch.tensor([[True, False, True]]))
    assert layer.layer(hidden).shape == (1, 3, 6)


@pytest.mark.parametrize("layer", [sl.Embedding(10, 6), sl.SequenceEmbedding(10, 6, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.complex64])
def test_tokens_are_integers(layer, dtype):
    with pytest.raises(ValueError, match="expected integer tokens"):
        layer(torch.zeros(2, 3, dtype=dtype))


def test_sizes_are_positive():
    with pytest.raises(ValueError, match="num_embeddings, .*: expected at least 1, got 0"):
        sl.Embedding(0, 3)
    with pytest.raises(ValueError, match="num_steps"):
        sl.SequenceEmbedding(3, 3, 0)
