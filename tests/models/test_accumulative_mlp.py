"""The accumulative MLP: what it remembers, of whom, and when it forgets."""

import copy

import pytest
import torch
from torch import nn

from tests.models.accumulative import make, randn

pytestmark = pytest.mark.usefixtures("seeded")


def test_sums_are_those_of_the_equation():
    model, x = make(accumulator_decay=0.5), randn(3, 4, 5)
    for t in range(4):
        y = model(x[:, t])
    sums = x[:, 3] + 0.5 * x[:, 2] + 0.25 * x[:, 1] + 0.125 * x[:, 0]
    torch.testing.assert_close(torch.stack(list(model.accumulators.values())), sums)
    torch.testing.assert_close(y, model.classifier(sums))


def test_steps_equal_windows_whatever_their_length():
    model, x = make(), randn(3, 60, 5)
    expected = model(x)
    for sizes in ([1] * 60, [7, 20, 33], [0, 60]):
        model.reset_accumulators()
        outputs = [model(part) if part.shape[1] != 1 else model(part[:, 0])[:, None] for part in x.split(sizes, dim=1)]
        torch.testing.assert_close(torch.cat(outputs, dim=1), expected)


def test_tokens_are_one_hot_vectors():
    model, tokens = make(), torch.tensor([[0, 4, 2], [1, 1, 3]])
    one_hot = nn.functional.one_hot(tokens, 5)
    expected = model(one_hot.float())
    for other in (tokens, tokens.to(torch.int32), one_hot.bool(), one_hot.double()):
        model.reset_accumulators()
        torch.testing.assert_close(model(other), expected)
    model.reset_accumulators()
    torch.testing.assert_close(model(tokens[:, 0]), expected[:, 0])


def test_a_stream_does_not_depend_on_its_neighbours_nor_on_the_size_of_the_batch():
    model, x = make(num_classes=2), randn(3, 6, 5)
    together = torch.stack([model(x[:, t]) for t in range(6)], dim=1)
    model.reset_accumulators()
    outputs = {0: [], 1: [], 2: []}
    for rows in ([0], [2, 1], [0, 1], [2], [1, 0, 2], [0, 2], [0], [1, 2], [1], [0, 1, 2], []):
        steps = [len(outputs[r]) for r in rows]
        inputs = torch.stack([x[r, t] for r, t in zip(rows, steps, strict=True)]) if rows else x[:0, 0]
        if all(t < 6 for t in steps):
            for r, y in zip(rows, model(inputs, streams=rows), strict=True):
                outputs[r].append(y)
    for r, ys in outputs.items():
        assert len(ys) >= 4
        torch.testing.assert_close(torch.stack(ys), together[r, : len(ys)])


def test_batches_may_grow_and_shrink():
    model, x = make(num_streams=2), randn(4, 3, 5)
    model(x[:2, 0])
    model(x[:1, 1])
    held = model.accumulators[1]
    model(x[:4, 2])
    assert list(model.accumulators) == [0, 1, 2, 3]
    torch.testing.assert_close(model.accumulators[1], 0.9 * held + x[1, 2])
    torch.testing.assert_close(model.accumulators[3], x[3, 2])


def test_reset_of_all_and_of_named_streams():
    model, x = make(num_streams=0), randn(3, 5)
    model(x, streams=["left", "right", "top"])
    model.reset_accumulators(["left", "top"])
    sums = model.accumulators
    assert not sums["left"].any() and not sums["top"].any()
    torch.testing.assert_close(sums["right"], x[1])
    model.reset_accumulators("right")
    assert not model.accumulators["right"].any()
    with pytest.raises(KeyError, match="bottom.*left"):
        model.reset_accumulators(["bottom"])
    model.reset_accumulators()
    assert model.accumulators == {}


def test_first_starts_single_streams_anew():
    model, x = make(), randn(3, 2, 5)
    model(x[:, 0])
    model(x[:, 1], first=torch.tensor([False, True, False]))
    torch.testing.assert_close(model.accumulators[0], 0.9 * x[0, 0] + x[0, 1])
    torch.testing.assert_close(model.accumulators[1], x[1, 1])


def test_accumulators_can_be_carried_over():
    model, other, x = make(), make(), randn(3, 5)
    model(x)
    other.accumulators = model.accumulators
    for name, sums in model.accumulators.items():
        assert torch.equal(other.accumulators[name], sums)


