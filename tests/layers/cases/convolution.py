"""Convolutions and transposed convolutions: padding mode × kernel, stride and dilation."""

import torch

import course_lib.layers as sl
from course_lib.layers.overlap_add import OVERLAP_MODES
from course_lib.layers.windows import PADDING_MODES
from course_lib.sequence import Case, ragged

GEOMETRIES = ((1, 1, 1), (3, 1, 1), (4, 2, 1), (5, 3, 1), (2, 3, 1), (1, 2, 1), (3, 1, 2), (3, 2, 2), (2, 3, 4))


def _conv1d(padding, kernel_size, stride, dilation):
    return lambda: Case(lambda: sl.Conv1D(4, 5, kernel_size, stride, padding, dilation), ragged(4, lengths=(23, 12, 0)))


def _transposed(padding, kernel_size, stride, dilation):
    return lambda: Case(
        lambda: sl.Conv1DTranspose(4, 5, kernel_size, stride, padding, dilation), ragged(4, lengths=(9, 6, 0))
    )


CASES = {
    f"Conv1D {padding} k{k} s{s} d{d}": _conv1d(padding, k, s, d) for padding in PADDING_MODES for k, s, d in GEOMETRIES
}
CASES |= {
    f"Conv1DTranspose {padding} k{k} s{s} d{d}": _transposed(padding, k, s, d)
    for padding in OVERLAP_MODES
    for k, s, d in GEOMETRIES
}
CASES |= {
    "Conv1D in groups, without bias": lambda: Case(
        lambda: sl.Conv1D(4, 6, 3, padding="same", groups=2, bias=False), ragged(4)
    ),
    "Conv1D with an activation": lambda: Case(lambda: sl.Conv1D(4, 6, 3, activation=torch.tanh), ragged(4)),
    "DepthwiseConv1D": lambda: Case(
        lambda: sl.DepthwiseConv1D(4, 3, stride=2, padding="semicausal", depth_multiplier=2), ragged(4)
    ),
    "Conv2D": lambda: Case(lambda: sl.Conv2D(2, 3, 3), ragged(5, 2)),
    "Conv2D ahead, with strides": lambda: Case(
        lambda: sl.Conv2D(2, 3, (4, 3), (2, 2), "reverse_causal", (1, 2), spatial_padding="valid"), ragged(6, 2)
    ),
    "Conv2D semicausal_full": lambda: Case(
        lambda: sl.Conv2D(2, 3, (5, 2), (2, 1), "semicausal_full", spatial_padding="causal"), ragged(6, 2)
    ),
    "Conv3D": lambda: Case(lambda: sl.Conv3D(2, 3, (3, 2, 3), (2, 1, 2), "same"), ragged(3, 4, 2)),
    "Conv1DTranspose in groups, without bias": lambda: Case(
        lambda: sl.Conv1DTranspose(4, 6, 5, 2, "full", groups=2, bias=False, activation=torch.tanh), ragged(4)
    ),
    "Conv2DTranspose": lambda: Case(lambda: sl.Conv2DTranspose(2, 3, (4, 3), (2, 2)), ragged(5, 2)),
    "Conv2DTranspose same, with dilation": lambda: Case(
        lambda: sl.Conv2DTranspose(2, 3, 3, (2, 1), "same", (1, 2), spatial_padding="full"), ragged(5, 2)
    ),
}
