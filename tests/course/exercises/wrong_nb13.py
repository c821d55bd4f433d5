"""Wrong answers to the exercises of notebook 13, each with a piece of the hint that it must get."""

from fractions import Fraction
from math import ceil

import torch

import course_lib.layers as sl
from course_lib.course.exercises.nb13_your_own_layer import _RunningMax as Max  # the right one; each below errs once


def standardise(divide_all=False, mask_twice=True, squares_over_all=False, correction=0, zero=True, product=False):
    """A wrong `masked_standardise`: one of its steps done differently."""

    def answer(values, mask):
        steps, mask = values.shape[1], mask[:, :, None]
        count = mask.sum(dim=1, keepdim=True)
        values = values * mask if product else torch.where(mask, values, 0.0)
        mean = values.sum(dim=1, keepdim=True) / (steps if divide_all else count)
        distance = values - mean
        counted = torch.where(mask, distance, 0.0) if mask_twice else distance
        n = steps if squares_over_all else count - correction
        y = distance / (counted.square().sum(dim=1, keepdim=True) / n).sqrt()
        return torch.where(mask, y, 0.0) if zero else y

    return answer


def masked_after(values, mask):
    mask = mask[:, :, None]
    y = (values - values.mean(1, keepdim=True)) / values.std(1, keepdim=True, correction=0)
    return torch.where(mask, y, 0.0)


def nan_gradient(values, mask):
    y = standardise()(values, mask)
    return y + torch.where(mask[:, :, None], values * 0, 0.0) + 0 * torch.where(values > 9, values.sqrt(), 0.0)


def streamed(flush=True, drop="output_latency", cut=True, keep=True, valid=False, joined=True):
    """A wrong `stream_loop`: one of its steps left out or done differently."""

    def answer(layer, x, block_size):
        length = x.shape[1]
        steps = ceil((length + (layer.input_latency if flush else 0)) / block_size) * block_size
        blank = sl.Sequence.invalid(x.shape[0], steps - length, x.spec)
        x = sl.Sequence.concatenate([x, sl.Sequence.of(blank.values) if valid else blank])
        state, outputs = layer.initial_state(x.shape[0], x.spec), []
        for start in range(0, steps, block_size):
            y, after = layer.step(x[:, start : start + block_size], state)
            state = after if keep else state
            outputs.append(y)
        if not joined:
            return outputs
        first = getattr(layer, drop) if drop else 0
        y = sl.Sequence.concatenate(outputs)[:, first:]
        return y[:, : layer.output_length(length)] if cut else y

    return answer


class MasksWithZero(Max):
    fill = 0.0


class IgnoresTheMask(Max):
    def _step(self, x, state, training, constants):
        y, state = super()._step(sl.Sequence.of(x.values), state, training, constants)
        return x.with_values(y.values), state


class MaximumOfTheBlock(Max):
    def _step(self, x, state, training, constants):
        largest = torch.maximum(x.masked(-torch.inf).values.amax(dim=1, keepdim=True), state[0])
        return x.with_values(largest.expand_as(x.values)), (largest,)


class ReturnsTheOldState(Max):
    def _step(self, x, state, training, constants):
        return super()._step(x, state, training, constants)[0], state


class ForgetsTheState(Max):
    def _step(self, x, state, training, constants):
        largest = x.masked(-torch.inf).values.cummax(dim=1).values
        return x.with_values(largest), (largest[:, -1:],)


class LosesTheTimeAxis(Max):
    def _step(self, x, state, training, constants):
        y, (largest,) = super()._step(x, state, training, constants)
        return y, (largest[:, 0],)


class KeepsTheBlock(Max):
    def _step(self, x, state, training, constants):
        y, _ = super()._step(x, state, training, constants)
        return y, (y.values,)


class ReturnsATensor(Max):
    def _step(self, x, state, training, constants):
        y, state = super()._step(x, state, training, constants)
        return y.values, state


class ForgetsTheComma(Max):
    def _step(self, x, state, training, constants):
        y, (largest,) = super()._step(x, state, training, constants)
        return y, largest


class Detaches(Max):
    def _step(self, x, state, training, constants):
        y, (largest,) = super()._step(x, state, training, constants)
        return y, (largest.detach(),)


def latency(wait=True, wait_in=True, divide=True, before=True, scaled=True, swap=False):
    """A wrong `chain_latency`."""

    def answer(stages):
        ratio, late_in, late_out = Fraction(1), 0, 0
        for block_size, output_ratio, own_in, own_out in stages:
            steps = -late_out % block_size if wait else 0
            unit = (ratio if before else ratio * output_ratio) if divide else 1
            late_in += ceil((own_in + (steps if wait_in else 0)) / unit)
            late_out = int((late_out + steps) * (output_ratio if scaled else 1)) + own_out
            ratio *= output_ratio
        return (late_out, late_in) if swap else (late_in, late_out)

    return answer


WRONG = {
    "masked_standardise": {
        "mean over all": (standardise(divide_all=True), "mean is divided by all steps"),
        "masked once": (standardise(mask_twice=False), "Mask again"),
        "squares over all": (standardise(squares_over_all=True), "squares are divided by all steps"),
        "corrected": (standardise(correction=1), "n - 1"),
        "padding kept": (standardise(zero=False), "must come out as 0"),
        "masked after": (masked_after, "only the result is masked"),
        "product": (standardise(product=True), "0 times NaN"),
        "NaN gradient": (nan_gradient, "a gradient is NaN"),
    },
    "stream_loop": {
        "no flush": (streamed(flush=False), "The end is missing"),
        "state not passed on": (streamed(keep=False), "Every block starts"),
        "nothing dropped": (streamed(drop=None), "no answers yet"),
        "not cut": (streamed(cut=False), "more outputs than"),
        "drops input_latency": (streamed(drop="input_latency"), "Too many are dropped"),
        "flush as signal": (streamed(valid=True), "counts as signal"),
        "a list": (streamed(joined=False), "A Sequence is expected"),
    },
    "running_max": {
        "zeros": (MasksWithZero, "beats every negative value"),
        "no mask": (IgnoresTheMask, "Invalid steps take part"),
        "whole block": (MaximumOfTheBlock, "use cummax"),
        "old state": (ReturnsTheOldState, "as it went in"),
        "forgets": (ForgetsTheState, "forgets the first"),
        "no time axis": (LosesTheTimeAxis, "lost its time axis"),
        "whole block kept": (KeepsTheBlock, "grown to the whole block"),
        "a tensor": (ReturnsATensor, "outputs are a tensor"),
        "no tuple": (ForgetsTheComma, "tuple of tensors"),
        "detached": (Detaches, "property gradients"),
    },
    "chain_latency": {
        "sums": (lambda s: (sum(x[2] for x in s), sum(x[3] for x in s)), "plain sums"),
        "swapped": (latency(swap=True), "swapped"),
        "no wait": (latency(wait=False), "wait is missing"),
        "not divided": (latency(divide=False), "steps of different length"),
        "own ratio": (latency(before=False), "ratio before the layer"),
        "not scaled": (latency(scaled=False), "not scaled"),
        "wait not flushed": (latency(wait_in=False), "delays the end"),
        "one number": (lambda s: latency()(s)[0], "Two results are expected"),
    },
}
