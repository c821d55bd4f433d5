"""Windows as datasets: normalised, labelled, in batches of mixed lengths, and as two views."""

import numpy as np
import pytest
import torch

from course_lib.data import (
    ContrastiveDataset,
    EventDataset,
    TemporalAugmentation,
    UnsupervisedDataset,
    collate_fn_contrastive,
    collate_fn_supervised,
    collate_fn_unsupervised,
    make_events,
)


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
def test_errors_name_the_argument(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_a_rate_is_kept_and_sets_the_frame():
    data, labels, timings = make_events(3, 400, seed=0)
    assert EventDataset(data, labels, timings, sample_rate=360).timing_resolution_samples == 2
    whole = EventDataset(data, labels, timings)
    assert (whole.timing_resolution_samples, whole.sample_rate) == (10, None)
    with pytest.raises(ValueError, match="sample_rate: expected Hz above 0, got 0"):
        EventDataset(data, labels, timings, sample_rate=0)
