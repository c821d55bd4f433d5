"""Streams whose labels need memory, and loaders that keep time in order."""

import numpy as np
import pytest
import torch

from course_lib.data import StreamManager


def last_cue_before(tokens, num_cues):
    """The label, by the definition; None before the first cue."""
    labels, last = [], None
    for token in tokens.tolist():
        labels.append(last)
        last = token if token < num_cues else last
    return labels


def test_labels_are_the_last_cue_before():
    x, y = StreamManager(num_cues=3, num_fillers=2, gaps=(2, 9), seed=1).get_torch_batches(5, 300, one_hot=False)
    assert x.shape == y.shape == (5, 300) and set(x.unique().tolist()) == set(range(5))
    for tokens, labels in zip(x, y, strict=True):
        assert tokens[0] < 3 and 0 <= labels[0] < 3
        assert labels.tolist()[1:] == last_cue_before(tokens, 3)[1:]
        gaps = (tokens < 3).nonzero().flatten().diff()
        assert gaps.min() >= 2 and gaps.max() <= 9


def test_a_token_says_nothing_about_its_own_label():
    x, y = StreamManager(seed=0).get_torch_batches(200, 500, one_hot=False)
    for token in range(8):
        shares = torch.bincount(y[x == token], minlength=4) / (x == token).sum()
        assert (shares - 0.25).abs().max() < 0.03


def test_one_hot_and_tokens_are_the_same_streams():
    x, y = StreamManager(seed=3).get_torch_batches(4, 50)
    tokens, labels = StreamManager(seed=3).get_torch_batches(4, 50, one_hot=False)
    assert x.shape == (4, 50, 8) and x.dtype == torch.float32 and (x.sum(-1) == 1).all()
    assert torch.equal(x.argmax(-1), tokens) and torch.equal(y, labels)


def test_seeds_and_calls_differ_and_the_global_generators_stay():
    before, numpy_before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    streams = StreamManager(seed=0)
    a, b = (streams.get_torch_batches(2, 50, one_hot=False)[0] for _ in range(2))
    other = StreamManager(seed=1).get_torch_batches(2, 50, one_hot=False)[0]
    assert not torch.equal(a, b) and not torch.equal(a, other)
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state(legacy=False)["state"]["key"]).all()  # noqa: NPY002


def test_single_steps_come_in_time_order():
    streams = StreamManager()
    x, y = streams.get_torch_batches(4, 20)
    loader = streams.load_data(4, x, y)
    assert len(loader) == 20 and len(loader.dataset) == 80
    for _ in range(2):  # as often as one likes
        for t, (inputs, targets) in enumerate(loader):
            assert torch.equal(inputs, x[:, t]) and torch.equal(targets, y[:, t])
    items = [loader.dataset[i] for i in range(len(loader.dataset))]
    assert torch.equal(torch.stack([x for x, _ in items]), x.transpose(0, 1).flatten(0, 1))
    assert torch.equal(torch.stack([y for _, y in items]), y.T.flatten())


def test_windows_say_where_a_stream_begins():
    streams = StreamManager()
    x, y = streams.get_torch_batches(5, 20)
    batches = list(streams.load_data(3, x, y, steps=8))
    assert [tuple(inputs.shape) for inputs, _, _ in batches] == [(b, k, 8) for b in (3, 2) for k in (8, 8, 4)]
    assert [first.tolist() for _, _, first in batches] == [[t == 0] * b for b in (3, 2) for t in (0, 8, 16)]
    assert torch.equal(torch.cat([inputs for inputs, _, _ in batches[:3]], dim=1), x[:3])
    assert torch.equal(torch.cat([targets for _, targets, _ in batches[3:]], dim=1), y[3:])


