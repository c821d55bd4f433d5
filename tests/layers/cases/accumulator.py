"""Accumulators: the three kinds of decay, the two fixed ones at the ends, and the gated one."""

import course_lib.layers as sl
from course_lib.sequence import Case, ragged


def accumulator(decay, kind="fixed", lengths=(13, 9, 0)):
    return lambda: Case(lambda: sl.Accumulator(4, decay, kind), ragged(4, lengths=lengths))


CASES = {
    "fixed, one decay": accumulator(0.9),
    "fixed, one a channel": accumulator([0.0, 0.5, 0.99, 1.0]),
    "fixed at 1, a plain sum": accumulator(1.0),
    "fixed at 0, the identity": accumulator(0.0),
    "learned": accumulator(0.8, "learned"),
    "input-dependent": accumulator([0.3, 0.6, 0.9, 0.5], "input-dependent"),
    "learned, several chunks": accumulator(0.8, "learned", (37, 20, 0)),
    "input-dependent, several chunks": accumulator(0.8, "input-dependent", (37, 20, 0)),
    "RG-LRU": lambda: Case(lambda: sl.RGLRU(4), ragged(4)),
    "RG-LRU, two blocks, several chunks": lambda: Case(lambda: sl.RGLRU(4, 2), ragged(4, lengths=(37, 20, 0))),
}
