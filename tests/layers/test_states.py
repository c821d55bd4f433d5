"""A state that does not belong to a layer is refused with an error that names the state."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_map

import course_lib.layers as sl
from course_lib.sequence import Sequence, ragged, stream
from course_lib.sequence.layer import _form

FAMILIES = [runpy.run_path(path)["CASES"] for path in sorted(Path(__file__).parent.glob("cases/*.py"))]


def cases_by_input():
    """{spec of the input: {form of the state: (name, layer, input, constants, state)}} of all cases that can step."""
    found = {}
    for name, make in (item for cases in FAMILIES for item in cases.items()):
        case = make()
        layer = case.make_layer().double()
        if layer.supports_step:
            constants = case.constants or {}
            state = layer.initial_state(case.x.shape[0], case.x.spec, constants=constants)
            found.setdefault(case.x.spec, {}).setdefault(_form(state), (name, layer, case.x, constants, state))
    return found


def test_the_state_of_any_other_layer_is_refused():
    pairs = 0
    for same_input in cases_by_input().values():
        for name, layer, x, constants, _ in same_input.values():
            index = torch.arange(layer.block_size) % x.shape[1]
            block = Sequence(x.values[:, index], x.mask[:, index])
            for other, *_, state in same_input.values():  # one layer for each form: all others differ
                if other == name:
                    layer.step(block, state, training=False, constants=constants)
                    continue
                pairs += 1
                source = "cross" in name and "cross" in other  # sources of other lengths serve as well
                if source:
                    continue
                with pytest.raises(ValueError, match="^state"):
                    layer.step(block, state, training=False, constants=constants)
    assert pairs > 1000


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda s: (s[0][:, :3], s[1]), r"\[0\]: expected a tensor \(2, 4\) of torch.float32"),
        (lambda s: (s[0].double(), s[1]), "of torch.float64"),
        (lambda s: (s[0][:1], s[1][:1]), r"got a tensor \(1, 4\)"),
        (lambda s: tree_map(lambda t: t.to("meta"), s), "on meta"),
        (lambda s: s[:1], "expected a tuple of 2, got a tuple of 1"),
        (lambda s: s[0], "got a tensor"),
        (lambda s: (s,), "got a tuple of 1"),
        (lambda s: tree_map(lambda t: t.numpy(), s), "got ndarray"),
        (lambda s: None, "got NoneType"),
        (lambda s: np.zeros((2, 4)), "got ndarray"),
    ],
)
def test_what_is_wrong_with_a_state_is_said(spoil, said):
    layer = sl.LSTM(3, 4)
    block = Sequence.of(torch.randn(2, 5, 3))
    state = layer.initial_state(2)
    layer.step(block, state)
    with pytest.raises(ValueError, match=f"^state.*{said}.* in LSTM"):
        layer.step(block, spoil(state))


def test_a_layer_without_a_state_takes_no_other():
    with pytest.raises(ValueError, match="state: expected a tuple of 0"):
        sl.Tanh().step(ragged(4), (torch.zeros(3),))


def test_a_state_may_be_saved_and_loaded_or_hold_lists():
    layer = sl.Residual(sl.Sequential([sl.Conv1D(4, 4, 3), sl.LSTM(4, 4)]))
    blocks = [Sequence.of(torch.randn(2, 3, 4)) for _ in range(2)]
    _, state = layer.step(blocks[0], layer.initial_state(2))
    expected, _ = layer.step(blocks[1], state)
    as_lists = [[list(part) for part in state[0]], *map(list, state[1:])]
    got, _ = layer.step(blocks[1], as_lists)
    torch.testing.assert_close(got.values, expected.values)


def test_a_state_is_checked_again_when_precision_or_batch_change():
    layer = sl.Conv1D(4, 4, 3)
    state = layer.initial_state(2)
    layer.step(Sequence.of(torch.randn(2, 3, 4)), state)
    with pytest.raises(ValueError, match=r"^state\[0\]: expected a tensor \(3, 2, 4\)"):
        layer.step(Sequence.of(torch.randn(3, 3, 4)), state)
    layer.double()
    with pytest.raises(ValueError, match="^state.*float64.*float32"):
        layer.step(Sequence.of(torch.randn(2, 3, 4).double()), state)


def test_cross_attention_takes_sources_of_any_length_and_no_other_state():
    layer = sl.Sequential([sl.DotProductAttention(4, 3, 2, 2), sl.LSTM(4, 4)])
    x = Sequence.of(torch.randn(2, 5, 4))
    for length in (1, 7):
        constants = {"source": Sequence.of(torch.randn(2, length, 3))}
        state = layer.initial_state(2, constants=constants)
        y, _ = layer.step(x, state)  # the source is in the state
        torch.testing.assert_close(y.values, stream(layer, x, constants=constants).values)
    with pytest.raises(ValueError, match=r"^state\[1\]\[0\]: expected a tensor \(2, 4\)"):
        layer.step(x, (state[0], (torch.zeros(2, 512),) * 2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: sl.Sequential([sl.Lookahead(1), sl.Conv1D(4, 4, 3, stride=2)]),
        lambda: sl.Sequential([sl.Tanh(), sl.Lookahead(1), sl.Tanh(), sl.Conv1D(4, 4, 3, stride=2)]),
        lambda: sl.Sequential([sl.Conv1D(4, 4, 3, padding="same"), sl.Tanh(), sl.Conv1D(4, 4, 3, stride=2)]),
        lambda: sl.Sequential([sl.StepDelay(1), sl.Dense(4, 4)]),
        lambda: sl.Residual(sl.Sequential([sl.Delay(1), sl.Lookahead(1), sl.Dense(4, 4)])),
    ],
)
def test_the_input_may_be_left_out_where_a_later_layer_tells_it(make):
    layer = make()
    assert _form(layer.initial_state(2)) == _form(layer.initial_state(2, sl.ChannelSpec((4,))))
