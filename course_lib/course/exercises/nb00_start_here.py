"""Checks of notebook 00."""

import numpy as np

from course_lib.course.exercises import exercise, expect


@exercise(notebook="00", title="How loud is a sound?", minutes=5)
def rms(fn):
    """rms(x): x (samples,) -> the root of the mean of the squares, one number."""
    x = np.array([3.0, -4.0, 0.0, 1.0, -2.0])
    expect(
        fn(x),
        np.sqrt(np.mean(x**2)),
        mistakes=[
            (np.mean(x**2), "This is the mean of the squares: the root is missing."),
            (
                np.mean(x) ** 2,
                "This is the square of the mean, where ups and downs cancel: square first, then average.",
            ),
            (np.abs(np.mean(x)), "The ups and downs have cancelled: square first, then average, then take the root."),
            (np.sqrt(np.sum(x**2)), "This is the root of the sum: divide by the length, or longer would mean louder."),
            (np.mean(np.abs(x)), "This is the mean of the absolute values: a fair loudness, but not the RMS."),
            (np.mean(x), "This is the mean: a sound swings around zero, so its mean is near zero however loud it is."),
            (np.max(np.abs(x)), "This is the peak, the loudest sample: one click would decide it."),
        ],
    )
    expect(fn(np.zeros(4)), 0.0, what="the RMS of silence")


@exercise(notebook="00", title="Cut out a stretch", minutes=5)
def cut(fn):
    """cut(x, sample_rate, start, stop): x (samples,) -> the samples from `start` to just before `stop`, in seconds."""
    x = np.arange(50.0)
    expect(
        fn(x, 10, 1.0, 3.0),
        x[10:30],
        what="seconds 1 to 3 of a signal at 10 Hz",
        mistakes=[
            (x[1:3], "You cut by seconds as if they were samples: times the sample rate."),
            (x[10:31], "One sample too many: the sample at `stop` belongs to the next stretch."),
            (x[10:40], "`stop` is a time, not a length: you went on for `stop` seconds from `start`."),
            (x[:20], "The right length from the wrong place: begin at `start`."),
            (x[10:], "The end is missing: nothing was cut off after `stop`."),
        ],
    )
    expect(
        fn(np.arange(200.0), 100, 0.29, 1.15),
        np.arange(29.0, 115.0),
        what="seconds 0.29 to 1.15 at 100 Hz",
        mistakes=[
            (
                np.arange(28.0, 114.0),
                "0.29 · 100 is 28.999… to a computer, and `int` or `//` cuts that to 28: round to the nearest sample.",
            )
        ],
    )
