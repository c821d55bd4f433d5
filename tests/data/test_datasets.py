"""Signals and windows as datasets: padded, normalised, labelled, in batches of mixed lengths, and as two views."""

import os

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from course_lib.data import (
    ContrastiveDataset,
    EventDataset,
    SignalDataset,
    TemporalAugmentation,
    UnsupervisedDataset,
    collate_fn_contrastive,
    collate_fn_supervised,
    collate_fn_unsupervised,
    gain,
    make_events,
)


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


def test_dataset_normalises_with_training_statistics_and_quantises():
    train = EventDataset(*make_events(20, 400, seed=0), timing_resolution_samples=10)
    data, labels, timings = make_events(4, 400, seed=1)
    other = EventDataset(data.astype(np.float64) * 3 + 1, labels, timings, 10, statistics=train.statistics)
    mean, std = train.statistics
    np.testing.assert_allclose(other[2].x, (data[2] * 3 + 1 - mean) / std, rtol=1e-4, atol=1e-4)
    assert other[2].x.dtype == torch.float32
    stacked = torch.cat([item.x for item in train])
    torch.testing.assert_close(stacked.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    present = labels == 1
    frames = torch.stack([item.frames for item in other]).numpy()
    assert (frames[present] == timings[present] // 10).all() and (frames[~present] == -1).all()
    kept = torch.stack([item.timings for item in other]).numpy()
    np.testing.assert_array_equal(kept, timings)  # not rounded


def test_onsets_at_the_first_and_the_last_sample_and_two_types_at_one():
    labels, timings = np.zeros((1, 3)), np.full((1, 3), np.nan)
    labels[0, :], timings[0, :] = 1, [0.0, 404.0, 404.0]
    item = EventDataset(np.ones((1, 405, 2)), labels, timings)[0]  # a length that is no multiple of ten
    assert item.frames.tolist() == [0, 40, 40]


def test_a_dead_channel_is_only_centred():
    data, labels, timings = make_events(3, 400, seed=0)
    data[:, :, 2] = 5.0
    assert (EventDataset(data, labels, timings)[0].x[:, 2] == 0).all()


def test_batches_of_mixed_lengths_are_padded_with_zeros():
    data, labels, timings = make_events(3, 400, seed=0)
    windows = [data[0], data[1], np.concatenate([data[2], data[2]])]
    batch = collate_fn_supervised(list(EventDataset(windows, labels, timings)))
    assert batch.x.shape == (3, 800, 6) and batch.lengths.tolist() == [400, 400, 800]
    assert (batch.x[0, 400:] == 0).all()


def test_a_batch_moves_to_a_device_without_float64(device_without_float64):
    batch = collate_fn_supervised(list(EventDataset(*make_events(3, 400, seed=0))))
    assert all(part.to(device_without_float64).shape == part.shape for part in batch)


@pytest.mark.parametrize("length", [40, 2000, 100_000])
def test_onsets_of_a_batch_stay_in_their_window_and_frame(length):
    onsets = [0.0, 1e-9, np.nextafter(10, 0), 10.0, 20.25, np.nextafter(30, 0), length - 1e-9, np.nextafter(length, 0)]
    timings = np.array([onsets])
    dataset = EventDataset(np.zeros((1, length, 2)), np.ones_like(timings), timings)
    batch = collate_fn_supervised(list(dataset))
    assert batch.timings.dtype == torch.float32 and (batch.timings < length).all()
    np.testing.assert_allclose(batch.timings.double(), timings, rtol=2**-23)
    assert torch.equal((batch.timings / 10).floor().long(), batch.frames)
    assert dataset[0].timings.dtype == torch.float64  # an item keeps all of it


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int16, torch.float32, torch.bfloat16, list])
def test_windows_of_any_type(kind):
    data = (100 * np.random.default_rng(0).standard_normal((2, 50, 3))).round()
    labels, timings = np.ones((2, 1)), np.full((2, 1), 20.25)
    if isinstance(kind, torch.dtype):
        data = torch.from_numpy(data).to(kind)
        labels, timings, plain = torch.ones(2, 1), torch.full((2, 1), 20.25), data.double().numpy()
    else:
        data = plain = data.tolist() if kind is list else data.astype(kind)
    expected = EventDataset(np.asarray(plain, np.float64), np.ones((2, 1)), np.full((2, 1), 20.25))
    for item, other in zip(EventDataset(data, labels, timings), expected, strict=True):
        torch.testing.assert_close(item.x, other.x)
        assert item.x.dtype == torch.float32 and torch.equal(item.timings, other.timings)


