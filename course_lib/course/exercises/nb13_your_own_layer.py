"""Exercises of notebook 13: a layer of one's own, and the latency of a chain of them."""

from fractions import Fraction
from math import ceil

import torch

import course_lib.layers as sl
from course_lib.course.exercises import Draw, Edge, Hint, exercise
from course_lib.sequence import check_contract, ragged


class _RunningMax(sl.SequenceLayer):
    """The running maximum; the layers below get one thing wrong each."""

    receptive_field = (None, 0)
    fill = -torch.inf

    def output_spec(self, spec):
        if not spec.dtype.is_floating_point:
            raise ValueError(f"x: expected floating-point values, got {spec.dtype}")
        return spec

    def _layer(self, x, training, constants):
        return x.with_values(x.masked(-torch.inf).values.cummax(dim=1).values)

    def _initial_state(self, batch_size, spec, device, constants):
        return (torch.full((batch_size, 1, *spec.shape), -torch.inf, dtype=spec.dtype, device=device),)

    def _step(self, x, state, training, constants):
        largest = torch.maximum(x.masked(self.fill).values.cummax(dim=1).values, state[0])
        return x.with_values(largest), (largest[:, -1:],)


class _MasksWithZero(_RunningMax):
    fill = 0.0


class _IgnoresTheMask(_RunningMax):
    def _step(self, x, state, training, constants):
        y, state = super()._step(sl.Sequence.of(x.values), state, training, constants)
        return x.with_values(y.values), state


class _WholeBlock(_RunningMax):
    def _step(self, x, state, training, constants):
        largest = torch.maximum(x.masked(-torch.inf).values.amax(dim=1, keepdim=True), state[0])
        return x.with_values(largest.expand_as(x.values)), (largest,)


class _Forgets(_RunningMax):
    def _step(self, x, state, training, constants):
        return super()._step(x, (torch.full_like(state[0], -torch.inf),), training, constants)


def _with_state(change):
    """A running maximum whose next state is `change(x, state before, outputs)`."""

    class Changed(_RunningMax):
        def _step(self, x, state, training, constants):
            y, _ = super()._step(x, state, training, constants)
            return y, (change(x, state[0], y.values),)

    return Changed


def _with_values(values):
    """A running maximum whose outputs are these."""

    class Changed(_RunningMax):
        def _step(self, x, state, training, constants):
            y, state = super()._step(x, state, training, constants)
            return x.with_values(values(x)), state

    return Changed


def _blocks(draw: Draw):
    yield -torch.tensor([[[2.0], [1.0], [3.0]]]), torch.tensor([[True, True, True]]), 2
    below = torch.tensor([[-5.0, -3.0, -4.0, -9.0, -6.0, -2.0], [-1.0, -8.0, -7.0, -3.0, -4.0, -2.0]])[..., None]
    yield below, torch.tensor([[True] * 6, [False, True, True, False, True, False]]), 4
    for B, T, C in [draw.sizes(3, 2, 6), draw.sizes(3, 2, 6)]:
        yield draw.tensor(B, T + 2, C) - 1, torch.from_numpy(draw.rng.random((B, T + 2)) < 0.7), draw.integer(1, T)
    yield Edge((None, None, None), "The values are right here, but the contract finds: {came}")


def _two_blocks(make_layer, values, mask, first):
    """What the layer gives for two blocks and keeps between them; without values, what the contract says of it."""
    if values is None:
        try:
            check_contract(make_layer, ragged(3))
        except AssertionError as broken:
            return str(broken)
        return "nothing"
    layer, x = make_layer(), sl.Sequence(values, mask)
    out = layer.step(x[:, :first], layer.initial_state(len(values), x.spec))
    if not isinstance(out, tuple) or len(out) != 2:
        raise Hint("Return two things: the outputs as a Sequence, and the next state.")
    y, state = out
    if not isinstance(y, sl.Sequence):
        raise Hint("The outputs are a tensor: `x.with_values(...)` makes a Sequence with the mask of x.")
    if not isinstance(state, tuple):
        raise Hint("The state is a tuple of tensors, as `_initial_state` makes it: put a comma after its one member.")
    valid = mask[..., None]
    before = torch.where(valid[:, :first], y.values, 0.0)
    if state[0].shape != (len(values), 1, values.shape[2]):
        return before, state[0], ...
    y, _ = layer.step(x[:, first:], state)
    return before, state[0], torch.where(valid[:, first:], y.values, 0.0)


@exercise(
    notebook="13",
    title="A running maximum",
    minutes=12,
    inputs=_blocks,
    call=_two_blocks,
    parts=("the output of the first block", "the state after the first block", "the output of the second block"),
    mistakes=[
        (_MasksWithZero, "Padding takes part as 0, which beats every negative value: use -inf."),
        (_IgnoresTheMask, "Invalid steps take part: mask the values before the maximum."),
        (_WholeBlock, "Every step gets the maximum of the whole block, the future included: use cummax."),
        (_with_values(lambda x: x.values), "These are the values themselves, not the largest so far."),
        (
            _with_state(lambda x, state, y: state),
            "The state comes back as it went in: the next block needs the largest value so far.",
        ),
        (_with_state(lambda x, state, y: y[:, -1]), "The state lost its time axis: keep (B, 1, C) with `[:, -1:]`."),
        (_with_state(lambda x, state, y: y), "The state has grown to the whole block: its last step is enough."),
        (_with_state(lambda x, state, y: x.values[:, -1:]), "The state is the last value, not the largest so far."),
        (_Forgets, "The second block forgets the first: compare with state[0], too."),
    ],
    example=(-torch.tensor([[[2.0], [1.0], [3.0]]]), torch.tensor([[True, True, True]]), 2),
    hints=[
        "A block has several steps: each needs the largest so far in the block, and what came before the block.",
        ("Within the first block alone the maxima are {}.", lambda v, mask, first: v[:, :first].cummax(dim=1).values),
        "Invalid steps as −∞, `cummax` over time, then the maximum with the state. The next state is the last step of "
        "that, with "
        "its time axis.",
        "Begin with `largest = x.masked(-torch.inf).values.cummax(dim=1).values`.",
    ],
)
def running_max():
    """RunningMax._step(x, state, training, constants) -> (x with the largest valid value so far, the next state)"""
    return _RunningMax()


