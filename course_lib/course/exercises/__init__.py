"""Exercises: checks with hints, learner copies of the notebooks, and progress.

In a notebook::

    from course_lib.course import check

    check.conv1d_loop(conv1d_loop)      # prints one line: passed, not attempted yet, or the likely mistake

The exercises of notebook 02 live in `nb02_cnn_baseline.py` next to this file, one function an exercise, the right one::

    from course_lib.course.exercises import Draw, exercise

    def _signals_and_kernels(draw: Draw):
        for T, K in [(1, 1), (7, 3), draw.sizes(2, 4, 9)]:
            yield draw.tensor(max(T, K)), draw.tensor(min(T, K))

    @exercise(
        notebook="02",
        title="Convolution as a loop",
        minutes=8,
        inputs=_signals_and_kernels,
        mistakes=[(lambda x, w: conv1d_loop(x, w.flip(0)), "The kernel is flipped; `conv1d` does not flip.")],
    )
    def conv1d_loop(x, w):
        \"\"\"conv1d_loop(x, w): x (T,), w (K,) -> (T - K + 1,)\"\"\"
        return F.conv1d(x[None, None], w[None, None])[0, 0]

The learner's function is called with copies of all inputs and compared with this one. On a difference the check names
the mistake if the answer agrees everywhere with a known wrong one, and shows the smallest input on which it differs.
"""

from course_lib.course.exercises.compare import Hint
from course_lib.course.exercises.differences import expect
from course_lib.course.exercises.draw import Draw
from course_lib.course.exercises.predictions import predict
from course_lib.course.exercises.registry import Edge, Exercise, exercise, exercises
from course_lib.course.exercises.runner import CheckFailed, Outcome, check, run_check

__all__ = [
    "CheckFailed",
    "Draw",
    "Edge",
    "Exercise",
    "Hint",
    "Outcome",
    "check",
    "exercise",
    "exercises",
    "expect",
    "predict",
    "run_check",
]
