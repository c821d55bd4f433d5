"""A layer or a classifier as a file: what comes out of it, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import course_lib.layers as sl
from course_lib.estimator import SignalClassifier
from course_lib.events import Detections, LiveDetector
from course_lib.export import Model, Stream, export
from course_lib.models import EventDetector
from course_lib.sequence import random_sequence


@pytest.fixture(scope="module")
def chain():
    """Latency 1 + 2 and a stride of 2."""
    return sl.Sequential([sl.Conv1D(3, 8, 3, padding="same"), sl.Conv1D(8, 6, 4, 2, padding="same"), sl.GRU(6, 5)])


@pytest.fixture(scope="module")
def file(chain, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "chain.onnx"
    export(chain, path, streaming=True, block=4, sample_rate=100.0)
    return path


@pytest.mark.parametrize("lengths", [[17], [1] * 17, [4, 13], [0, 3, 14], [16]], ids=str)
def test_chunks_of_any_length_give_what_the_layer_gives(chain, file, lengths):
    x = random_sequence(2, sum(lengths), 3, seed=0)
    with torch.no_grad():
        expected = chain(x.values).numpy()
    stream, start, outputs = Stream(file, batch_size=2), 0, []
    for length in lengths:
        outputs.append(stream.push(x.values[:, start : start + length].numpy()))
        start += length
    outputs.append(stream.flush())
    got = np.concatenate([y for y in outputs if y is not None], axis=1)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_stream_can_begin_again_and_has_no_say_in_another(chain, file):
    x = torch.randn(1, 16, 3, generator=torch.Generator().manual_seed(0)).numpy()
    first, second = Stream(file), Stream(file).fresh()
    expected = first.push(x)
    second.push(10 * x)
    first.reset()
    np.testing.assert_array_equal(first.push(x), expected)
    np.testing.assert_array_equal(second.fresh().push(x), expected)


def test_a_file_says_what_it_is(file):
    about = Stream(file).metadata
    assert (about.kind, about.block, about.channels, about.output_ratio) == ("stream", 4, (3,), "1/2")
    assert about.sample_rate == 100.0 and about.version and 0 <= about.error < 1e-5


def test_what_is_pushed_is_checked(file):
    stream = Stream(file)
    for wrong, word in (
        (np.zeros((1, 3, 4)), "time axis"),
        (np.zeros((2, 4, 3)), "batch of 1"),
        (np.zeros(3), "B, T, 3"),
    ):
        with pytest.raises(ValueError, match=word):
            stream.push(wrong)
    for value in (np.nan, np.inf, 1e300):
        with pytest.raises(ValueError, match="finite"):
            stream.push(np.full((1, 4, 3), value))
    stream.flush()
    assert stream.flush() is None
    with pytest.raises(ValueError, match="flush"):
        stream.push(np.zeros((1, 4, 3)))
    with pytest.raises(ValueError, match="kind sequence or classifier"):
        Model(file)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import of it fails
import numpy as np
from course_lib.export import Stream
stream = Stream(sys.argv[1])
assert stream.push(np.ones((1, 8, 3))).shape == (1, 2, 5)
assert stream.flush().shape == (1, 2, 5)
"""


def test_a_file_runs_where_pytorch_is_not_installed(file):
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, str(file)], check=True)


def test_a_file_that_differs_is_not_written(chain, file, tmp_path):
    (tmp_path / "old.onnx").write_bytes(b"old")
    with pytest.raises(ArithmeticError, match="differ"):
        export(chain, tmp_path / "old.onnx", streaming=True, tolerance=0.0)
    assert (tmp_path / "old.onnx").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["old.onnx"]


def test_what_does_not_fit_is_named(tmp_path):
    path = tmp_path / "no.onnx"
    strided = sl.Conv1D(3, 4, 3, 2)
    for source, options, word in (
        (strided, {"streaming": True, "block": 3}, "block: expected a multiple"),
        (sl.ReLU(), {"streaming": True}, "spec: ReLU does not know"),
        (strided, {"streaming": True, "spec": sl.ChannelSpec((4,))}, "expected"),
        (sl.Dense(4), {"spec": sl.ChannelSpec((3,))}, "run it on data once"),
        (torch.nn.Linear(3, 4), {"streaming": True}, "streaming: expected a SequenceLayer"),
        (torch.nn.Linear(3, 4), {}, "example: expected an input"),
        (SignalClassifier(), {}, "fitted classifier"),
        (strided, {"block": 4, "classes": ("a", "b")}, "classes, block: expected no such argument, since Conv1D is"),
        (strided, {"streaming": True, "example": torch.zeros(1, 8, 3)}, "example: expected no such argument"),
    ):
        with pytest.raises(ValueError, match=word):
            export(source, path, **options)
    unlimited = sl.DotProductSelfAttention(4, 2, 2, -1, -1)
    with pytest.raises(NotImplementedError, match="cannot step: max_future_horizon=-1"):
        export(unlimited, path, streaming=True)
    assert not list(tmp_path.iterdir())


