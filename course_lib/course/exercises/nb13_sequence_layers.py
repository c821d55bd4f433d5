"""Exercises of notebook 13: a mask, the loop that drives a stream, a layer of one's own, the latency of a chain."""

from fractions import Fraction
from math import ceil

import torch

import course_lib.layers as sl
from course_lib.course.exercises import Draw, Edge, Hint, exercise
from course_lib.sequence import check_contract, ragged


def _padded(draw: Draw):
    yield torch.tensor([[[1.0], [2.0], [0.0]]]), torch.tensor([[True, True, False]])
    for B, T, C in [(1, 4, 1), (3, 6, 2), draw.sizes(3, 3, 7), draw.sizes(3, 3, 7)]:
        mask = draw.mask(B, T)
        mask[0], mask[:, :2] = torch.arange(T) < T - 1, True  # padding in one item, two valid steps in each
        yield torch.where(mask[..., None], 2.0 + draw.tensor(B, T, C), draw.choice([0.0, 9.0])), mask
    mask = torch.tensor([[True] * 6, [True, True, False, True, True, False], [False, True, True, False, False, False]])
    values = torch.where(mask[..., None], 2.0 + draw.tensor(3, 6, 2), torch.nan)
    through = "NaN in the padding gets through: 0 times NaN is NaN. Choose with torch.where, do not multiply."
    yield Edge((values, mask), through, nan=through)


def _standardised(steps=lambda T, count: count, squares=lambda T, count: count, again=True, zero=True, divide=True):
    """Standardised with another divisor of the mean or of the squares, or with one masking left out."""

    def answer(values, mask):
        T, valid = values.shape[1], mask[..., None]
        count = valid.sum(dim=1, keepdim=True)
        values = torch.where(valid, values, 0.0)
        distance = values - values.sum(dim=1, keepdim=True) / steps(T, count)
        counted = torch.where(valid, distance, 0.0) if again else distance
        deviation = (counted.square().sum(dim=1, keepdim=True) / squares(T, count)).sqrt() if divide else 1.0
        return torch.where(valid, distance / deviation, 0.0) if zero else distance / deviation

    return answer


def _all_steps(T, count):
    return T


def _masked_after(values, mask):
    y = (values - values.mean(1, keepdim=True)) / values.std(1, keepdim=True, correction=0)
    return torch.where(mask[..., None], y, 0.0)


@exercise(
    notebook="13",
    title="Standardise under a mask",
    minutes=12,
    inputs=_padded,
    gradients={
        "values": "The values are right, but a gradient is NaN: mask before computing from the values, not only after."
    },
    mistakes=[
        (_standardised(_all_steps), "The mean is divided by all steps: divide by the number of valid ones."),
        (
            _standardised(again=False),
            "The mean is right, the deviation is not: after subtracting, padding holds minus the mean. Mask again.",
        ),
        (
            _standardised(squares=_all_steps),
            "The mean is right; the squares are divided by all steps instead of the valid ones.",
        ),
        (
            _standardised(squares=lambda T, count: count - 1),
            "The deviation is divided by n - 1: here it is n, no correction.",
        ),
        (
            _standardised(zero=False),
            "The valid steps are right. Invalid ones must come out as 0: they hold minus the mean.",
        ),
        (_standardised(divide=False), "The mean is subtracted, but nothing is divided."),
        (_masked_after, "Mean and deviation are taken over all steps: only the result is masked."),
    ],
    example=(torch.tensor([[[1.0], [5.0], [9.0]]]), torch.tensor([[True, True, False]])),
    hints=[
        "Padding does harm twice: it is counted in the mean, and after the mean is subtracted it is no longer zero.",
        (
            "Distances from the mean, padding zeroed again: {}.",
            lambda values, mask: torch.where(mask[..., None], values - values[mask].mean(), 0.0),
        ),
        "Zero the padding with `torch.where`; sum and divide by the number of valid steps; subtract; zero again; then "
        "the root "
        "of the mean square.",
        "Begin with `count = mask.sum(dim=1)[:, None, None]`, of shape (B, 1, 1).",
    ],
)
def masked_standardise(values, mask):
    """masked_standardise(values, mask): values (B, T, C), mask (B, T) -> (B, T, C), 0 at invalid steps"""
    mask, count = mask[:, :, None], mask.sum(dim=1)[:, None, None]  # (B, T, 1), (B, 1, 1)
    values = torch.where(mask, values, 0.0)
    mean = values.sum(dim=1, keepdim=True) / count  # (B, 1, C)
    distance = torch.where(mask, values - mean, 0.0)  # the padding is -mean after subtracting: mask again
    deviation = (distance.square().sum(dim=1, keepdim=True) / count).sqrt()  # (B, 1, C)
    return distance / deviation


def _mean_of_two():
    """A mean that looks ahead; latencies: out 1, in 1."""
    return sl.AveragePooling1D(2, stride=1, padding="reverse_causal", masked_average=True)


def _late():
    """Latencies: out 1, in 2."""
    return sl.AveragePooling1D(4, stride=2, padding="reverse_causal", masked_average=True)


def _past():
    """A causal maximum, which waits for nothing."""
    return sl.MaxPooling1D(3, stride=1, padding="causal")


