"""`stream` on blocks that are still to come: what comes out, when, and what a loss or a failure on the way does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import course_lib.layers as sl

CHAIN = sl.Sequential([sl.STFT(8, 2), sl.InverseSTFT(8, 2)])
LAYERS = {
    "looks ahead": lambda: sl.Conv1D(3, 2, 5, padding="same"),
    "strided": lambda: sl.Conv1D(3, 2, 4, stride=3, padding="reverse_causal"),
    "two rates": lambda: sl.Sequential([sl.AveragePooling1D(3, padding="same"), sl.MaxPooling1D(2)]),
    "attention": lambda: sl.DotProductSelfAttention(3, 2, 4, 5, 2),
    "up": lambda: sl.Conv1DTranspose(3, 2, 3, stride=2),
}


def cut(x, sizes):
    """x (T, C) in blocks of these sizes in turn."""
    start, parts = 0, []
    while start < len(x):
        size = sizes[len(parts) % len(sizes)]
        parts.append(x[start : start + size])
        start += size
    return parts


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 40), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_pieces_join_to_the_whole_run(name, length, sizes):
    layer = LAYERS[name]().eval().requires_grad_(False)
    x = torch.randn(length, 3, generator=torch.Generator().manual_seed(length))
    came = sl.Sequence.concatenate(list(sl.stream(layer, iter(cut(x, sizes)))))
    whole = layer.layer(sl.Sequence.of(x[None]))
    torch.testing.assert_close(came.masked().values, whole.masked().values)
    assert torch.equal(came.mask, whole.mask)


def test_an_output_comes_with_the_block_that_decides_it():
    fed = []

    def blocks():
        for n in range(5):
            fed.append(n)
            yield torch.ones(4, 3)

    layer = sl.Conv1D(3, 2, 5, padding="same")  # two steps late
    running = sl.stream(layer, blocks())
    assert next(running).shape[1] == 2 and fed == [0]
    assert next(running).shape[1] == 4 and fed == [0, 1]
    assert sum(y.shape[1] for y in running) == 20 - 6


def test_numpy_arrays_and_steps_without_channels():
    x = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    came = torch.cat([y.values for y in sl.stream(CHAIN, iter([x[:7], x[7:30], x[30:]]))], dim=1)
    torch.testing.assert_close(came, CHAIN(torch.from_numpy(x)[None]))


def test_steps_that_a_number_skips_are_invalid():
    x = torch.randn(1, 40, 3)
    layer = sl.Conv1D(3, 2, 5, padding="same").requires_grad_(False)
    kept = torch.ones(1, 40, dtype=torch.bool)
    kept[:, 12:20] = False
    came = list(sl.stream(layer, [(0, x[0, :12]), (20, x[0, 20:])]))
    expected = layer.layer(sl.Sequence(x, kept))
    came = sl.Sequence.concatenate(came)
    torch.testing.assert_close(came.masked().values, expected.masked().values)
    assert torch.equal(came.mask, kept)


def test_a_source_that_dies_loses_nothing_that_it_sent():
    def dying():
        yield torch.ones(4, 3)
        raise ConnectionError("unplugged")

    came = []
    with pytest.raises(ConnectionError, match="unplugged"):
        for y in sl.stream(sl.Conv1D(3, 2, 5, padding="same"), dying()):
            came.append(y)
    assert sum(y.shape[1] for y in came) == 4


def test_a_failure_of_the_layer_is_not_taken_for_one_of_the_source():
    with pytest.raises(ValueError, match="expected"):
        list(sl.stream(sl.Conv1D(3, 2, 5), [torch.ones(4, 2)]))


def test_nothing_comes_of_nothing():
    assert list(sl.stream(CHAIN, [])) == []
    assert sum(y.shape[1] for y in sl.stream(CHAIN, [torch.ones(0), torch.ones(3)])) == 4


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([(0, torch.ones(4, 3)), (2, torch.ones(4, 3))], "begins at step 4 or later, got one that begins at 2"),
        ([torch.ones(4, 3), torch.ones(4, 2)], r"like the first, batch × channels \(1,\) × \(3,\)"),
        ([torch.ones(4, 3), torch.ones(4, 3).double()], "float64"),
    ],
)
def test_blocks_that_do_not_fit(blocks, message):
    with pytest.raises(ValueError, match=message):
        list(sl.stream(sl.Conv1D(3, 2, 5), blocks))


def test_block_size_is_for_whole_sequences():
    with pytest.raises(ValueError, match="block_size: blocks that come have their own lengths, got 4"):
        sl.stream(sl.Conv1D(3, 2, 5), [torch.ones(4, 3)], 4)
