"""The file of the accumulative MLP: the model and its streams come back; what is damaged is refused."""

import copy

import numpy as np
import pytest
import torch
from safetensors import safe_open

from course_lib.models import SignalAccumulativeMLP
from course_lib.training import checkpoint
from tests.models.accumulative import make, randn

pytestmark = pytest.mark.usefixtures("seeded")


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
