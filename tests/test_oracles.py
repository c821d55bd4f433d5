"""The layers against numbers that the JAX original computed in float64: values, masks, gradients and its own stream.

The oracle is a pair `sequence_layers.json` / `sequence_layers.npz`, read from $ORACLE_DIR or, where it is there, from
`shared/oracles` beside the checkout; any other pair of that format can stand in the folder. One test a case, named as
the case. Where there is no oracle these tests are skipped: tests/layers compares the same layers with PyTorch, SciPy
and librosa.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.paths import PROJECT_ROOT
from course_lib.sequence import Sequence, stream
from tests.oracle.compositions import build

FOLDER = Path(os.environ.get("ORACLE_DIR") or PROJECT_ROOT.parent / "shared" / "oracles")


def read_cases():
    """{name: (case, its arrays' file)} over every pair of files in the folder."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        arrays = path.with_suffix(".npz")
        if arrays.is_file():
            for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
                found[case["name"]] = (case, arrays)
    return found


CASES = read_cases()
OPENED = {path: np.load(path) for path in {path for _, path in CASES.values()}}

# Faults of the original that are not copied (CONTRACT of the sequence layers): here our masks and values are right.
OVERLAP = ("OverlapAdd", "Conv1DTranspose", "Conv2DTranspose", "InverseSTFT")
if os.environ.get("ORACLE_DIR") and not CASES:
    raise FileNotFoundError(f"ORACLE_DIR: expected a .json and a .npz file of one name in {FOLDER}, found none")


def padding_of(case):
    config = {**case["config_full"], **case["config"]}
    return config.get("padding") or config.get("time_padding")


class Numbers:
    """The arrays of one case, as tensors."""

    def __init__(self, case, path):
        self.name, self.file = case["name"], OPENED[path]

    def __contains__(self, key):
        return f"{self.name}/{key}" in self.file.files

    def __getitem__(self, key):
        return torch.from_numpy(self.file[f"{self.name}/{key}"])

    def sequence(self, key):
        return Sequence(self[key], self[f"{key}_mask"])


def flat_like(values, target):
    """The oracle keeps attention heads apart; ours lie side by side."""
    return values.flatten(2).reshape(target.shape) if values.shape != target.shape else values


@pytest.mark.parametrize("name", CASES or [pytest.param("none", marks=pytest.mark.skip(reason="no oracle here"))])
def test_oracle(name):
    case, path = CASES[name]
    numbers, atol = Numbers(case, path), case["atol"]
    constants = {key: numbers.sequence(f"c/{key}") for key in case["constants"]}
    x = numbers.sequence("x")
    source = [c.shape[2:] for c in constants.values()]
    layer, table = build(case, tuple(x.shape[2:]), *(tuple(s) for s in source))
    assert set(table) == set(case["weights"]), "the oracle's weights and ours do not pair"
    for key, (parameter, transform, *rows) in table.items():
        with torch.no_grad():
            part = parameter[rows[0]] if rows else parameter
            part.copy_(transform(numbers[f"w/{key}"]).reshape(part.shape))

    differentiable = "gx" in numbers
    if differentiable:
        x = x.with_values(x.values.clone().requires_grad_())
    y = layer.layer(x, training=case["training"], constants=constants)

    expected, mask = numbers["y"], numbers["y_mask"]
    if case["layer"] in OVERLAP and padding_of(case) in ("valid", "semicausal_full"):
        # There its masks, to whose length it cuts the values, are at fault: ours may be longer and valid at more steps.
        assert y.shape[1] >= mask.shape[1], "the original gives more steps"
        y = y[:, : mask.shape[1]]
        assert not (mask & ~y.mask).any(), "a step that the original calls valid is not"
    else:
        torch.testing.assert_close(y.mask, mask)
    if case["layer"] == "GroupNormalization" and case["config"].get("cumulative"):
        return  # the original's cumulative variance is not the variance so far; ours is tested in tests/layers
    expected = flat_like(expected, y.values)
    torch.testing.assert_close(y.values[mask].detach(), expected[mask], rtol=1e-7, atol=atol)

    if differentiable:
        parameters = {key: p for key, (p, *_) in table.items() if p.requires_grad and f"gw/{key}" in numbers}
        cotangent = flat_like(numbers["ct"], y.values)
        loss = (Sequence(y.values, mask).masked().values * cotangent).sum()
        gradients = torch.autograd.grad(loss, [x.values, *parameters.values()])
        torch.testing.assert_close(gradients[0], numbers["gx"], rtol=1e-6, atol=10 * atol)
        for key, gradient in zip(parameters, gradients[1:], strict=True):
            _, transform, *rows = table[key]
            gradient = gradient[rows[0]] if rows else gradient
            wanted = transform(numbers[f"gw/{key}"]).reshape(gradient.shape)
            torch.testing.assert_close(
                gradient, wanted, rtol=1e-6, atol=10 * atol, msg=lambda m, key=key: f"{key}: {m}"
            )

    if "s" in numbers and layer.supports_step:
        streamed = stream(layer, x, layer.block_size, constants=constants)
        theirs, valid = numbers["s"], numbers["s_mask"]
        late = case["output_latency"]
        theirs, valid = flat_heads(theirs, streamed)[:, late:], valid[:, late:]
        steps = min(theirs.shape[1], streamed.shape[1])
        both = valid[:, :steps] & streamed.mask[:, :steps]
        assert not (valid[:, steps:]).any(), "the original's stream has valid steps beyond ours"
        torch.testing.assert_close(both, valid[:, :steps])
        torch.testing.assert_close(
            streamed.values[:, :steps][both].detach(), theirs[:, :steps][both], rtol=1e-7, atol=atol
        )


def flat_heads(values, like):
    """(B, T, H, D) -> (B, T, H * D) where ours has one channel axis less."""
    return values.flatten(2) if values.dim() > like.values.dim() else values


def made_up(layer, channels, weights=(), **config):
    """A layer of the adapter for a case that no oracle holds."""
    return build({"layer": layer, "config": config, "config_full": {"name": None}, "weights": weights}, channels)


@pytest.mark.parametrize("value", [1, None, "a"])
def test_the_adapter_refuses_a_field_that_it_does_not_know(value):
    made_up("Downsample1D", (4,), rate=2)
    with pytest.raises(ValueError, match="does not know the field 'no_such_field'"):
        made_up("Downsample1D", (4,), rate=2, no_such_field=value)


def test_the_adapter_refuses_values_that_it_cannot_express():
    norm = {"epsilon": 1e-6, "use_scale": True}
    assert made_up("RMSNormalization", (3, 5), axis=[-2, -1], **norm)[0].normalized_shape == (3, 5)
    with pytest.raises(ValueError, match="axis: expected the last channel axes"):
        made_up("RMSNormalization", (3, 5), axis=2, **norm)
    with pytest.raises(ValueError, match="does not know the field 'axis'"):
        made_up("ApplyRotaryPositionalEncoding", (4, 6), max_wavelength=1e4, axis=2)


@pytest.mark.parametrize("delayed, kind", [(True, "Delay"), (False, "StepDelay")])
def test_a_delay_of_the_stream_alone_is_another_layer(delayed, kind):
    assert type(made_up("Delay", (4,), length=3, delay_layer_output=delayed)[0]).__name__ == kind


def test_three_projections_go_to_the_rows_of_one():
    names = [f"params/{part}_projection/kernel" for part in ("query", "key", "value")]
    config = {"num_heads": 4, "units_per_head": 3, "max_past_horizon": 2, "max_future_horizon": 0, "num_kv_heads": 2}
    config |= {"use_bias": False, "attention_logits_soft_cap": None, "per_dim_scale": True}
    layer, table = made_up("DotProductSelfAttention", (5,), names, **config)
    rows = [table[name][2] for name in names]
    assert rows == [slice(0, 12), slice(12, 18), slice(18, 24)] and len(layer.in_proj_weight) == 24
    assert table["params/per_dim_scale"][0] is layer.per_dim_scale
