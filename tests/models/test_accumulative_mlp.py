"""The accumulative MLP: what it remembers, of whom, and when it forgets; its file; its training on windows."""

import copy

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from course_lib.data import StreamManager
from course_lib.models import SignalAccumulativeMLP
from course_lib.training import checkpoint, fit, truncated_step


@pytest.fixture(autouse=True)
def global_random_state_is_restored():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def make(**options):
    return SignalAccumulativeMLP(**{"vocab_size": 5, "num_streams": 3, "hidden_sizes": (7,)} | options).eval()


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# The sums of streams.


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


# Training.


def test_the_stored_state_is_cut_from_its_graph():
    model = make(decay_kind="learned").train()
    for x in randn(4, 3, 5):  # the second backward pass would fail if the graph of the first were still there
        model(x).sum().backward()
    assert all(not sums.requires_grad for sums in model.accumulators.values())


def test_the_gradient_reaches_back_to_the_start_of_the_window_and_no_further():
    x = randn(2, 6, 5).requires_grad_()
    model = make(decay_kind="learned").train()
    model(x[:, :2])
    (gradient,) = torch.autograd.grad(model(x[:, 2:])[:, -1].sum(), x)
    assert not gradient[:, :2].any() and gradient[:, 2:].abs().amax(dim=2).all()


def test_a_learned_decay_gets_the_gradient_of_its_window():
    """Against finite differences of a window whose starting sums are held."""
    model = make(decay_kind="learned").double().train()
    before, window = randn(3, 9, 5).double(), randn(3, 4, 5, seed=1).double()
    model(before)
    start = model.accumulators
    model(window).square().sum().backward()
    gradient, logits = model.accumulator.decay_logit.grad.clone(), model.accumulator.decay_logit

    def loss(shift):
        model.accumulators = start
        with torch.no_grad():
            logits[0] += shift
            value = model(window).square().sum()
            logits[0] -= shift
        return value

    assert gradient[0].item() == pytest.approx(((loss(1e-5) - loss(-1e-5)) / 2e-5).item(), rel=1e-5)


def test_validation_neither_sees_nor_moves_the_sums_of_training():
    model, x = make().train(), randn(3, 5)
    model(x)
    training = model.accumulators
    model.eval()
    assert all(not sums.any() for sums in model.accumulators.values())
    model(randn(3, 5, seed=1))
    model.eval()  # no change of mode: goes on
    assert all(sums.any() for sums in model.accumulators.values())
    model.train()
    for name, sums in model.accumulators.items():
        assert torch.equal(sums, training[name])
    model.eval()
    assert all(not sums.any() for sums in model.accumulators.values())


def test_fit_validates_every_epoch_from_empty_sums():
    streams = StreamManager(seed=0)
    train, held = (streams.load_data(3, *streams.get_torch_batches(3, 40), steps=10) for _ in range(2))
    model = SignalAccumulativeMLP(8, 3, num_classes=4, hidden_sizes=())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    options = {"training_step": truncated_step(), "optimizer": optimizer, "device": "cpu", "progress": False}
    table = fit(model, train, epochs=3, validation=held, **options).table
    assert table.validation_loss.nunique() == table.train_loss.nunique() == 1


