"""The kinds of normalisation by name, for the blocks that can be built with any of them."""

from __future__ import annotations

from math import gcd

from course_lib.layers.batch_norm import BatchNorm
from course_lib.layers.group_norm import GroupNorm
from course_lib.layers.normalization import LayerNorm, RMSNorm
from course_lib.sequence import SequenceLayer

_KINDS = {
    "layer": LayerNorm,
    "rms": RMSNorm,
    "batch": BatchNorm,
    "group": lambda channels: GroupNorm(gcd(8, channels), channels),
}


def make_norm(kind: str, channels: int) -> SequenceLayer:
    """A `LayerNorm` ("layer"), `RMSNorm` ("rms"), `BatchNorm` ("batch") or `GroupNorm` ("group") of these channels.

    "group" makes eight groups, or as many as divide both eight and `channels`.  ValueError for another kind.
    """
    if kind not in _KINDS:
        raise ValueError(f"norm kind: expected one of {', '.join(_KINDS)}, got {kind!r}")
    return _KINDS[kind](channels)
