"""Checks for notebook 16: a convolution on a stream, what it sees, how long it waits, and pooling under a mask."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Hint, exercise, expect


@exercise(notebook="16", title="One block of a convolution", minutes=10)
def conv_step(fn):
    """conv_step(block, buffer, w): block (n,), buffer (K - 1,), w (K,) -> outputs (n,), the next buffer (K - 1,)"""
    w = torch.tensor([1.0, 2.0, 4.0, -3.0])
    block, buffer = torch.tensor([3.0, -1.0, 4.0, 1.0, 5.0]), torch.tensor([9.0, 2.0, 6.0])
    before = buffer.clone()
    joined = torch.cat([buffer, block])  # (K - 1 + n,)

    def filtered(x, weights=w):
        return x.unfold(0, len(w), 1) @ weights

    y, after = _pair(fn(block, buffer, w), "the outputs and the next buffer")
    if not torch.equal(buffer, before):
        raise Hint("Your function changes the buffer it was given: build a new one, so that a state can be used twice.")
    expect(
        y,
        filtered(joined),
        mistakes=[
            (filtered(F.pad(block, (3, 0))), "Zeros stand where the buffer belongs: the past is forgotten."),
            (filtered(torch.cat([block, buffer])), "The buffer is older than the block: it goes in front, not behind."),
            (filtered(block), "Only windows inside the block are there: join buffer and block first."),
            (filtered(joined, w.flip(0)), "The kernel is flipped: w[-1] belongs to the newest sample."),
            (
                filtered(torch.cat([buffer.flip(0), block])),
                "The buffer is turned round: its last is the newest.",
            ),
        ],
        what="the output",
    )
    expect(
        after,
        joined[-3:],
        mistakes=[
            (buffer, "The buffer comes back as it went in: it must move on with the block."),
            (block[:3], "These are the first samples of the block: the next block needs the last ones."),
            (joined[-4:], "One sample too many: the newest of K samples is the output's own, so K - 1 are kept."),
            (joined[-3:].flip(0), "The next buffer is turned round: keep the oldest sample first."),
            (filtered(joined)[-3:], "These are outputs: the buffer keeps inputs."),
        ],
        what="the next buffer",
    )
    y, after = _pair(fn(block[:1], buffer, w), "the outputs and the next buffer")
    expect(y, filtered(joined[:4]), what="the output for a block of one sample")
    expect(
        after,
        joined[1:4],
        mistakes=[
            (block[:1], "A block may be shorter than K - 1: cut the next buffer from buffer and block together."),
            (F.pad(block[:1], (2, 0)), "After a block of one sample, two old ones are still needed, not zeros."),
        ],
        what="the next buffer after a block of one sample",
    )


@exercise(notebook="16", title="The receptive field of a stack", minutes=8)
def inputs_seen(fn):
    """inputs_seen(layers): [(kernel_size, stride, dilation), ...], first one first -> inputs an output sees"""
    expect(
        fn([(3, 1, 1), (5, 2, 1), (4, 3, 3)]),
        1 + 2 + 4 + 3 * 3 * 2,
        mistakes=[
            (3 + 5 + 4, "These are the kernel sizes added up: neighbouring windows overlap."),
            (3 * 5 * 4, "The kernel sizes are multiplied: a layer adds to what the next one sees."),
            (
                3 + 5 + 10,
                "These are the extents added up: each further layer adds one less.",
            ),
            (1 + 2 + 4 + 3 * 2, "The dilation is missing: between the first and the last tap lie (K - 1) * dilation."),
            (1 + 2 + 4 + 3 * 3, "The strides are missing: after a stride of 2, one step is two input steps."),
            (1 + 2 + 4 * 2 + 9 * 6, "A layer's own stride counts for the layers after it, not for itself."),
            (1 + 3 + 5 + 4 * 3 * 2, "Each layer adds K - 1 taps, not K: one of them is there already."),
            (2 + 4 + 18, "One is missing: with no layer at all, an output sees one input."),
            (1 + 9 + 12 + 12, "The strides are taken from the wrong end: those of the layers before count."),
            (10, "This is the last layer alone, counted in its own input steps."),
        ],
        what="the receptive field of (3, 1, 1), (5, 2, 1), (4, 3, 3)",
    )
    expect(fn([]), 1, what="the receptive field of no layer at all")
    expect(fn([(7, 2, 1)]), 7, what="the receptive field of one layer with K = 7 and stride 2")


@exercise(notebook="16", title="Latency from the sizes", minutes=10)
def latencies(fn):
    """latencies(kernel_size, stride, dilation, padding) -> (output_latency, input_latency), "causal", "same" or
    "reverse_causal"
    """

    def both(*arguments):
        return list(_pair(fn(*arguments), "output_latency and input_latency"))

    expect(
        both(8, 3, 1, "reverse_causal"),
        [2, 6],
        mistakes=[
            ([7, 7], "This is the look-ahead f itself: outputs are counted in steps of the stride."),
            ([7, 21], "This is the look-ahead f itself: outputs are counted in steps of the stride."),
            (
                [3, 9],
                "Rounded up: the block with the output's own step brings stride - 1 later samples too. Round down.",
            ),
            ([2, 7], "input_latency is in whole blocks: the outputs that are late, times the stride."),
            ([2, 2], "input_latency is counted in input steps: an output is worth `stride` of them."),
            ([6, 2], "The two are swapped: the output latency comes first."),
            ([0, 0], "reverse_causal looks ahead: f is the extent minus 1."),
        ],
        what="(output, input) latency for K = 8, stride 3, reverse_causal",
    )
    expect(
        both(5, 3, 2, "reverse_causal"),
        [2, 6],
        mistakes=[
            ([1, 3], "The dilation is missing: the extent is (K - 1) * dilation + 1."),
            ([3, 9], "The window ends at extent - 1 steps after the output's own step, not at the extent."),
        ],
        what="(output, input) latency for K = 5, stride 3, dilation 2, reverse_causal",
    )
    expect(
        both(6, 1, 1, "same"),
        [3, 3],
        mistakes=[
            ([2, 2], "With an even kernel the halves differ: floor((e - 1) / 2) steps lie before, the rest ahead."),
            ([5, 5], "same is centred: part of the window lies before the output's own step."),
        ],
        what="(output, input) latency for K = 6, same",
    )
    expect(
        both(6, 2, 3, "causal"),
        [0, 0],
        mistakes=[([7, 14], "causal looks back only, so it waits for nothing.")],
        what="(output, input) latency for a causal layer",
    )


@exercise(notebook="16", title="Maximum under a mask", minutes=8)
def masked_max(fn):
    """masked_max(x, mask, K): x (B, T), mask (B, T), T a multiple of K -> (B, T / K); 0 where nothing is valid"""
    x = torch.tensor([[-3.0, -1.0, -4.0, -1.5, -5.0, -9.0], [2.0, -7.0, -1.0, 8.0, 7.0, 7.0]])
    mask = torch.arange(6) < torch.tensor([[6], [3]])
    right = torch.tensor([[-1.0, -1.5, -5.0], [2.0, -1.0, 0.0]])
    windows, valid = x.unflatten(1, (3, 2)), mask.unflatten(1, (3, 2))
    lowest = windows.masked_fill(~valid, -torch.inf).amax(-1)
    expect(
        fn(x, mask, 2),
        right,
        mistakes=[
            (windows.amax(-1), "Padding wins: the invalid steps have to be out of the race."),
            (
                (windows * valid).amax(-1),
                "Invalid steps hold 0, which beats -1: the neutral value is -inf.",
            ),
            (lowest, "A window without a valid step is left at minus infinity: give it 0."),
            (right.clamp(min=0), "The largest of negative numbers is negative: 0 must not take part."),
            (windows.masked_fill(~valid, torch.inf).amin(-1).nan_to_num(posinf=0.0), "This is the smallest value."),
            (windows.masked_fill(~valid, -1e9).amax(-1), "A window without a valid step shows your fill: give it 0."),
        ],
        what="the maxima",
    )
    spoiled = torch.where(mask, x, torch.nan)
    y = fn(spoiled, mask, 2)
    if isinstance(y, torch.Tensor) and y.isnan().any():
        raise Hint("NaN in an invalid step comes through: NaN times 0 is NaN. Choose with torch.where.")
    expect(y, right, what="the maxima with NaN in the padding")


def _pair(result, names: str):
    """`result`, if it is two things."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Hint(f"Two results are expected, {names}: return both.")
    return result
