"""Exercises of notebook 01."""

import numpy as np

from course_lib.course.exercises import Draw, Edge, exercise


def _frames(draw: Draw):
    for T, frame, hop in [(4, 4, 3), (6, 4, 2), (13, 4, 3), (12, 4, 2), (9, 2, 3), (21, 5, 3), (17, 3, 1)]:
        yield draw.array(T) + 0.5, frame, hop
    for _ in range(3):
        hop, frame, T = sorted(draw.sizes(3, 2, 30))
        yield draw.array(T) + 0.5, frame, hop


def _framewise(reduce, starts=lambda T, frame, hop: range(0, T - frame + 1, hop), pad=0):
    """The notebook's frames, reduced; with frames that start elsewhere, or zeros at the end."""

    def answer(x, frame, hop):
        padded = np.pad(x, (0, pad * frame))
        return np.array([reduce(padded[start : start + frame]) for start in starts(len(x), frame, hop)])

    return answer


def _rms(part):
    return np.sqrt(np.mean(part**2))


@exercise(
    notebook="01",
    title="Loudness over time",
    minutes=10,
    inputs=_frames,
    mistakes=[
        (lambda x, frame, hop: _rms(x), "This is one RMS for the whole clip: cut it into frames first."),
        (_framewise(lambda p: np.mean(p**2)), "These are the means of the squares: the root is missing."),
        (
            _framewise(lambda p: np.abs(np.mean(p))),
            "Ups and downs have cancelled: square each sample before you average.",
        ),
        (_framewise(lambda p: np.sqrt(np.sum(p**2))), "This is the root of the sum: divide by frame_length."),
        (
            _framewise(_rms, lambda T, frame, hop: range(0, T - frame + 1, frame)),
            "The frames do not overlap: the next one starts hop_length samples later, not frame_length.",
        ),
        (
            _framewise(_rms, lambda T, frame, hop: range(T - frame + 1)),
            "There is a frame at every sample: step by hop_length.",
        ),
        (
            _framewise(_rms, lambda T, frame, hop: range(0, T - frame, hop)),
            "The last frame is missing: one that ends exactly at the end is whole. Look at the bound of the range.",
        ),
        (
            _framewise(_rms, lambda T, frame, hop: range(0, T, hop)),
            "The last value comes from a piece shorter than frame_length: stop before the end.",
        ),
        (
            _framewise(_rms, lambda T, frame, hop: range(0, T - frame + 2, hop)),
            "The last value may come from a shorter piece: the last frame starts at T - frame_length.",
        ),
        (
            _framewise(_rms, lambda T, frame, hop: range(0, T, hop), pad=1),
            "The end was padded with zeros, so the last value is too low: leave incomplete frames out.",
        ),
    ],
    example=(np.array([3.0, 4.0, 0.0, 0.0, 5.0]), 2, 2),
    hints=[
        "A frame is a slice of `frame_length` samples. Where does the second one begin, and where the last that is "
        "whole?",
        ("The frames begin at samples {}.", lambda x, frame, hop: list(range(0, len(x) - frame + 1, hop))),
        "Go through the beginnings in steps of `hop_length`, take the RMS of each slice as in notebook 00, and make "
        "an array.",
        "Begin with `starts = range(0, len(x) - frame_length + 1, hop_length)`.",
    ],
)
def frame_rms(x, frame_length, hop_length):
    """frame_rms(x, frame_length, hop_length): x (T,) -> the RMS of each whole frame, (frames,)."""
    starts = range(0, len(x) - frame_length + 1, hop_length)
    return np.array([np.sqrt(np.mean(x[start : start + frame_length] ** 2)) for start in starts])


def _bins(draw: Draw):
    yield np.array([2.0]), 0
    yield np.array([3.0, -4.0, 0.5]), 1
    yield np.array([3.0, -4.0, 0.5, 1.0, -2.0, 1.5, 2.0]), 2
    yield draw.array(6), 0
    for _ in range(4):
        N = draw.integer(5, 30)
        yield draw.array(N), draw.integer(1, N - 1)


def _bin(angle, first=0):
    """A sum over n of x[n] exp(i angle(k, n, N))."""
    return lambda x, k: sum(v * np.exp(1j * angle(k, n, len(x))) for n, v in enumerate(x, first))