def test_a_resumed_run_goes_on_with_the_sums_it_had(tmp_path):
    class Stopped(Exception):
        pass

    def run(stop_after=None, folder=None):
        streams = StreamManager(seed=0)
        batches = list(streams.load_data(3, *streams.get_torch_batches(3, 40), steps=10))
        seen, step = [], truncated_step()

        def counted(model, batch):
            if stop_after is not None and len(seen) == stop_after:
                raise Stopped
            seen.append(None)
            return step(model, batch)

        torch.manual_seed(0)
        model = SignalAccumulativeMLP(8, 3, num_classes=4, hidden_sizes=(6,), decay_kind="learned")
        options = {"checkpoint_dir": folder, "checkpoint_every": 1, "device": "cpu", "progress": False}
        fit(model, batches, epochs=2, training_step=counted, **options)
        return model

    expected = run()
    with pytest.raises(Stopped):
        run(stop_after=6, folder=tmp_path)
    got = run(folder=tmp_path)
    for (name, a), b in zip(expected.state_dict().items(), got.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.slow
def test_memory_is_what_the_labels_need():
    """Streams of 20-step cues: without memory at chance, 1 in 4; with it above 95 %."""
    scores = {}
    for decay in (0.0, 0.9):
        streams = StreamManager(seed=0)
        train, held = (streams.load_data(n, *streams.get_torch_batches(n, 500), steps=50) for n in (32, 16))
        torch.manual_seed(0)
        model = SignalAccumulativeMLP(8, 32, decay, num_classes=4)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        step, quiet = truncated_step(), {"device": "cpu", "progress": False}
        table = fit(model, train, epochs=20, validation=held, training_step=step, optimizer=optimizer, **quiet).table
        scores[decay] = table.validation_accuracy.iloc[-1]
    assert scores[0.0] == pytest.approx(0.25, abs=0.02)
    assert scores[0.9] > 0.95


def test_state_grows_to_what_the_decay_allows():
    """On a constant input the sums end at 1 / (1 - decay); at decay 1 they never end."""
    for decay, limit in ((0.9, 10.0), (0.99, 100.0), (1.0, 5000.0)):
        model = make(accumulator_decay=decay, num_streams=1)
        model(torch.ones(1, 5000, 5))
        torch.testing.assert_close(model.accumulators[0], torch.full((5,), limit), rtol=1e-4, atol=0.0)


# Files.


@pytest.mark.parametrize("name", ["model", "model.pt", "model.safetensors", "a.b/model.v1"])
def test_save_and_load(tmp_path, name):
    model = make(num_classes=2, accumulator_decay=[0.1, 0.5, 0.9, 0.99, 0.4], decay_kind="learned", dropout=0.5)
    model(randn(2, 4, 5), streams=["left", 7])
    model.save_model(tmp_path / name)
    assert [p.name for p in (tmp_path / name).parent.iterdir()] == [(tmp_path / name).name]
    before = torch.get_rng_state()
    loaded = SignalAccumulativeMLP.load_model(tmp_path / name, device="cpu")
    assert torch.equal(before, torch.get_rng_state())
    assert loaded.config == model.config and not loaded.training and not loaded.classifier.training
    x = randn(2, 5, seed=1)
    assert torch.equal(loaded(x, streams=["left", 7]), model(x, streams=["left", 7]))
    with safe_open(tmp_path / name, "pt") as file:  # any reader of safetensors reads it
        assert file.metadata() and list(file.keys())


def test_a_model_saved_in_training_goes_on_training(tmp_path):
    model = make().train()
    model(randn(3, 5))
    model.save_model(tmp_path / "model")
    loaded = SignalAccumulativeMLP.load_model(tmp_path / "model", device="cpu")
    assert loaded.training and all(module.training for module in loaded.modules())
    assert torch.equal(loaded.accumulators[2], model.accumulators[2])


def spoil(path, kind):
    data = bytearray(path.read_bytes())
    if kind == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "one number changed":
        data[-30] ^= 1
        path.write_bytes(data)
    elif kind == "pickle":
        torch.save({"weights": torch.zeros(3)}, path)


@pytest.mark.parametrize("kind", ["cut short", "empty", "one number changed", "pickle"])
def test_a_spoiled_file_is_refused(tmp_path, kind):
    path = tmp_path / "model.pt"
    make().save_model(path)
    spoil(path, kind)
    with pytest.raises(ValueError, match="model.pt"):
        SignalAccumulativeMLP.load_model(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        SignalAccumulativeMLP.load_model(tmp_path / "missing")
    checkpoint.save(tmp_path / "run", {"weights": {}})
    with pytest.raises(ValueError, match="expected a saved SignalAccumulativeMLP"):
        SignalAccumulativeMLP.load_model(tmp_path / "run")
    model = make()
    model.config["vocab_size"] = 6
    model.save_model(tmp_path / "mixed")
    with pytest.raises(ValueError, match="expected rows of 6"):
        SignalAccumulativeMLP.load_model(tmp_path / "mixed")


def test_a_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "model"
    make().save_model(path)
    old = path.read_bytes()

    def fails(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("course_lib.models.accumulative_mlp.save_file", fails)
    with pytest.raises(OSError, match="disk full"):
        make().save_model(path)
    assert path.read_bytes() == old and len(list(tmp_path.iterdir())) == 1


NAMES = {
    "range": range(3),
    "tensor": torch.tensor([7, 8, 9]),
    "a list of tensors": list(torch.tensor([7, 8, 9])),
    "array": np.arange(3, dtype=np.int32),
    "NumPy integers": list(np.arange(3)),
    "strings": np.array(["left", "right", "ö"]),
    "tuples": [("left", 1), ("left", np.int64(2)), (("a",), "b")],
    "mixed": ["1", 1, (1,)],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_any_names_of_streams_are_found_again_also_from_a_file(tmp_path, names):
    model, x = make(), randn(3, 2, 5)
    whole = copy.deepcopy(model)(x)
    model(x[:, :1], streams=names)
    model.save_model(tmp_path / "model")
    loaded = SignalAccumulativeMLP.load_model(tmp_path / "model")
    assert list(loaded.accumulators) == list(model.accumulators) and len(model.accumulators) <= 6
    expected = model(x[:, 1:], streams=names)
    torch.testing.assert_close(expected, whole[:, 1:])
    torch.testing.assert_close(loaded(x[:, 1:], streams=names), expected)
    model.reset_accumulators(names)
    assert not any(model.accumulators[name].any() for name in list(model.accumulators)[-3:])


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
