"""The rule for dtypes in course_lib.layers, over all cases: half precision, autocast, devices without float64."""

import contextlib
import runpy
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import course_lib.layers as sl
from course_lib.layers.positional import angles_at
from course_lib.sequence import Sequence, ragged

FAMILIES = {path.stem: runpy.run_path(path)["CASES"] for path in sorted(Path(__file__).parent.glob("cases/*.py"))}
HALF = {torch.float16: 1e-2, torch.bfloat16: 4e-2}  # share of the largest value by which results may differ
float32 = torch.float32


def cast(x, dtype):
    return x.to(dtype if x.values.is_floating_point() else torch.complex64) if not is_integer(x) else x


def is_integer(x):
    return not (x.values.is_floating_point() or x.values.is_complex())


def two_blocks(layer, x):
    index = torch.arange(2 * layer.block_size) % x.shape[1]
    return Sequence(x.values[:, index], x.mask[:, index])


def family(name):
    """The layers of a family, each with its name, input and constants."""
    for case_name, make in FAMILIES[name].items():
        case = make()
        torch.manual_seed(0)
        yield case_name, case.make_layer(), case.x, case.constants or {}


def runs(layer, x, constants):
    """Outputs of the whole sequence and of two steps of two blocks, and the dtypes of the states before and after."""
    y = layer.layer(x, training=False, constants=constants)
    if not layer.supports_step:
        return [y], None, None
    state = layer.initial_state(x.shape[0], x.spec, device=x.values.device, constants=constants)
    before = [leaf.dtype for leaf in tree_leaves(state)]
    outputs = [y]
    for _ in range(2):
        y, state = layer.step(two_blocks(layer, x), state, training=False, constants=constants)
        outputs.append(y)
    return outputs, before, [leaf.dtype for leaf in tree_leaves(state)]


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", FAMILIES)
def test_in_half_precision_out_comes_what_went_in_near_to_float32(name, dtype):
    for case, layer, x, constants in family(name):
        if case == "Lambda to complex":  # the function's own limit
            continue
        x, constants = cast(x, dtype), {key: cast(c, dtype) for key, c in constants.items()}
        layer = layer.to(dtype)
        declared = layer.output_spec(x.spec)
        outputs, before, after = runs(layer, x, constants)
        assert before == after, case
        wide, constants = cast(x, float32), {key: cast(c, float32) for key, c in constants.items()}
        expected, *_ = runs(layer.float(), wide, constants)
        for y, e in zip(outputs, expected, strict=True):
            assert y.spec.dtype == declared.dtype, f"{case}: {y.spec.dtype}, {declared.dtype} declared"
            assert torch.equal(y.mask, e.mask), case
            kind = torch.complex64 if y.values.is_complex() else float32
            got, e = y.masked().values.to(kind), e.masked().values.to(kind)
            assert not got.numel() or (got - e).abs().max() <= HALF[dtype] * (1 + e.abs().max()), case


@pytest.mark.parametrize("chosen, given", [(torch.bfloat16, float32), (torch.bfloat16,) * 2, (torch.float16, float32)])
@pytest.mark.parametrize("name", FAMILIES)
def test_under_autocast_any_floating_dtype_goes_in_and_a_state_keeps_its_own(name, chosen, given):
    for case, layer, x, constants in family(name):
        x, constants = cast(x, given), {key: cast(c, given) for key, c in constants.items()}
        with torch.autocast("cpu", chosen):
            outputs, before, after = runs(layer, x, constants)
        assert before == after, case
        wide = cast(x, float32), {key: cast(c, float32) for key, c in constants.items()}
        for y, e in zip(outputs, runs(layer, *wide)[0], strict=True):
            assert torch.equal(y.mask, e.mask), case
            kind = torch.complex64 if y.values.is_complex() else float32
            got, e = y.masked().values.to(kind), e.masked().values.to(kind)
            assert not got.numel() or (got - e).abs().max() <= HALF[torch.bfloat16] * (1 + e.abs().max()), case