@exercise(
    notebook="01",
    title="One frequency by a loop",
    minutes=10,
    inputs=_bins,
    mistakes=[
        (
            _bin(lambda k, n, N: 2 * np.pi * k * n / N),
            "The sign of the exponent is flipped: the transform has a minus, its inverse a plus.",
        ),
        (_bin(lambda k, n, N: -k * n / N), "2π is missing: k cycles over the frame are an angle of 2π k."),
        (_bin(lambda k, n, N: -np.pi * k * n / N), "Half of the angle is missing: one cycle is 2π, not π."),
        (
            lambda x, k: np.fft.fft(x)[k].real,
            "This is the cosine part alone: the sine part is missing, so a shifted tone would vanish.",
        ),
        (lambda x, k: np.fft.fft(x)[k].imag, "This is the sine part alone: the cosine part is missing."),
        (lambda x, k: np.abs(np.fft.fft(x)[k]), "This is the magnitude: return the complex number itself."),
        (lambda x, k: np.abs(np.fft.fft(x)[k]) ** 2, "This is the power: return the complex number itself."),
        (
            lambda x, k: np.fft.fft(x)[k] / len(x),
            "This is divided by N: in this convention only the inverse transform divides.",
        ),
        (
            _bin(lambda k, n, N: -2 * np.pi * k * n / N, first=1),
            "The angle starts one step late: n counts from 0, not from 1.",
        ),
        (
            _bin(lambda k, n, N: -2 * np.pi * k * n),
            "N is missing: after N samples, not after one, the wave has made k cycles.",
        ),
        (lambda x, k: np.fft.fft(x), "These are all bins, an array of that shape: return X[k] alone."),
    ],
    example=(np.array([2.0, 0.0, -2.0, 0.0]), 1),
    hints=[
        "It is one sum over n. From term to term only the sample and the angle −2π·k·n/N change.",
        ("The angles of the four samples, in units of π: {}.", lambda x, k: -2 * k * np.arange(len(x)) / len(x)),
        "Multiply each sample by `np.exp` of i times its angle and add up. No magnitude, no division.",
        "Begin with `total = 0.0`, then loop over n.",
    ],
)
def dft_bin(x, k):
    """dft_bin(x, k): x (N,) -> X[k], the sum of x[n] exp(-2πi k n / N), one complex number."""
    total = 0.0
    for n in range(len(x)):
        total += x[n] * np.exp(-2j * np.pi * k * n / len(x))
    return total


def _powers(draw: Draw):
    yield np.array([4.0, 2.0])
    yield np.array([[4.0, 0.4, 1e-3], [0.5, 1e-5, 2.0]])
    yield draw.array(3, 2, 4) ** 2
    yield 1e6 * draw.array(5, 3) ** 2
    floor = "Nothing may lie below -80, and nothing else may change: -80 is 10 log10 of 1e-8."
    yield Edge((np.array([4.0, 0.0]),), floor, nan="Silence has become minus infinity: nothing may lie below -80.")
    yield Edge((np.array([[1e3, 1e-2, 2e-5], [1e-5 / 1.2, 1e-6, 0.0]]),), floor)
    yield Edge((np.array([2.0, 2.4e-8, 1.9e-8, 3e-8, 2e-9]),), floor)


def _floored(level):
    """dB that stop at -80, from a level for the ratio to the largest power."""

    def answer(power):
        with np.errstate(divide="ignore"):
            return np.maximum(level(power / power.max()), -80)

    return answer


