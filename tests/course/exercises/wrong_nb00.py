"""Wrong answers to the exercises of notebook 00, each with a piece of the hint that it must get."""

import numpy as np

WRONG = {
    "rms": {
        "no root": (lambda x: np.mean(x**2), "root is missing"),
        "mean first": (lambda x: np.sqrt(np.mean(x) ** 2), "have cancelled"),
        "sum": (lambda x: np.sqrt(np.sum(x**2)), "divide by the length"),
        "absolute values": (lambda x: np.mean(np.abs(x)), "mean of the absolute values"),
        "mean": (lambda x: x.mean(), "near zero however loud"),
        "peak": (lambda x: abs(x).max(), "one click would decide"),
        "normalised": (lambda x: np.sqrt(np.mean((x / np.abs(x).max()) ** 2)), "expected"),
        "no return": (lambda x: None, "`return` missing"),
    },
    "cut": {
        "samples for seconds": (lambda x, rate, start, stop: x[int(start) : int(stop)], "times the sample rate"),
        "stop included": (
            lambda x, rate, start, stop: x[round(start * rate) : round(stop * rate) + 1],
            "One sample too many",
        ),
        "stop as a length": (
            lambda x, rate, start, stop: x[round(start * rate) : round((start + stop) * rate)],
            "not a length",
        ),
        "from the beginning": (lambda x, rate, start, stop: x[: round((stop - start) * rate)], "begin at `start`"),
        "no end": (lambda x, rate, start, stop: x[round(start * rate) :], "end is missing"),
        "truncated": (lambda x, rate, start, stop: x[int(start * rate) : int(stop * rate)], "round to the nearest"),
        "float index": (lambda x, rate, start, stop: x[start * rate : stop * rate], "slice indices must be integers"),
    },
}
