"""Layers that hold layers."""

import torch
from torch import nn

import course_lib.layers as sl
from course_lib.sequence import Case, ragged


class GRUThatWaits(sl.Adaptor):
    """PyTorch's GRU, whose state stays as it was at invalid steps."""

    channels, out_channels = 4, 3

    def make(self):
        return nn.GRU(4, 3, batch_first=True)

    def whole(self, inner, x):
        like = {"dtype": x.values.dtype, "device": x.values.device}
        return self.block(inner, x, self.start(inner, x.shape[0], **like))[0]

    def start(self, inner, batch_size, **like):
        return torch.zeros(batch_size, 3, **like)

    def block(self, inner, x, state):
        outputs = []
        for t in range(x.shape[1]):
            y, (after,) = inner(x.values[:, t : t + 1], state[None])
            state = torch.where(x.mask[:, t, None], after, state)
            outputs.append(y)
        return torch.cat(outputs, dim=1), state


class CentredConvolution(sl.Adaptor):
    """PyTorch's convolution with zeros on both sides: a stream's outputs come a step late. State: two steps."""

    channels, latency, receptive_field = 4, 1, (-1, 1)

    def make(self):
        return nn.Conv1d(4, 4, 3)

    def whole(self, inner, x):
        return inner(nn.functional.pad(x.values.transpose(1, 2), (1, 1))).transpose(1, 2)

    def start(self, inner, batch_size, **like):
        return torch.zeros(batch_size, 2, 4, **like)

    def block(self, inner, x, state):
        steps = torch.cat([state, x.values], dim=1)
        return inner(steps.transpose(1, 2)).transpose(1, 2), steps[:, -2:]


CASES = {
    "Sequential": lambda: Case(lambda: sl.Sequential([sl.Dense(5), sl.ReLU(), sl.Dense(3)]), ragged(4)),
    "Sequential of nothing": lambda: Case(lambda: sl.Sequential([]), ragged(4)),
    "Sequential with latencies": lambda: Case(
        lambda: sl.Sequential([sl.Lookahead(2), sl.Dense(5), sl.StepDelay(1), sl.Delay(2)]), ragged(4)
    ),
    "Residual": lambda: Case(lambda: sl.Residual(sl.Sequential([sl.Dense(5), sl.Tanh(), sl.Dense(4)])), ragged(4)),
    "Residual whose shortcut waits": lambda: Case(
        lambda: sl.Residual(sl.Sequential([sl.StepDelay(2), sl.Dense(4)])), ragged(4)
    ),
    "Residual with a shortcut": lambda: Case(lambda: sl.Residual(sl.Dense(3), sl.Dense(3)), ragged(4)),
    "Parallel of lengths that differ": lambda: Case(
        lambda: sl.Parallel([sl.Lookahead(2), sl.Delay(3), sl.StepDelay(1)], combine="concatenate"), ragged(4)
    ),
    **{
        f"Parallel {combine}": lambda combine=combine: Case(
            lambda: sl.Parallel([sl.Dense(3), sl.Lookahead(1), sl.Tanh()], combine=combine), ragged(3)
        )
        for combine in ("stack", "concatenate", "add", "mean", "product")
    },
}


def _conditioned(layer, *channels, steps=13):
    """A case whose constant "c" has another length and other padding than x."""
    c = ragged(*channels, lengths=(steps, steps - 2, 4))
    return Case(layer, ragged(4), {"c": c})


CASES |= {
    "Sequential whose delay fills up blocks": lambda: Case(
        lambda: sl.Sequential([sl.Lookahead(2), sl.Downsample1D(3), sl.Lookahead(1), sl.Downsample1D(2)]), ragged(4)
    ),
    "Sequential down and up": lambda: Case(lambda: sl.Sequential([sl.Downsample1D(2), sl.Upsample1D(2)]), ragged(4)),
    "Sequential of ratio 3/2": lambda: Case(
        lambda: sl.Sequential([sl.Upsample1D(3), sl.Lookahead(1), sl.Downsample1D(2)]), ragged(4)
    ),
    "Repeat": lambda: Case(lambda: sl.Repeat(lambda: sl.Residual(sl.Dense(4, activation=torch.tanh)), 3), ragged(4)),
    "Repeat copies": lambda: Case(lambda: sl.Repeat(sl.Residual(sl.Lookahead(1)), 2), ragged(4)),
    "ChannelGroups": lambda: Case(lambda: sl.ChannelGroups([sl.Conv1D(2, 3, 3), sl.Lookahead(1)]), ragged(4)),
    "ChannelGroups of two axes, stacked": lambda: Case(
        lambda: sl.ChannelGroups([sl.Tanh(), sl.Delay(2), sl.Dense(2)], combine="stack"), ragged(3, 6)
    ),
    "Checkpoint": lambda: Case(
        lambda: sl.Checkpoint(sl.Sequential([sl.Conv1D(4, 4, 3, padding="same"), sl.GRU(4, 3)])), ragged(4)
    ),
    "Blockwise": lambda: Case(lambda: sl.Blockwise(sl.Conv1D(4, 3, 3, stride=2, padding="same"), 4), ragged(4)),
    "Blockwise attention between layers with latency": lambda: Case(
        lambda: sl.Sequential(
            [sl.Lookahead(1), sl.Blockwise(sl.DotProductSelfAttention(4, 2, 3, 4, 2), 3), sl.Delay(1)]
        ),
        ragged(4),
    ),
    "Adapted GRU": lambda: Case(lambda: sl.Adapted(GRUThatWaits()), ragged(4)),
    "Adapted convolution that comes late": lambda: Case(lambda: sl.Adapted(CentredConvolution()), ragged(4)),
    "Bidirectional": lambda: Case(lambda: sl.Bidirectional(sl.MaskedDense(3, 13), sl.Dense(3)), ragged(4)),
    "Conditioning add": lambda: _conditioned(lambda: sl.Conditioning("c"), 4),
    "Conditioning multiply, shorter": lambda: _conditioned(lambda: sl.Conditioning("c", "multiply"), 1, steps=11),
    "Conditioning concatenate": lambda: _conditioned(lambda: sl.Conditioning("c", "concatenate", sl.Dense(2, 3)), 3),
    "Conditioning scale and shift": lambda: _conditioned(
        lambda: sl.Conditioning("c", "scale_and_shift", sl.Dense(8)), 3, steps=15
    ),
    "Conditioning behind a latency": lambda: _conditioned(
        lambda: sl.Sequential([sl.Lookahead(2), sl.StepDelay(1), sl.Conditioning("c", "multiply")]), 4
    ),
}