class NoFloat64(TorchDispatchMode):
    """Apple's MPS, by way of the device `meta`: an operation that would make a tensor of float64 there is refused."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.is_meta and leaf.dtype in (torch.float64, torch.complex128):
                raise TypeError(f"float64 on a device that lacks it: {func}")
        return out


@pytest.mark.parametrize("name", FAMILIES)
def test_no_layer_needs_float64_on_the_device(name):
    for _, layer, x, constants in family(name):
        if any(isinstance(module, sl.IIRFilter) for module in layer.modules()):  # it is computed on the CPU
            continue
        x, constants = cast(x, float32), {key: cast(c, float32) for key, c in constants.items()}
        layer.layer(x, training=False, constants=constants)  # lazy weights take their shape
        layer, constants = layer.to("meta"), {key: c.to("meta") for key, c in constants.items()}
        for masked in (False, True):
            whole = x if masked else Sequence.of(x.values)
            with NoFloat64(), contextlib.suppress(NotImplementedError):
                runs(layer, whole.to("meta"), constants)


def test_angles_are_as_exact_in_float32_far_into_a_stream():
    positions = torch.tensor([0, 1, 999_983, 10**6, 2**40 + 1])
    rates = (1.0, 0.3, 1e-4, 123.456)
    exact = angles_at(positions[:4], rates, torch.float64)
    single = angles_at(positions, rates, float32)[:4]
    torch.testing.assert_close(torch.cos(single).double(), torch.cos(exact), rtol=0, atol=3e-7)
    product = positions[:4, None].double() * torch.tensor(rates, dtype=torch.float64)
    for function in (torch.sin, torch.cos):
        torch.testing.assert_close(function(exact), function(product), rtol=0, atol=1e-7)
    fractions = angles_at(torch.tensor([2.25, -0.5], dtype=torch.float64), rates, torch.float64)
    product = torch.tensor([[2.25], [-0.5]]).double() * torch.tensor(rates, dtype=torch.float64)
    torch.testing.assert_close(torch.sin(fractions), torch.sin(product))


@pytest.mark.parametrize("value", [5.6, 8.0, 30.0, 60_000.0])
def test_mish_does_not_overflow_in_float16(value):
    x = torch.full((1, 5000, 1), value, dtype=torch.float16)
    torch.testing.assert_close(sl.Mish()(x), x)


def test_sums_over_many_steps_do_not_overflow_in_float16():
    x = torch.full((1, 70_000, 1), 30.0, dtype=torch.float16)
    for pooling in (sl.MeanPooling(), sl.AttentionPooling(1).half(), sl.AveragePooling1D(70_000, padding="valid")):
        torch.testing.assert_close(pooling(x).flatten(), torch.full((1,), 30.0, dtype=torch.float16))
    mean, deviation = sl.StatisticsPooling()(x * 10)[0]
    assert mean == 300 and deviation < 0.1


@pytest.mark.parametrize("kind", ["fixed", "learned"])
def test_a_decay_near_one_is_not_one_in_bfloat16(kind):
    layer = sl.Accumulator(1, 0.999, kind).bfloat16()
    y = layer(torch.ones(1, 3000, 1, dtype=torch.bfloat16))
    torch.testing.assert_close(y[0, -1].float(), torch.tensor([950.0]), rtol=0.02, atol=0)


def test_what_was_accepted_under_autocast_is_checked_again_outside():
    layer, x = sl.Dense(3, 4), ragged(4, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        layer.layer(x)
    with pytest.raises(ValueError, match="x: expected torch.float32, got torch.bfloat16 in Dense"):
        layer.layer(x)


@pytest.mark.parametrize("body", [lambda: sl.Dense(8, 8), lambda: sl.FeedForward(8), lambda: sl.Conv1D(8, 8, 3)])
@pytest.mark.parametrize("combine", ["add", "mean", "product", "stack", "concatenate"])
def test_autocast_may_hand_branches_different_dtypes(body, combine):
    layer = sl.Parallel([body(), sl.Identity()], combine)
    for dtype in (float32, torch.bfloat16):
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(torch.randn(2, 16, 8).to(dtype)).shape[:2] == (2, 16)
    with pytest.raises(ValueError, match="do not fit together"):
        sl.Parallel([sl.Scale(torch.ones(8, dtype=torch.float64)), sl.Identity()], combine)(torch.randn(2, 16, 8))