@exercise(
    notebook="01",
    title="Power in decibels",
    minutes=5,
    inputs=_powers,
    mistakes=[
        (
            _floored(lambda ratio: 20 * np.log10(ratio)),
            lambda power: 20 * np.log10(np.maximum(power / power.max(), 1e-8)),
            "20 log10 is for amplitudes: power is amplitude squared already, so 10 is right.",
        ),
        (_floored(lambda ratio: 10 * np.log(ratio)), "This is the natural logarithm: decibels use the one to base 10."),
        (_floored(np.log10), "These are bels: a decibel is a tenth of one, so multiply by 10."),
        (
            lambda power: np.maximum(10 * np.log10(np.maximum(power, 1e-30)), -80),
            "The loudest value should be 0 dB: divide by the largest power first.",
        ),
        (
            lambda power: np.maximum(10 * np.log10(np.maximum(power / power.max(axis=-1, keepdims=True), 1e-30)), -80),
            lambda power: np.maximum(10 * np.log10(np.maximum(power / power.max(axis=1, keepdims=True), 1e-30)), -80),
            "Each row has its own reference: use the largest power of the whole array.",
        ),
        (
            lambda power: -10 * np.log10(np.maximum(power / power.max(), 1e-8)),
            "The sign is flipped: softer than the loudest is negative.",
        ),
    ],
    example=(np.array([4.0, 0.4, 0.0]),),
    hints=[
        "Which number should the largest power become? Divide first, then take the logarithm.",
        ("The powers relative to the largest are {}.", lambda power: power / power.max()),
        "−80 dB is a ratio of 10 to the power of −8: lift smaller ratios to that before the logarithm, which is −∞ at "
        "0.",
        "Begin with `ratio = power / power.max()`.",
    ],
)
def decibels(power):
    """decibels(power): powers, not all 0, any shape -> 10 log10(power / largest power), nowhere below -80."""
    return 10 * np.log10(np.maximum(power / power.max(), 1e-8))


def _clips(draw: Draw):
    yield np.array(["owl", "ant", "owl", "ant"]), np.array([1, 2, 2, 2])
    yield np.array(["owl", "ant"]), np.array([1, 2])
    yield (
        np.array(["frog", "bell", "frog", "cat", "bell", "cat", "dove", "ape", "ape"]),
        np.array([1, 1, 2, 2, 1, 3, 2, 3, 1]),
    )
    for N in (5, 9, 14):
        names = draw.rng.permutation(["wren", "bee", "owl", "ant", "fox", "yak"])
        yield names[draw.integers(0, 5, N)], draw.integers(1, 4, N)


def _names(fn, groups, folds):
    """What `fn` lists, as Python strings."""
    answer = fn(groups, folds)
    if isinstance(answer, np.ndarray | list | tuple):
        return [str(name) for name in answer]
    return answer


def _folds(groups, folds):
    return {str(group): len(set(folds[groups == group])) for group in groups}


@exercise(
    notebook="01",
    title="Which recordings leak",
    minutes=10,
    inputs=_clips,
    call=_names,
    mistakes=[
        (
            lambda groups, folds: sorted(name for name in set(groups) if (groups == name).sum() > 1),
            "You list groups with several clips: several in one fold leak nothing.",
        ),
        (
            lambda groups, folds: sorted(name for name, n in _folds(groups, folds).items() if n == 1),
            lambda groups, folds: [name for name, n in _folds(groups, folds).items() if n == 1],
            "You list the groups that do not leak: the condition is the wrong way round.",
        ),
        (lambda groups, folds: sorted(set(groups)), "You list every group: compare the folds within each group."),
        (
            lambda groups, folds: [name for name in groups if _folds(groups, folds)[name] > 1],
            lambda groups, folds: [name for name in sorted(groups) if _folds(groups, folds)[name] > 1],
            "Each group is listed once a clip: list it once.",
        ),
        (
            lambda groups, folds: [name for name, n in _folds(groups, folds).items() if n > 1],
            "The right groups, but not sorted.",
        ),
        (
            lambda groups, folds: [name for name, n in sorted(_folds(groups, folds).items())[::-1] if n > 1],
            "The right groups, but not sorted from a to z.",
        ),
        (
            lambda groups, folds: [i for i, name in enumerate(groups) if _folds(groups, folds)[name] > 1],
            "These are positions of clips: return the names of the groups.",
        ),
        (lambda groups, folds: sorted(set(folds)), "These are folds: return the names of the groups."),
        (
            lambda groups, folds: sum(n > 1 for n in _folds(groups, folds).values()),
            "This is how many leak: return the names of the groups.",
        ),
    ],
    example=(np.array(["a", "a", "b", "b"]), np.array([1, 2, 3, 3])),
    hints=[
        "Take one group. In which folds do its clips lie, and how many different ones are they?",
        ("The folds of the clips of a are {}.", lambda groups, folds: folds[groups == "a"]),
        "A boolean mask picks the folds of a group; a `set` of them has more than one member where the group leaks. "
        "Sort the names.",
        "Begin with `names = sorted(set(groups))`.",
    ],
)
def leaking_groups(groups, folds):
    """leaking_groups(groups, folds): (N,) each -> sorted list of the groups that are in more than one fold."""
    return sorted(name for name, n in _folds(groups, folds).items() if n > 1)
