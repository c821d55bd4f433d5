"""Exercises of notebook 00."""

import numpy as np

from course_lib.course.exercises import Draw, Edge, exercise


def _signals(draw: Draw):
    yield np.array([3.0, -4.0])
    yield np.array([3.0, -4.0, 0.0, 1.0, -2.0])
    yield np.array([-0.5])
    yield np.zeros(4)
    for _ in range(4):
        yield draw.number(0.1, 9) * (draw.array(draw.integer(6, 40)) + draw.number(-1, 1))


@exercise(
    notebook="00",
    title="How loud is a sound?",
    minutes=5,
    inputs=_signals,
    mistakes=[
        (lambda x: np.mean(x**2), "This is the mean of the squares: the root is missing."),
        (
            lambda x: np.mean(x) ** 2,
            "This is the square of the mean, where ups and downs cancel: square first, then average.",
        ),
        (
            lambda x: np.abs(np.mean(x)),
            "The ups and downs have cancelled: square first, then average, then take the root.",
        ),
        (
            lambda x: np.sqrt(np.sum(x**2)),
            "This is the root of the sum: divide by the length, or longer would mean louder.",
        ),
        (lambda x: np.mean(np.abs(x)), "This is the mean of the absolute values: a fair loudness, but not the RMS."),
        (np.mean, "This is the mean: a sound swings around zero, so its mean is near zero however loud it is."),
        (lambda x: np.max(np.abs(x)), "This is the peak, the loudest sample: one click would decide it."),
    ],
    example=(np.array([3.0, -4.0]),),
    hints=[
        "Read RMS from right to left: the square comes first, and it takes the signs away.",
        ("The squares are {}.", lambda x: x**2),
        ("The mean of the squares is {}; what is left to do is the root.", lambda x: np.mean(x**2)),
        "NumPy squares all samples at once; `np.mean` and `np.sqrt` do the rest. Begin with `squares = x**2`.",
    ],
)
def rms(x):
    """rms(x): x (samples,) -> the root of the mean of the squares, one number."""
    return np.sqrt(np.mean(x**2))


def _stretches(draw: Draw):
    yield np.arange(5.0), 1, 1.0, 3.0
    yield np.arange(50.0), 10, 1.0, 3.0
    yield np.arange(30.0), 10, 0.0, 1.5
    yield (
        Edge(
            (np.arange(200.0), 100, 0.29, 1.15),
            "0.29 · 100 is 28.999… to a computer, and `int` or `//` cuts that to 28: round to the nearest sample.",
        )
    )
    for _ in range(4):
        rate, start, length = draw.integer(2, 9), draw.integer(1, 3), draw.integer(4, 6)
        yield draw.array(12 * rate), rate, start + 1 / rate, float(start + length)


@exercise(
    notebook="00",
    title="Cut out a stretch",
    minutes=5,
    inputs=_stretches,
    mistakes=[
        (
            lambda x, rate, start, stop: x[int(start) : int(stop)],
            "You cut by seconds as if they were samples: times the sample rate.",
        ),
        (
            lambda x, rate, start, stop: x[round(start * rate) : round(stop * rate) + 1],
            "One sample too many: the sample at `stop` belongs to the next stretch.",
        ),
        (
            lambda x, rate, start, stop: x[round(start * rate) : round((start + stop) * rate)],
            "`stop` is a time, not a length: you went on for `stop` seconds from `start`.",
        ),
        (
            lambda x, rate, start, stop: x[: round((stop - start) * rate)],
            "The right length from the wrong place: begin at `start`.",
        ),
        (
            lambda x, rate, start, stop: x[round(start * rate) :],
            "The end is missing: nothing was cut off after `stop`.",
        ),
    ],
    example=(np.arange(10.0), 2, 1.0, 3.0),
    hints=[
        "Seconds are no positions in the array: how many samples go by until `start`?",
        ("At this rate `start` is sample {}.", lambda x, rate, start, stop: round(start * rate)),
        "Turn both times into whole numbers of samples with `round`, then take a slice, which leaves out its end.",
        "Begin with `first = round(start * sample_rate)`.",
    ],
)
def cut(x, sample_rate, start, stop):
    """cut(x, sample_rate, start, stop): x (samples,) -> the samples from `start` to just before `stop`, in seconds."""
    return x[round(start * sample_rate) : round(stop * sample_rate)]
