"""Checks of notebook 13: a mask, the loop that drives a stream, a layer of one's own, the latency of a chain."""

from fractions import Fraction
from math import ceil

import torch
from torch import Tensor

import course_lib.layers as sl
from course_lib.course.exercises import Hint, exercise, expect
from course_lib.sequence import check_contract, ragged


@exercise(notebook="13", title="Standardise under a mask", minutes=12)
def masked_standardise(fn):
    """masked_standardise(values, mask): values (B, T, C), mask (B, T) -> (B, T, C), 0 at invalid steps"""
    T, lengths = 6, torch.tensor([6, 4, 2])
    values = 2.0 + torch.randn(3, T, 2, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(T) < lengths[:, None]
    valid = mask[:, :, None]
    values = torch.where(valid, values, 0.0)
    count = lengths[:, None, None]

    mean = values.sum(dim=1, keepdim=True) / count  # (B, 1, C)
    over_all = values.mean(dim=1, keepdim=True)
    distance = values - mean  # minus the mean in the padding
    masked = torch.where(valid, distance, 0.0)

    def root(squares_of, n=count):
        return (squares_of.square().sum(dim=1, keepdim=True) / n).sqrt()

    def kept(result):
        return torch.where(valid, result, 0.0)

    right = masked / root(masked)
    off = values - over_all
    mistakes = [
        (kept(off) / root(kept(off)), "The mean is divided by all steps: divide by the number of valid ones."),
        (
            masked / root(distance),
            "The mean is right, the deviation is not: after subtracting, padding holds minus the mean. Mask again.",
        ),
        (
            masked / root(masked, T),
            "The mean is right; the squares are divided by all steps instead of the valid ones.",
        ),
        (masked / root(masked, count - 1), "The deviation is divided by n - 1: here it is n, no correction."),
        (
            distance / root(masked),
            "The valid steps are right. Invalid ones must come out as 0: they hold minus the mean.",
        ),
        (masked, "The mean is subtracted, but nothing is divided."),
        (kept(off / root(off, T)), "Mean and deviation are taken over all steps: only the result is masked."),
    ]
    expect(fn(values, mask), right, mistakes=mistakes, what="the standardised values")

    spoiled = torch.where(valid, values, torch.nan).requires_grad_()
    answer = fn(spoiled, mask)
    if answer.isnan().any():
        raise Hint("NaN in the padding gets through: 0 times NaN is NaN. Choose with torch.where, do not multiply.")
    expect(answer, right, what="the result with NaN in the padding")
    if torch.autograd.grad((answer * torch.arange(T)[:, None]).sum(), spoiled)[0].isnan().any():
        raise Hint(
            "The values are right, but a gradient is NaN: mask before computing from the values, not only after."
        )


@exercise(notebook="13", title="Drive a stream", minutes=15)
def stream_loop(fn):
    """stream_loop(layer, x, block_size): x a Sequence -> the Sequence that layer.layer(x) gives"""
    late = sl.AveragePooling1D(4, stride=2, padding="reverse_causal", masked_average=True)  # latencies: out 1, in 2
    past = sl.MaxPooling1D(3, stride=1, padding="causal")
    x = sl.random_sequence(2, 11, 3, seed=0, lengths=[11, 8])
    _compare(fn(past, x, 11), past, x, 11, "the result of a causal layer in one block")
    _compare(fn(past, x, 1), past, x, 1, "the result of a causal layer in blocks of one step")
    _compare(fn(past, x, 4), past, x, 4, "the result of a causal layer in blocks of 4")
    _compare(fn(late, x, 2), late, x, 2, "the result of a layer that looks ahead")
    _compare(fn(late, x, 6), late, x, 6, "the result of a layer that looks ahead in blocks of 6")


def _compare(answer, layer, x: sl.Sequence, block_size: int, what: str) -> None:
    if answer is not None and not isinstance(answer, sl.Sequence):
        raise Hint(f"A Sequence is expected, {type(answer).__name__} came: join the outputs with Sequence.concatenate.")
    n, first = layer.output_length(x.shape[1]), layer.output_latency
    out = _streamed(layer, x, block_size)
    unflushed = _streamed(layer, x, block_size, flush=0)
    signal = _streamed(layer, x, block_size, valid=True)
    forgets = _streamed(layer, x, block_size, forget=True)
    reset = "Every block starts from the initial state: pass the state that `step` returns on to the next call."
    mistakes = [
        (forgets[:, first : first + n], reset),
        (forgets, reset),
        (
            unflushed[:, first : first + n],
            "The end is missing: feed `input_latency` invalid steps after x, or the last answers never come out.",
        ),
        (out[:, :n], "The first `output_latency` outputs are no answers yet: drop them."),
        (out[:, first:], "There are more outputs than `output_length(T)`: cut what the padding brought at the end."),
        (out, "All outputs are there: drop the first `output_latency`, and keep `output_length(T)` of the rest."),
        (
            out[:, layer.input_latency : layer.input_latency + n],
            "Too many are dropped at the start: `output_latency` counts outputs, `input_latency` input steps.",
        ),
        (signal[:, first : first + n], "What you feed at the end counts as signal: use Sequence.invalid."),
    ]
    expect(
        None if answer is None else _as_tensor(answer),
        _as_tensor(layer.layer(x)),
        mistakes=[(_as_tensor(wrong), hint) for wrong, hint in mistakes],
        what=f"{what} (values, then the mask)",
    )


def _streamed(layer, x: sl.Sequence, block_size: int, flush=None, valid=False, forget=False) -> sl.Sequence:
    """All that comes out; with a wrong flush, the flush as signal, or the state forgotten after each block."""
    flush = layer.input_latency if flush is None else flush
    steps = ceil((x.shape[1] + flush) / block_size) * block_size
    blank = sl.Sequence.invalid(x.shape[0], steps - x.shape[1], x.spec)
    x = sl.Sequence.concatenate([x, sl.Sequence.of(blank.values) if valid else blank])
    state, outputs = layer.initial_state(x.shape[0], x.spec), []
    for start in range(0, steps, block_size):
        y, after = layer.step(x[:, start : start + block_size], state, training=False)
        state = state if forget else after
        outputs.append(y)
    return sl.Sequence.concatenate(outputs)


def _as_tensor(y: sl.Sequence) -> Tensor:
    """(B, N, C + 1): the values, 0 where invalid, and the mask as a last channel."""
    return torch.cat([y.masked().values, y.mask[:, :, None].to(y.values.dtype)], dim=2).detach()


@exercise(notebook="13", title="A running maximum", minutes=12)
def running_max(make_layer):
    """RunningMax._step(x, state, training, constants) -> (x with the largest valid value so far, the next state)"""
    layer = make_layer()
    below = torch.tensor([[-5.0, -3.0, -4.0, -9.0, -6.0, -2.0], [-1.0, -8.0, -7.0, -3.0, -4.0, -2.0]])[:, :, None]
    mask = torch.tensor([[True, True, True, True, True, True], [False, True, True, False, True, False]])
    x = sl.Sequence(below, mask)
    state = layer.initial_state(2, x.spec)
    out = layer.step(x[:, :4], state)
    if not isinstance(out, tuple) or len(out) != 2:
        raise Hint("Return two things: the outputs as a Sequence, and the next state.")
    y, after = out
    if not isinstance(y, sl.Sequence):
        raise Hint("The outputs are a tensor: `x.with_values(...)` makes a Sequence with the mask of x.")
    if not isinstance(after, tuple):
        raise Hint("The state is a tuple of tensors, as `_initial_state` makes it: put a comma after its one member.")
    start = below.new_full((2, 1, 1), -torch.inf)
    first, second = mask[:, :4, None], mask[:, 4:, None]

    def largest(values, fill, valid, before):
        return torch.maximum(torch.where(valid, values, fill).cummax(dim=1).values, before)

    right = largest(below[:, :4], -torch.inf, first, start)
    expect(
        torch.where(first, y.values, 0.0),
        torch.where(first, right, 0.0),
        mistakes=[
            (
                torch.where(first, largest(below[:, :4], 0.0, first, start), 0.0),
                "Padding takes part as 0, which beats every negative value: use -inf.",
            ),
            (
                torch.where(first, below[:, :4].cummax(dim=1).values, 0.0),
                "Invalid steps take part: mask the values before the maximum.",
            ),
            (
                torch.where(first, right[:, -1:], 0.0),
                "Every step gets the maximum of the whole block, the future included: use cummax.",
            ),
            (torch.where(first, below[:, :4], 0.0), "These are the values themselves, not the largest so far."),
        ],
        what="the output of the first block",
    )
    expect(
        after[0],
        right[:, -1:],
        mistakes=[
            (start, "The state comes back as it went in: the next block needs the largest value so far."),
            (right[:, -1], "The state lost its time axis: keep (B, 1, C) with `[:, -1:]`."),
            (right, "The state has grown to the whole block: its last step is enough."),
            (below[:, 3:4], "The state is the last value, not the largest so far."),
        ],
        what="the state after the first block",
    )
    y, _ = layer.step(x[:, 4:], after)
    alone = largest(below[:, 4:], -torch.inf, second, start)
    expect(
        torch.where(second, y.values, 0.0),
        torch.where(second, largest(below[:, 4:], -torch.inf, second, right[:, -1:]), 0.0),
        mistakes=[(torch.where(second, alone, 0.0), "The second block forgets the first: compare with state[0], too.")],
        what="the output of the second block",
    )
    try:
        check_contract(make_layer, ragged(3))
    except AssertionError as broken:
        raise Hint(f"The values are right here, but the contract finds: {broken}") from None


@exercise(notebook="13", title="The latency of a chain", minutes=12)
def chain_latency(fn):
    """chain_latency([(block_size, output_ratio, input_latency, output_latency), ...]) -> the chain's two latencies"""
    centred, pairs, late_pairs = (1, Fraction(1), 1, 1), (2, Fraction(1, 2), 0, 0), (2, Fraction(1, 2), 2, 1)
    four = (4, Fraction(1, 4), 4, 1)
    chain = [centred, pairs, centred, late_pairs, centred]
    right = _composed(chain)
    what = "(input latency, output latency)"
    expect(
        _two(fn(chain)),
        right,
        mistakes=[
            (
                [sum(s[2] for s in chain), sum(s[3] for s in chain)],
                "These are plain sums: a step after a stride of 2 is two input steps.",
            ),
            (right[::-1], "The two are swapped: the input latency comes first."),
            (
                _composed(chain, waits=False),
                "The wait is missing: before a layer with blocks, whole blocks must be late.",
            ),
            (
                _composed(chain, worth=lambda steps, ratio: ceil(steps * ratio)),
                "Divide by the ratio so far: a later layer's step is worth 1/R input steps.",
            ),
            (
                _composed(chain, worth=lambda steps, ratio: steps),
                "The input latencies are in steps of different length: divide by the ratio so far.",
            ),
            (_composed(chain, own=True), "R is the ratio before the layer: multiply its own in after using it."),
            (
                _composed(chain, scaled=False),
                "The output latency so far is not scaled: a slower layer has fewer outputs.",
            ),
            (_composed(chain, wait_in=False), "The wait delays the end, too: add it to the layer's input latency."),
        ],
        what=f"{what} of a chain of five",
    )
    expect(_two(fn([])), [0, 0], what=f"{what} of no layer at all")
    expect(_two(fn([four])), [4, 1], what=f"{what} of one layer alone")
    expect(_two(fn([centred, four])), _composed([centred, four]), what=f"{what} of a centred mean and a stride of 4")


def _composed(stages, waits=True, wait_in=True, scaled=True, own=False, worth=None) -> list[int]:
    """[input latency, output latency]; the options each make one mistake."""
    worth = worth or (lambda steps, ratio: ceil(steps / ratio))
    ratio, late_in, late_out = Fraction(1), 0, 0
    for block_size, output_ratio, input_latency, output_latency in stages:
        wait = -late_out % block_size if waits else 0
        late_in += worth(input_latency + (wait if wait_in else 0), ratio * output_ratio if own else ratio)
        late_out = int((late_out + wait) * (output_ratio if scaled else 1)) + output_latency
        ratio *= output_ratio
    return [late_in, late_out]


def _two(answer) -> list | None:
    if answer is None:
        return None
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Hint("Return two numbers: the input latency and the output latency.")
    return list(answer)
