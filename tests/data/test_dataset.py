import os

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from course_lib.data import SignalDataset, gain


@pytest.mark.parametrize(
    ("shape", "max_length", "expected"),
    [
        ((3, 90), None, (90,)),
        ((3, 90), 100, (100,)),
        ((3, 90), 50, (50,)),
        ((3, 90, 6), 100, (100, 6)),
        ((3, 90, 6), 50, (50, 6)),
        ((3, 1, 90), None, (1, 90)),
        ((3, 1, 90), 100, (1, 100)),
        ((3, 1, 90), 50, (1, 50)),
    ],
)
def test_time_is_padded_or_cut_on_the_right(shape, max_length, expected):
    signals = np.random.default_rng(0).standard_normal(shape)
    x, y = SignalDataset(signals, [4, 5, 6], max_length)[1]
    assert tuple(x.shape) == expected and x.dtype == torch.float32
    assert y.item() == 5 and y.dtype == torch.int64 and y.ndim == 0
    kept = min(90, max_length or 90)
    whole = torch.from_numpy(signals[1]).float()
    if shape[1] == 1:
        x, whole = x[0], whole[0]
    torch.testing.assert_close(x[:kept], whole[:kept])
    assert torch.all(x[kept:] == 0)


@pytest.mark.parametrize("channels", [(), (6,)])
def test_list_of_different_lengths_is_padded_to_the_longest(channels):
    signals = [np.ones((length, *channels)) for length in (5, 9, 2)]
    batch, labels = next(iter(DataLoader(SignalDataset(signals, [0, 1, 2]), batch_size=3)))
    assert tuple(batch.shape) == (3, 9, *channels)
    assert batch.flatten(2).amax(2).sum(1).tolist() == [5, 9, 2] if channels else batch.sum(1).tolist() == [5, 9, 2]
    assert labels.tolist() == [0, 1, 2]


def test_audio_clips_of_different_lengths_keep_their_channel_axis():
    dataset = SignalDataset([torch.ones(1, 5), torch.ones(1, 8)], torch.tensor([0, 1]))
    assert [tuple(x.shape) for x, _ in dataset] == [(1, 8), (1, 8)]


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int16, np.uint8])
def test_numbers_become_float32(dtype):
    x, _ = SignalDataset(np.arange(12).reshape(2, 6).astype(dtype), [0, 1])[1]
    assert x.dtype == torch.float32 and x.tolist() == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int32])
@pytest.mark.parametrize("form", [lambda x: x, list, lambda x: x.float().requires_grad_()])
def test_tensors_become_float32(dtype, form):
    x, _ = SignalDataset(form(torch.arange(12).reshape(2, 6).to(dtype)), torch.tensor([0, 1]))[1]
    assert x.dtype == torch.float32 and x.tolist() == [6, 7, 8, 9, 10, 11] and not x.requires_grad


def test_items_are_copies_and_read_only_memmaps_serve(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 1, 10), dtype=np.float32))
    dataset = SignalDataset(np.load(tmp_path / "x.npy", mmap_mode="r"), [0, 1])
    dataset[0][0].zero_()
    assert dataset[0][0].sum() == 10


@pytest.mark.parametrize(
    ("signals", "labels", "options", "message"),
    [
        (np.zeros((0, 5)), [], {}, "signals: expected at least one signal"),
        ([], [], {}, "signals: expected at least one signal"),
        (np.zeros((2, 0)), [0, 1], {}, "signals: expected at least one time step"),
        ([np.zeros(3), np.zeros(0)], [0, 1], {}, "signals: .*signal 1 of shape"),
        (np.zeros(5), [0], {}, r"signals: expected \(N, L\)"),
        (np.zeros((2, 3, 4, 5)), [0, 1], {}, r"signals: .*got \(2, 3, 4, 5\)"),
        ([np.zeros((2, 3, 4))], [0], {}, "signals: .*signal 0"),
        (np.array([[1, np.nan]]), [0], {}, "signals: expected finite values, got 1 NaN or infinite in signal 0"),
        (np.array([[1, 1e39]]), [0], {}, r"signals: expected finite values, got 1 beyond float32 \(such as 1e\+39\)"),
        ([np.zeros(3), np.array([-1e300, 1.0])], [0, 1], {}, "1 beyond float32 .* in signal 1"),
        (torch.tensor([[1.0, 1e39]], dtype=torch.float64), [0], {}, "beyond float32"),
        ([np.zeros(3), np.array([np.inf, 1.0])], [0, 1], {}, "signals: expected finite .* in signal 1"),
        ([np.zeros((3, 6)), np.zeros((3, 5))], [0, 1], {}, "signals: expected one number of channels"),
        ([np.zeros(3), np.zeros((3, 2))], [0, 1], {}, "signals: expected one number of channels"),
        (np.array([["a", "b"]]), [0], {}, "signals: .*numbers"),
        (np.zeros((2, 5)), [0], {}, r"labels: expected one per signal, shape \(2,\), got shape \(1,\)"),
        (np.zeros((2, 5)), [[0], [1]], {}, "labels: expected one per signal"),
        (np.zeros((2, 5)), [0.0, 1.0], {}, "labels: expected integers, got dtype float64"),
        (np.zeros((2, 5)), ["a", "b"], {}, "labels: expected integers"),
        (np.zeros((2, 5)), [0, 1], {"max_length": 0}, "max_length"),
        (np.zeros((2, 5)), [0, 1], {"max_length": 2.5}, "max_length"),
    ],
)
def test_errors_name_the_argument(signals, labels, options, message):
    with pytest.raises(ValueError, match=message):
        SignalDataset(signals, labels, **options)


def test_transform_sees_the_padded_signal():
    dataset = SignalDataset(np.ones((2, 5)), [0, 1], max_length=8, transform=lambda x: x + len(x))
    assert dataset[0][0].tolist() == [9] * 5 + [8] * 3


def test_generator_makes_the_transform_reproducible():
    def epoch(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.stack([x for x, _ in SignalDataset(np.ones((4, 1, 8)), range(4), None, gain, generator)])

    assert torch.equal(epoch(1), epoch(1)) and not torch.equal(epoch(1), epoch(2))
    assert len(epoch(1)[:, 0, 0].unique()) == 4


def _noisy(x, generator=None):
    return x + torch.randn(x.shape, generator=generator)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts its processes by fork")
def test_workers_draw_differently_and_reproducibly():
    def epochs():
        dataset = SignalDataset(np.zeros((8, 4)), range(8), transform=_noisy, generator=torch.Generator())
        options = {"num_workers": 2, "multiprocessing_context": "fork", "generator": torch.Generator().manual_seed(3)}
        loader = DataLoader(dataset, batch_size=1, **options)
        return [torch.cat([x for x, _ in loader]) for _ in range(2)]

    first, second = epochs(), epochs()
    drawn = torch.cat(first)
    assert len(drawn.unique(dim=0)) == 16  # all differ, between workers and between epochs
    assert torch.equal(drawn, torch.cat(second))