def _streams(draw: Draw):
    for make_layer, T, block_size in [(_past, 3, 1), (_mean_of_two, 3, 2), (_past, 11, 11), (_past, 11, 4)]:
        yield make_layer, _drawn(draw, T), block_size
    for make_layer, T, block_size in [
        (_late, 11, 2),
        (_late, 11, 6),
        (_late, 8, 4),
        (_mean_of_two, 7, 3),
        (_late, 9, 2),
    ]:
        yield make_layer, _drawn(draw, T), block_size


def _drawn(draw, T):
    return sl.Sequence(draw.tensor(2, T, 3), torch.arange(T) < torch.tensor([[T], [T - 2]]))


def _driven(fn, layer, x, block_size):
    """(B, N, C + 1): values, 0 where invalid, and the mask as a last channel, of what `fn` gives by `layer.step`."""
    driven = layer()
    whole, step = driven.layer, driven.step

    def refused(*args, **kwargs):
        raise Hint("The layer is run on the whole of x: drive it with `layer.step`, block by block.")

    def watched(x, *args, **kwargs):
        if x.shape[1] > block_size:
            raise Hint(f"{x.shape[1]} steps were fed at once: a block has block_size, {block_size} here.")
        driven.layer = whole
        try:
            return step(x, *args, **kwargs)
        finally:
            driven.layer = refused

    driven.layer, driven.step = refused, watched
    y = fn(driven, x, block_size)
    if y is not None and not isinstance(y, sl.Sequence):
        raise Hint(f"A Sequence is expected, {type(y).__name__} came: join the outputs with Sequence.concatenate.")
    return y if y is None else torch.cat([y.masked().values, y.mask[:, :, None].to(y.values.dtype)], dim=2).detach()


def _loop(flush=True, first=lambda layer: layer.output_latency, cut=True, keep=True, blank=lambda blank: blank):
    """The loop with one of its steps left out or done otherwise."""

    def answer(layer, x, block_size):
        length = x.shape[1]
        steps = ceil((length + (layer.input_latency if flush else 0)) / block_size) * block_size
        behind = blank(sl.Sequence.invalid(x.shape[0], steps - length, x.spec))
        x = sl.Sequence.concatenate([x, behind])
        state, outputs = layer.initial_state(x.shape[0], x.spec), []
        for start in range(0, steps, block_size):
            y, after = layer.step(x[:, start : start + block_size], state)
            state = after if keep else state
            outputs.append(y)
        y = sl.Sequence.concatenate(outputs)[:, first(layer) :]
        return y[:, : layer.output_length(length)] if cut else y

    return answer


FORGETS = "Every block starts from the initial state: pass the state that `step` returns on to the next call."


@exercise(
    notebook="13",
    title="Drive a stream",
    minutes=15,
    inputs=_streams,
    call=_driven,
    mistakes=[
        (_loop(keep=False), FORGETS),
        (_loop(keep=False, first=lambda layer: 0, cut=False), FORGETS),
        (
            _loop(flush=False),
            "The end is missing: feed `input_latency` invalid steps after x, or the last answers never come out.",
        ),
        (_loop(first=lambda layer: 0), "The first `output_latency` outputs are no answers yet: drop them."),
        (_loop(cut=False), "There are more outputs than `output_length(T)`: cut what the padding brought at the end."),
        (
            _loop(first=lambda layer: 0, cut=False),
            "All outputs are there: drop the first `output_latency`, and keep `output_length(T)` of the rest.",
        ),
        (
            _loop(first=lambda layer: layer.input_latency),
            "Too many are dropped at the start: `output_latency` counts outputs, `input_latency` input steps.",
        ),
        (
            _loop(blank=lambda blank: sl.Sequence.of(blank.values)),
            "What you feed at the end counts as signal: use Sequence.invalid.",
        ),
    ],
    example=(_mean_of_two, sl.Sequence.of(torch.tensor([[[1.0], [3.0], [5.0]]])), 2),
    hints=[
        "Look at both ends: what must follow x so that the last answers come out, and which first outputs answer "
        "nothing?",
        (
            "Input and output latency of this layer: {}. (In what is expected, the 1 beside each value says that it "
            "is valid.)",
            lambda layer, x, block_size: [layer().input_latency, layer().output_latency],
        ),
        "Invalid steps behind x up to whole blocks; a loop over blocks that passes the state on; join; drop and cut.",
        "Begin with `length = x.shape[1]`.",
    ],
)
def stream_loop(layer, x, block_size):
    """stream_loop(layer, x, block_size): x a Sequence -> the Sequence that layer.layer(x) gives"""
    length = x.shape[1]
    steps = ceil((length + layer.input_latency) / block_size) * block_size
    x = sl.Sequence.concatenate([x, sl.Sequence.invalid(x.shape[0], steps - length, x.spec)])
    state, outputs = layer.initial_state(x.shape[0], x.spec), []
    for start in range(0, steps, block_size):
        y, state = layer.step(x[:, start : start + block_size], state)
        outputs.append(y)
    first = layer.output_latency
    return sl.Sequence.concatenate(outputs)[:, first : first + layer.output_length(length)]


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
