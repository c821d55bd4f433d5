"""Recurrent layers: each by its equations and by the fused kernel, with biases and without."""

import course_lib.layers as sl
from course_lib.sequence import Case, ragged


def recurrent(kind, **options):
    return lambda: Case(lambda: kind(4, 3, **options), ragged(4))


CASES = {
    f"{kind.__name__}, {implementation}{'' if bias else ', no bias'}": recurrent(
        kind, implementation=implementation, bias=bias
    )
    for kind in (sl.VanillaRNN, sl.GRU, sl.LSTM)
    for implementation in ("fused", "loop")
    for bias in (True, False)
}
