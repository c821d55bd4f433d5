"""Exercises of notebook 13: a mask, and the loop that drives a stream."""

from math import ceil

import torch

import course_lib.layers as sl
from course_lib.course.exercises import Draw, Edge, Hint, exercise


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
        (_loop(keep=False), _loop(keep=False, first=lambda layer: 0, cut=False), FORGETS),
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