def test_state_grows_to_what_the_decay_allows():
    """On a constant input the sums end at 1 / (1 - decay); at decay 1 they never end."""
    for decay, limit in ((0.9, 10.0), (0.99, 100.0), (1.0, 5000.0)):
        model = make(accumulator_decay=decay, num_streams=1)
        model(torch.ones(1, 5000, 5))
        torch.testing.assert_close(model.accumulators[0], torch.full((5,), limit), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("names", [[1.5, 2, 3], [None, 1, 2], [True, 2, 3], [{}, 1, 2], torch.tensor([1, 1, 2])])
def test_names_that_could_not_be_found_again_are_refused(names):
    model = make()
    before = list(model.accumulators)
    with pytest.raises(ValueError, match="streams: expected"):
        model(randn(3, 5), streams=names)
    assert list(model.accumulators) == before


def test_sums_that_do_not_fit_are_refused_and_the_old_ones_stay():
    model = make()
    model(randn(3, 5))
    before = model.accumulators
    for sums in ({"a": torch.zeros(4)}, {"a": torch.full((5,), torch.nan)}, {1.5: torch.zeros(5)}):
        with pytest.raises(ValueError, match="expected"):
            model.accumulators = sums
    assert all(torch.equal(sums, before[name]) for name, sums in model.accumulators.items()) and len(before) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_in_half_precision_keeps_its_sums_in_float32(dtype):
    model = make().to(dtype)
    assert model(randn(3, 4, 5)).dtype == dtype
    assert model.accumulators[0].dtype == torch.float32
    model(randn(3, 5))


def test_deep_copies_have_sums_of_their_own():
    model = make()
    model(randn(3, 5))
    other = copy.deepcopy(model)
    other(randn(3, 5))
    assert not torch.equal(other.accumulators[0], model.accumulators[0])


# Where it is.


def test_device_can_be_assigned():
    model = make()
    model(randn(3, 5))
    model.device = "cpu"
    assert model.device == torch.device("cpu")
    model.double()
    assert model.accumulators[0].dtype == torch.float64
    assert model(randn(3, 5)).dtype == torch.float64
    with pytest.raises((RuntimeError, AssertionError)):  # the second from a PyTorch without CUDA
        model.device = "cuda:99"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_sums_move_with_the_model():
    model, x = make(), randn(3, 2, 5)
    expected = [model(x[:, t]) for t in range(2)]
    model.reset_accumulators()
    model(x[:, 0])
    model.device = "cuda"
    torch.testing.assert_close(model(x[:, 1]).cpu(), expected[1])
    assert model.accumulators[0].is_cuda


# What does not fit.


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        (torch.zeros(3, 4), r"\(B, 5\).*\(3, 4\)"),
        (torch.zeros(3, 5, 4), r"\(B, k, 5\).*\(3, 5, 4\)"),  # (B, C, T)
        (torch.zeros(5), r"\(B, 5\)"),
        (torch.zeros(3, 5, dtype=torch.complex64), "complex"),
        (torch.tensor([0, 5, 1]), "0 to 4, got 0 to 5"),
        (torch.tensor([0, -1, 1]), "got -1"),
        (torch.tensor([[0.0] * 5, [0.0, float("nan"), 0.0, 0.0, 0.0]]), r"rows \[1\]"),
        (torch.tensor([[float("inf")] * 5]), r"rows \[0\]"),
    ],
)
def test_inputs_that_do_not_fit_leave_the_sums_alone(inputs, complaint):
    model = make()
    model(randn(3, 5))
    before = model.accumulators
    with pytest.raises(ValueError, match=complaint):
        model(inputs)
    assert list(model.accumulators) == list(before)
    for name, sums in before.items():
        assert torch.equal(model.accumulators[name], sums)


def test_names_that_do_not_fit_are_refused():
    model, x = make(), randn(3, 5)
    with pytest.raises(ValueError, match="each name once"):
        model(x, streams=["a", "b", "a"])
    with pytest.raises(ValueError, match="3 rows, got 2"):
        model(x, streams=["a", "b"])
    with pytest.raises(ValueError, match=r"first: expected \(3,\)"):
        model(x, first=torch.tensor([True]))


def test_empty_batches_and_dead_channels():
    model = make(num_classes=2)
    assert model(torch.zeros(0, 5)).shape == (0, 2)
    assert model(torch.zeros(3, 0, 5)).shape == (3, 0, 2)
    assert model(torch.zeros(3, 5)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"vocab_size": 0}, "vocab_size"),
        ({"num_classes": 0}, "num_classes"),
        ({"hidden_sizes": (4, 0)}, "hidden_sizes"),
        ({"num_streams": -1}, "num_streams"),
        ({"dropout": 1.0}, "dropout"),
        ({"accumulator_decay": 1.5}, "decay"),
        ({"decay_kind": "slow"}, "kind"),
    ],
)
def test_configurations_that_cannot_be_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(**options)