def _wrong(field, change):
    data, labels, timings = make_events(3, 400, seed=0, event_rate=20.0)
    arguments = {"data": data, "labels": labels, "timings": timings}
    arguments[field] = change(arguments[field])
    return arguments


def _with(array, index, value):
    array = array.astype(float)
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (_wrong("data", lambda d: d.transpose(0, 2, 1)), "timings|channels"),
        (_wrong("data", lambda d: _with(d, (1, 5, 0), np.nan)), "1 NaN or infinite in window 1"),
        (_wrong("data", lambda d: _with(d, (2, 5, 0), np.inf)), "window 2"),
        (_wrong("data", lambda d: _with(d, (1, 5, 0), 1e39)), r"1 beyond float32 \(such as 1e\+39\) in window 1"),
        (_wrong("data", lambda d: d.astype(complex)), "real numbers, got dtype complex128 in window 0"),
        (_wrong("data", lambda d: [[["a"]]] * 3), "real numbers"),
        (_wrong("data", lambda d: d[:, :0]), "windows"),
        (_wrong("labels", lambda v: v[:2]), "labels: expected"),
        (_wrong("labels", lambda v: v * 2), "0 and 1"),
        (_wrong("timings", lambda v: v + 1000), "from 0 to below 400"),
        (_wrong("timings", np.nan_to_num), "NaN where labels are 0"),
    ],
)
def test_a_dataset_names_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        EventDataset(**arguments)


def test_both_views_come_from_one_window():
    data = np.random.default_rng(0).normal(5, 3, (4, 200, 6))
    dataset = ContrastiveDataset(data, TemporalAugmentation(), generator=torch.Generator().manual_seed(0))
    first, second = dataset[2]
    assert first.shape == second.shape == (200, 6) and not torch.equal(first, second)
    same = ContrastiveDataset(data, lambda x: x)
    assert torch.equal(same[2][0], UnsupervisedDataset(data)[2])
    assert abs(same[2][0].mean()) < 0.2 and abs(same[2][0].std() - 1) < 0.2


def test_mixed_lengths_are_padded():
    data = [np.ones((4, 2)) * np.arange(4)[:, None], np.ones((7, 2))]
    x, lengths = collate_fn_unsupervised(list(UnsupervisedDataset(data)))
    assert x.shape == (2, 7, 2) and lengths.tolist() == [4, 7] and (x[0, 4:] == 0).all()
    first, second, lengths = collate_fn_contrastive(list(ContrastiveDataset(data, lambda x: x)))
    assert torch.equal(first, second) and lengths.tolist() == [4, 7]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: UnsupervisedDataset(np.full((2, 9, 3), np.nan)), "finite"),
        (lambda: UnsupervisedDataset([]), "at least one window"),
        (lambda: UnsupervisedDataset(np.zeros((9, 3))), "windows \\(T, C\\)"),
        (lambda: ContrastiveDataset(np.zeros((2, 9, 3)), lambda x: x[1:])[0], "expected views \\(9, 3\\)"),
    ],
)
def test_errors_of_windows_name_the_argument(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_a_rate_is_kept_and_sets_the_frame():
    data, labels, timings = make_events(3, 400, seed=0)
    assert EventDataset(data, labels, timings, sample_rate=360).timing_resolution_samples == 2
    whole = EventDataset(data, labels, timings)
    assert (whole.timing_resolution_samples, whole.sample_rate) == (10, None)
    with pytest.raises(ValueError, match="sample_rate: expected Hz above 0, got 0"):
        EventDataset(data, labels, timings, sample_rate=0)
