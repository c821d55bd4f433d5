"""Exercises: checks with hints, learner copies of the notebooks, and progress.

In a notebook::

    from course_lib.course import check

    check.conv1d_loop(conv1d_loop)      # prints one line: passed, not attempted yet, or the likely mistake

The checks of notebook 02 live in `nb02_cnn_baseline.py` next to this file, one function an exercise::

    from course_lib.course.exercises import Hint, exercise, expect

    @exercise(notebook="02", title="Convolution as a loop", minutes=8)
    def conv1d_loop(fn):
        x, w = torch.arange(7.0), torch.tensor([1.0, 2.0, 4.0])
        expect(
            fn(x, w),
            F.conv1d(x[None, None], w[None, None])[0, 0],
            mistakes=[(flipped, "The kernel is flipped, as mathematics has it; `conv1d` does not flip.")],
        )

A check calls the learner's function and raises a `Hint` that names the likely mistake; `expect` compares and raises.
"""

from course_lib.course.exercises.compare import Hint, expect
from course_lib.course.exercises.registry import Exercise, exercise, exercises
from course_lib.course.exercises.runner import CheckFailed, Outcome, check, run_check

__all__ = ["CheckFailed", "Exercise", "Hint", "Outcome", "check", "exercise", "exercises", "expect", "run_check"]
