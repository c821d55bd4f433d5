"""Pooling: kind × padding mode × size, stride and dilation; integers; two dimensions."""

import course_lib.layers as sl
from course_lib.layers.windows import PADDING_MODES
from course_lib.sequence import Case, ragged, ragged_tokens

GEOMETRIES = ((3, 1, 1), (3, 3, 1), (4, 2, 1), (2, 3, 1), (2, 1, 2), (3, 2, 3))
MASKED_GEOMETRIES = ((3, 1, 1), (4, 2, 1), (2, 1, 2))


def _pooling(kind, padding, pool_size, stride, dilation, **options):
    return lambda: Case(lambda: kind(pool_size, stride, padding, dilation, **options), ragged(4, lengths=(17, 11, 0)))


CASES = {
    f"{kind.__name__} {padding} k{k} s{s} d{d}": _pooling(kind, padding, k, s, d)
    for kind in (sl.MaxPooling1D, sl.MinPooling1D, sl.AveragePooling1D)
    for padding in PADDING_MODES
    for k, s, d in GEOMETRIES
}
CASES |= {
    f"AveragePooling1D masked {padding} k{k} s{s} d{d}": _pooling(
        sl.AveragePooling1D, padding, k, s, d, masked_average=True
    )
    for padding in PADDING_MODES
    for k, s, d in MASKED_GEOMETRIES
}
CASES |= {
    "MaxPooling1D of integers": lambda: Case(lambda: sl.MaxPooling1D(2, padding="same"), ragged_tokens(50, 2)),
    "MinPooling1D of integers": lambda: Case(lambda: sl.MinPooling1D(3, 1, "reverse_causal"), ragged_tokens(50)),
    "MaxPooling1D without channels": lambda: Case(lambda: sl.MaxPooling1D(3, 2), ragged()),
    "AveragePooling1D of two channel axes": lambda: Case(lambda: sl.AveragePooling1D(3, 1), ragged(2, 3)),
    "MaxPooling2D": lambda: Case(lambda: sl.MaxPooling2D((3, 2), (2, 2)), ragged(5, 2)),
    "MaxPooling2D ahead": lambda: Case(
        lambda: sl.MaxPooling2D((2, 3), 1, "reverse_causal", "valid", (2, 1)), ragged(4, 2)
    ),
    "MinPooling2D": lambda: Case(lambda: sl.MinPooling2D(2, 2, "semicausal_full", "causal"), ragged(5, 2, 3)),
    "AveragePooling2D": lambda: Case(lambda: sl.AveragePooling2D((3, 2), 2, "same", dilation=(1, 2)), ragged(5, 2)),
    "AveragePooling2D masked": lambda: Case(
        lambda: sl.AveragePooling2D((3, 2), (1, 2), masked_average=True), ragged(5, 2)
    ),
    "MaxPooling3D": lambda: Case(lambda: sl.MaxPooling3D((2, 2, 3), (2, 1, 2)), ragged(4, 5, 2)),
    "MinPooling3D": lambda: Case(lambda: sl.MinPooling3D(2, 1, "reverse_causal", "valid"), ragged(3, 4, 2)),
    "AveragePooling3D": lambda: Case(lambda: sl.AveragePooling3D(2, 1, "same", dilation=(1, 2, 1)), ragged(4, 5, 2)),
}