def test_streams_of_different_lengths_leave_the_batch_when_they_end():
    tokens = [torch.arange(n) % 3 for n in (2, 5, 3)]
    streams = StreamManager(tokens, [t % 2 for t in tokens])
    assert streams.get_vocab_size() == 3 and streams.get_num_classes() == 2
    x, y = streams.get_torch_batches(one_hot=False)
    loader = streams.load_data(3, x, y)
    assert loader.order == [1, 2, 0] and len(loader.dataset) == 10
    assert [len(inputs) for inputs, _ in loader] == [3, 3, 2, 1, 1]
    assert torch.equal(torch.stack([inputs[0] for inputs, _ in loader]), tokens[1])
    windows = list(streams.load_data(3, x, y, steps=4))
    assert [tuple(inputs.shape) for inputs, _, _ in windows] == [(3, 4), (1, 1)]
    assert windows[0][1].tolist() == [[0, 1, 0, 0], [0, 1, 0, -100], [0, 1, -100, -100]]


@pytest.mark.parametrize("kind", ["array", "tensor", "lists", "iterator"])
def test_own_streams_come_as_arrays_and_iterables(kind):
    data, labels = np.arange(24.0).reshape(2, 6, 2), np.arange(12).reshape(2, 6) % 3
    given = {
        "array": (data, labels),
        "tensor": (torch.from_numpy(data), torch.from_numpy(labels)),
        "lists": (data.tolist(), labels.tolist()),
        "iterator": (iter(data), (row for row in labels)),
    }[kind]
    streams = StreamManager(*given)
    assert streams.get_vocab_size() == 2 and streams.get_num_classes() == 3
    x, y = streams.get_torch_batches(2, 4)
    assert x.dtype == torch.float32 and y.dtype == torch.int64
    assert x.tolist() == data[:, :4].tolist() and y.tolist() == labels[:, :4].tolist()
    assert len(list(streams.load_data(2, x, y))) == 4
    assert len(list(streams.load_data(2, *map(iter, (x, y))))) == 4


def test_own_streams_that_are_too_few_or_too_short():
    streams = StreamManager([[0, 1, 2], [0, 1]], [[0, 0, 0], [1, 1]])
    with pytest.raises(ValueError, match="2 streams, got 3"):
        streams.get_torch_batches(3)
    with pytest.raises(ValueError, match="shortest stream has 2 steps, got 3"):
        streams.get_torch_batches(2, 3)
    assert streams.get_torch_batches(1, 3)[0].shape == (1, 3, 3)


@pytest.mark.parametrize(
    ("x", "y", "complaint"),
    [
        ([], [], "at least one stream"),
        ([[0, 1]], [[0, 1], [0, 1]], "got 1 and 2"),
        ([[0, 1], [0]], [[0, 1], [0, 1]], "stream 1"),
        ([[0, 1], []], [[0, 1], []], "stream 1"),
        ([[0, -1]], [[0, 1]], "from 0 up"),
        ([[0, 1]], [[0.5, 1.0]], "integer labels"),
        ([[0.5, 1.0]], [[0, 1]], r"\(2,\).*stream 0"),
        ([np.zeros((3, 2)), np.zeros((3, 4))], [[0, 1, 0]] * 2, r"\(3, 4\).*stream 1"),
        ([np.zeros((3, 2)), np.array([[0, 0], [0, np.nan], [0, 0]])], [[0, 1, 0]] * 2, "stream 1, step 1"),
    ],
)
def test_streams_that_do_not_fit_are_refused(x, y, complaint):
    with pytest.raises(ValueError, match=complaint):
        StreamManager().load_data(2, x, y)
    with pytest.raises(ValueError, match=complaint):
        StreamManager(x, y)


def test_arguments_that_do_not_fit_are_refused():
    streams = StreamManager()
    x, y = streams.get_torch_batches(4, 20)
    with pytest.raises(ValueError, match="batch_size: expected 4.*got 3"):
        streams.load_data(3, x, y)
    with pytest.raises(ValueError, match="batch_size, steps"):
        streams.load_data(4, x, y, steps=0)
    with pytest.raises(ValueError, match="sequence_length"):
        streams.get_torch_batches(4, 0)
    with pytest.raises(ValueError, match="both or neither"):
        StreamManager([[0, 1]])
    with pytest.raises(ValueError, match="num_cues"):
        StreamManager(num_cues=1)
    with pytest.raises(ValueError, match="gaps"):
        StreamManager(gaps=(5, 4))
