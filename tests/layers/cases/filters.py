"""Filters with finite and infinite impulse responses."""

import course_lib.layers as sl
from course_lib.sequence import Case, ragged

CASES = {
    "FIRFilter": lambda: Case(lambda: sl.FIRFilter([0.5, -1.0, 2.0]), ragged(2)),
    "FIRFilter centred": lambda: Case(lambda: sl.FIRFilter([0.0, 0.5, 1.0, 0.5, 0.0], "same"), ragged(2, 3)),
    "FIRFilter of zeros": lambda: Case(lambda: sl.FIRFilter([0.0, 0.0]), ragged()),
    "IIRFilter": lambda: Case(lambda: sl.IIRFilter([1.0, 0.4], [2.0, -1.2, 0.7]), ragged(2)),
    "IIRFilter without channels": lambda: Case(lambda: sl.IIRFilter([1.0], [1.0, -0.9]), ragged()),
    "IIRFilter of a finite response": lambda: Case(lambda: sl.IIRFilter([1.0, 0.0, 3.0, 0.0], [4.0]), ragged(2, 3)),
}
