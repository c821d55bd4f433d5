"""Normalisation of a step, of a batch and of groups of channels over time."""

import course_lib.layers as sl
from course_lib.sequence import Case, ragged

CASES = {
    "LayerNorm": lambda: Case(lambda: sl.LayerNorm(4), ragged(4)),
    "LayerNorm over two axes": lambda: Case(lambda: sl.LayerNorm((3, 4), bias=False), ragged(2, 3, 4)),
    "LayerNorm without parameters": lambda: Case(lambda: sl.LayerNorm(4, elementwise_affine=False), ragged(4)),
    "RMSNorm": lambda: Case(lambda: sl.RMSNorm(4), ragged(4)),
    "RMSNorm of two channel axes": lambda: Case(lambda: sl.RMSNorm(4, eps=1e-3), ragged(3, 4)),
    "BatchNorm": lambda: Case(lambda: sl.BatchNorm(4), ragged(4)),
    "BatchNorm of two channel axes": lambda: Case(lambda: sl.BatchNorm(4, affine=False), ragged(3, 4)),
    "GroupNorm": lambda: Case(lambda: sl.GroupNorm(2, 6), ragged(6)),
    "GroupNorm of two channel axes": lambda: Case(lambda: sl.GroupNorm(3, 6, affine=False), ragged(2, 6)),
    "GroupNorm cumulative": lambda: Case(lambda: sl.GroupNorm(2, 6, cumulative=True), ragged(6)),
    "GroupNorm cumulative of two channel axes": lambda: Case(lambda: sl.GroupNorm(3, 6, cumulative=True), ragged(2, 6)),
}