def test_a_size_that_tracing_settled_is_said(tmp_path):
    """A Python loop over an axis makes a graph of so many steps: an `IIRFilter` on whole inputs is one."""
    path, loop = tmp_path / "loop.onnx", sl.Lambda(lambda v: torch.stack(v.unbind(1), 1))
    with pytest.raises(NotImplementedError, match="32 steps, and no other number: pass an example="):
        export(loop, path, spec=sl.ChannelSpec((3,)))
    assert export(loop, path, example=torch.zeros(1, 20, 3)).steps == 20
    with pytest.raises(NotImplementedError, match="2 in a batch"):
        export(sl.Lambda(lambda v: torch.stack(v.unbind(0))), path, spec=sl.ChannelSpec((3,)), streaming=True)


def test_a_layer_on_whole_inputs_of_any_length(tmp_path):
    layer = sl.Sequential([sl.Conv1D(3, 8, 3, 2, padding="same"), sl.BatchNorm(8), sl.Dropout(0.5), sl.Dense(4, 8)])
    layer.train()
    before, drawn = {name: value.clone() for name, value in layer.state_dict().items()}, torch.get_rng_state()
    export(layer, tmp_path / "whole.onnx")
    assert layer.training and torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    layer.eval()
    for batch, steps in ((1, 16), (4, 37)):
        x = torch.randn(batch, steps, 3, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            np.testing.assert_allclose(Model(tmp_path / "whole.onnx")(x.numpy()), layer(x).numpy(), atol=1e-5)


def test_tokens_are_whole_numbers_of_any_type(tmp_path):
    layer = sl.Embedding(5, 3)
    export(layer, tmp_path / "tokens.onnx", streaming=True)
    stream = Stream(tmp_path / "tokens.onnx")
    got = stream.push(np.array([[0.0, 4.0]], np.float32))  # as a WebSocket brings them
    np.testing.assert_allclose(got, layer(torch.tensor([[0, 4]])).detach().numpy(), atol=1e-6)
    for values in (1.5, np.nan):
        with pytest.raises(ValueError, match="x: expected whole numbers, int64, got others"):
            stream.push(np.array([[values]], np.float32))


def test_8_bits_are_smaller_and_near(chain, tmp_path):
    with pytest.raises(ValueError, match="int8: expected a matrix product"):
        export(sl.ReLU(), tmp_path / "8.onnx", spec=sl.ChannelSpec((3,)), streaming=True, int8=True)
    layer = sl.Sequential([sl.Conv1D(8, 64, 5), sl.Dense(64, 64), sl.ReLU(), sl.Dense(64, 64)]).eval()
    layer(torch.zeros(1, 5, 8))
    sizes = []
    for name, int8 in (("32.onnx", False), ("8.onnx", True)):
        about = export(layer, tmp_path / name, streaming=True, block=4, int8=int8)
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[1] < 0.45 * sizes[0]
    x = torch.randn(1, 40, 8, generator=torch.Generator().manual_seed(0))
    expected = layer(x).detach().numpy()
    got = Stream(tmp_path / "8.onnx").push(x.numpy())
    assert about.int8 and 0 < np.abs(got - expected).max() < 0.03 * np.abs(expected).max()


@pytest.fixture(scope="module")
def classifier():
    rng = np.random.default_rng(0)
    X = [39 + 3 * rng.standard_normal((length, 2)).astype("f") for length in rng.integers(20, 33, 24)]
    for signal in X[12:]:
        signal[::2] += 6
    return SignalClassifier(epochs=2, model_dim=16, num_layers=1, channels=(8, 16), nan="mask", random_state=0).fit(
        X, np.repeat([3, 7], 12)
    ), X


def test_a_classifier_of_ragged_signals_and_gaps(classifier, tmp_path):
    model, X = classifier
    export(model, tmp_path / "m.onnx")
    file = Model(tmp_path / "m.onnx")
    gaps = [signal.copy() for signal in X]
    for signal in gaps:
        signal[3:6] = np.nan
    for signals in (X, gaps, [X[0][:4], np.concatenate([X[1], X[1]])]):
        np.testing.assert_allclose(file.predict_proba(signals), model.predict_proba(signals), atol=1e-5)
    assert (file.predict(X) == model.predict(X)).all() and set(file.predict(X)) <= {3, 7}
    for wrong, word in (([], "at least one"), ([np.zeros((4, 3))], "L, 2"), ([np.full((4, 2), np.inf)], "infinity")):
        with pytest.raises(ValueError, match=word):
            file.predict_proba(wrong)
    with pytest.raises(ValueError, match="kind sequence"):
        file(X)


def test_live_detection_on_a_file_finds_the_same_events(tmp_path):
    torch.manual_seed(0)
    model = EventDetector(2, 3, width=16, dilations=(1,), attention_heads=2, refractory_period_samples=50).eval()
    torch.nn.init.normal_(model.heatmap_head.weight, std=2.0)
    mean, std = np.array([3.0, -1.0]), np.array([2.0, 0.5])
    export(model, tmp_path / "events.onnx", statistics=(mean, std), threshold=0.02)
    file = Model(tmp_path / "events.onnx")
    x = (mean + std * np.random.default_rng(0).standard_normal((3000, 2))).astype("f")
    options = {"window": 1000, "margin": 100}
    found = []
    for live in (
        LiveDetector(model, 0.02, statistics=(mean, std), **options),
        LiveDetector(file, file.metadata.threshold, **options),
    ):
        found.append(Detections.concatenate([live.push(x[:1234]), live.push(x[1234:]), live.flush()]))
    assert len(found[0].times) > 5
    np.testing.assert_array_equal(found[1].types, found[0].types)
    np.testing.assert_allclose(found[1].times, found[0].times, atol=1e-2)