# (block_size, output_ratio, input_latency, output_latency)
CENTRED = (1, Fraction(1), 1, 1)
PAIRS = (2, Fraction(1, 2), 0, 0)
LATE_PAIRS = (2, Fraction(1, 2), 2, 1)
FOUR = (4, Fraction(1, 4), 4, 1)
THREE = (3, Fraction(1, 3), 6, 2)
WIDE = (1, Fraction(1), 5, 5)
DOUBLE = (1, Fraction(2), 0, 0)
LATE_DOUBLE = (1, Fraction(2), 2, 4)


def _chains(draw: Draw):
    yield [FOUR]
    yield [CENTRED, CENTRED]
    yield [CENTRED, FOUR]
    yield [CENTRED, PAIRS, CENTRED]
    yield [CENTRED, PAIRS, CENTRED, LATE_PAIRS, CENTRED]
    yield [LATE_PAIRS, THREE, WIDE]
    yield [DOUBLE, LATE_DOUBLE, CENTRED]
    yield [DOUBLE, CENTRED, DOUBLE, CENTRED]  # a later step is worth less than one input step: rounded up
    yield Edge(([],), "No layer at all has no latency.")
    for _ in range(6):
        layers = (CENTRED, PAIRS, LATE_PAIRS, FOUR, THREE, WIDE, DOUBLE, LATE_DOUBLE)
        yield [draw.choice(layers) for _ in range(draw.integer(2, 5))]


def _composed(waits=True, wait_in=True, scaled=True, own=False, worth=lambda steps, ratio: ceil(steps / ratio)):
    """The two latencies with one of the rules replaced."""

    def answer(stages):
        ratio, late_in, late_out = Fraction(1), 0, 0
        for block_size, output_ratio, input_latency, output_latency in stages:
            wait = -late_out % block_size if waits else 0
            late_in += worth(input_latency + (wait if wait_in else 0), ratio * output_ratio if own else ratio)
            late_out = int((late_out + wait) * (output_ratio if scaled else 1)) + output_latency
            ratio *= output_ratio
        return late_in, late_out

    return answer


@exercise(
    notebook="13",
    title="The latency of a chain",
    minutes=12,
    inputs=_chains,
    call=lambda fn, stages: fn(stages),
    parts=("the input latency", "the output latency"),
    mistakes=[
        (
            lambda stages: (sum(s[2] for s in stages), sum(s[3] for s in stages)),
            "These are plain sums: a step after a stride of 2 is two input steps.",
        ),
        (lambda stages: _composed()(stages)[::-1], "The two are swapped: the input latency comes first."),
        (
            lambda stages: _composed()(stages[::-1]),
            "The chain is gone through from its end: the first layer comes first.",
        ),
        (_composed(waits=False), "The wait is missing: before a layer with blocks, whole blocks must be late."),
        (
            _composed(worth=lambda steps, ratio: ceil(steps * ratio)),
            "Divide by the ratio so far: a later layer's step is worth 1/R input steps.",
        ),
        (
            _composed(worth=lambda steps, ratio: steps),
            "The input latencies are in steps of different length: divide by the ratio so far.",
        ),
        (
            _composed(worth=lambda steps, ratio: int(steps / ratio)),
            "The input latency is rounded down: a part of an input step is waited for, too, so round up.",
        ),
        (_composed(own=True), "R is the ratio before the layer: multiply its own in after using it."),
        (_composed(scaled=False), "The output latency so far is not scaled: a slower layer has fewer outputs."),
        (_composed(wait_in=False), "The wait delays the end, too: add it to the layer's input latency."),
    ],
    example=([CENTRED, FOUR],),
    hints=[
        "After the first layer ratio and both latencies are 1. How many steps are missing to a whole block of the "
        "second?",
        ("Before the second layer the wait is {}.", lambda stages: -stages[0][3] % stages[1][0]),
        "Four lines in a loop: the wait, the input latency, the output latency, and last the ratio. "
        "`-late % block_size` is the wait, `ceil` rounds up.",
        "Begin with `ratio, late_in, late_out = Fraction(1), 0, 0`.",
    ],
)
def chain_latency(stages):
    """chain_latency([(block_size, output_ratio, input_latency, output_latency), ...]) -> the chain's two latencies"""
    ratio, late_in, late_out = Fraction(1), 0, 0
    for block_size, output_ratio, input_latency, output_latency in stages:
        wait = -late_out % block_size
        late_in += ceil((input_latency + wait) / ratio)
        late_out = int((late_out + wait) * output_ratio) + output_latency
        ratio *= output_ratio
    return late_in, late_out
