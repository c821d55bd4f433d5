"""Every layer in every configuration keeps the contract, and a layer that breaks it is told which promise it broke."""

import inspect
import runpy
from pathlib import Path

import pytest
import torch

import course_lib.layers as sl
from course_lib.sequence import check_contract, ragged

FAMILIES = {path.stem: runpy.run_path(path)["CASES"] for path in sorted(Path(__file__).parent.glob("cases/*.py"))}
CASES = {f"{family}: {name}": make for family, cases in FAMILIES.items() for name, make in cases.items()}


@pytest.mark.parametrize("name", CASES)
def test_layer_keeps_the_contract(name):
    case = CASES[name]()
    check_contract(case.make_layer, case.x, case.constants, case.properties, case.tolerance)


def test_every_public_layer_occurs_in_a_case():
    public = {c for c in vars(sl).values() if inspect.isclass(c) and issubclass(c, sl.SequenceLayer)}
    seen = {type(module) for make in CASES.values() for module in make().make_layer().modules()}
    missing = public - seen - {sl.SequenceLayer, sl.StatelessLayer}
    assert not missing, f"no contract case for {sorted(c.__name__ for c in missing)}"


class RunningSum(sl.SequenceLayer):
    """y[t] = x[0] + … + x[t], as a reader might write it; the layers below each break one promise."""

    receptive_field = (None, 0)

    def _layer(self, x, training, constants):
        return x.with_values(x.masked().values.cumsum(dim=1))

    def _initial_state(self, batch_size, spec, device, constants):
        spec = self._known_spec(spec)
        return (torch.zeros(batch_size, 1, *spec.shape, dtype=spec.dtype, device=device),)

    def _step(self, x, state, training, constants):
        y = state[0] + x.masked().values.cumsum(dim=1)
        return x.with_values(y), (y[:, -1:],)


class RoundsToFloat32(RunningSum):
    def _layer(self, x, training, constants):
        return super()._layer(x, training, constants).to(torch.float32)


class ForgetsTheMask(RunningSum):
    def _layer(self, x, training, constants):
        return x.with_values(x.values.cumsum(dim=1))


class MixesTheBatch(RunningSum):
    def _layer(self, x, training, constants):
        y = super()._layer(x, training, constants)
        return y.with_values(y.values - y.values.mean(dim=0, keepdim=True))


class ForgetsTheState(RunningSum):
    def _step(self, x, state, training, constants):
        return super()._step(x, self._initial_state(x.shape[0], x.spec, None, constants), training, constants)


class CutsTheGradient(RunningSum):
    def _step(self, x, state, training, constants):
        y, (total,) = super()._step(x, state, training, constants)
        return y, (total.detach(),)


class DeclaresTooShortAReach(RunningSum):
    receptive_field = (-3, 0)


class DeclaresTooLongAReach(sl.Delay):
    def __init__(self):
        super().__init__(2)
        self.receptive_field = (-3, 0)


class CountsLeadingInvalidSteps(RunningSum):
    def _initial_state(self, batch_size, spec, device, constants):
        return (*super()._initial_state(batch_size, spec, device, constants), torch.zeros(batch_size))

    def _step(self, x, state, training, constants):
        y, total = super()._step(x, state[:1], training, constants)
        return y, (*total, state[1] + x.shape[1])


class LeavesItToPyTorchToComplain(RunningSum):
    def _layer(self, x, training, constants):
        return super()._layer(
            x.with_values(x.masked().values @ torch.eye(4, dtype=x.values.dtype)), training, constants
        )


class ChangesItsArguments(RunningSum):
    def _step(self, x, state, training, constants):
        y, (total,) = super()._step(x, state, training, constants)
        state[0].add_(1)
        return y, (total,)


def test_a_correct_layer_of_ones_own_passes():
    check_contract(RunningSum, ragged(4))


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        (RoundsToFloat32, "spec: .*float32.*float64"),
        (ForgetsTheMask, "padding: NaN in invalid steps"),
        (MixesTheBatch, "batch: item 0"),
        (ForgetsTheState, "stream: blocks of 1 steps"),
        (CutsTheGradient, "gradients: blocks of 1 steps: gradient of x: differs by up to"),
        (DeclaresTooShortAReach, r"reach: .*\(-3, 0\), \(None, 0\) shows"),
        (DeclaresTooLongAReach, r"reach: .*\(-3, 0\), \(-2, -2\) shows"),
        (CountsLeadingInvalidSteps, "latency: the state after 1 leading blocks"),
        (LeavesItToPyTorchToComplain, "errors: .*raised RuntimeError"),
        (ChangesItsArguments, "errors: step changed its arguments"),
    ],
)
def test_a_broken_promise_is_named(layer, complaint):
    properties = (complaint.split(":")[0],)
    with pytest.raises(AssertionError, match=complaint):
        check_contract(layer, ragged(4), properties=properties)
    with pytest.raises(AssertionError):
        check_contract(layer, ragged(4))


def test_check_contract_refuses_what_it_cannot_use():
    with pytest.raises(ValueError, match="properties: .*'speed'"):
        check_contract(sl.Identity, ragged(4), properties=("speed",))
    with pytest.raises(ValueError, match="at least two items"):
        check_contract(sl.Identity, ragged(4)[:1])
