"""Checks of notebook 01."""

import numpy as np

from course_lib.course.exercises import exercise, expect


@exercise(notebook="01", title="Loudness over time", minutes=10)
def frame_rms(fn):
    """frame_rms(x, frame_length, hop_length): x (T,) -> the RMS of each whole frame, (frames,)."""
    x, frame, hop = np.random.default_rng(1).normal(loc=0.5, size=13), 4, 3

    def frames_at(starts, reduce):
        return np.array([reduce(x[start : start + frame]) for start in starts])

    def rms(part):
        return np.sqrt(np.mean(part**2))

    whole = range(0, len(x) - frame + 1, hop)
    expect(
        fn(x, frame, hop),
        frames_at(whole, rms),
        mistakes=[
            (rms(x), "This is one RMS for the whole clip: cut it into frames first."),
            (frames_at(whole, lambda p: np.mean(p**2)), "These are the means of the squares: the root is missing."),
            (
                frames_at(whole, lambda p: np.abs(np.mean(p))),
                "Ups and downs have cancelled: square each sample before you average.",
            ),
            (frames_at(whole, lambda p: np.sqrt(np.sum(p**2))), "This is the root of the sum: divide by frame_length."),
            (
                frames_at(range(0, len(x) - frame + 1, frame), rms),
                "The frames do not overlap: the next one starts hop_length samples later, not frame_length.",
            ),
            (frames_at(range(len(x) - frame + 1), rms), "There is a frame at every sample: step by hop_length."),
            (
                frames_at(range(0, len(x) - frame, hop), rms),
                "The last frame is missing: one that ends exactly at the end is whole. Look at the bound of the range.",
            ),
            (
                frames_at(range(0, len(x), hop), rms),
                "The last value comes from a piece shorter than frame_length: stop before the end.",
            ),
            (
                frames_at([*whole, 12], lambda p: np.sqrt(np.sum(p**2) / frame)),
                "The end was padded with zeros, so the last value is too low: leave incomplete frames out.",
            ),
        ],
    )
    expect(fn(x[:frame], frame, hop), [rms(x[:frame])], what="the RMS of a clip that is just one frame long")


@exercise(notebook="01", title="One frequency by a loop", minutes=10)
def dft_bin(fn):
    """dft_bin(x, k): x (N,) -> X[k], the sum of x[n] exp(-2πi k n / N), one complex number."""
    x, k = np.array([3.0, -4.0, 0.5, 1.0, -2.0, 1.5, 2.0]), 2
    right = np.fft.fft(x)[k]
    n = np.arange(len(x))
    expect(
        fn(x, k),
        right,
        mistakes=[
            (np.conj(right), "The sign of the exponent is flipped: the transform has a minus, its inverse a plus."),
            (
                (x * np.exp(-1j * k * n / len(x))).sum(),
                "2π is missing: k cycles over the frame are an angle of 2π k.",
            ),
            (
                (x * np.exp(-1j * np.pi * k * n / len(x))).sum(),
                "Half of the angle is missing: one cycle is 2π, not π.",
            ),
            (right.real, "This is the cosine part alone: the sine part is missing, so a shifted tone would vanish."),
            (right.imag, "This is the sine part alone: the cosine part is missing."),
            (np.abs(right), "This is the magnitude: return the complex number itself."),
            (np.abs(right) ** 2, "This is the power: return the complex number itself."),
            (right / len(x), "This is divided by N: in this convention only the inverse transform divides."),
            (
                (x * np.exp(-2j * np.pi * k * (n + 1) / len(x))).sum(),
                "The angle starts one step late: n counts from 0, not from 1.",
            ),
            (
                (x * np.exp(-2j * np.pi * k * n)).sum(),
                "N is missing: after N samples, not after one, the wave has made k cycles.",
            ),
        ],
    )
    expect(fn(x, 0), x.sum(), what="bin 0, the sum of the samples,")


@exercise(notebook="01", title="Power in decibels", minutes=5)
def decibels(fn):
    """decibels(power): powers, not all 0, any shape -> 10 log10(power / largest power), nowhere below -80."""
    power = np.array([[4.0, 0.4, 1e-3], [0.0, 1e-12, 2.0]])
    ratio = np.maximum(power / 4.0, 1e-8)
    by_row = np.maximum(power / power.max(axis=1, keepdims=True), 1e-8)
    with np.errstate(divide="ignore"):
        bottomless = 10 * np.log10(power / 4.0)
        absolute = np.maximum(10 * np.log10(power), -80)
        result = fn(power)
    expect(
        result,
        10 * np.log10(ratio),
        mistakes=[
            (bottomless, "Silence has become minus infinity: nothing may lie below -80."),
            (
                np.maximum(20 * np.log10(ratio), -80),
                "20 log10 is for amplitudes: power is amplitude squared already, so 10 is right.",
            ),
            (20 * np.log10(ratio), "20 log10 is for amplitudes: power is amplitude squared already, so 10 is right."),
            (np.maximum(10 * np.log(ratio), -80), "This is the natural logarithm: decibels use the one to base 10."),
            (np.maximum(np.log10(ratio), -80), "These are bels: a decibel is a tenth of one, so multiply by 10."),
            (absolute, "The loudest value should be 0 dB: divide by the largest power first."),
            (10 * np.log10(by_row), "Each row has its own reference: use the largest power of the whole array."),
            (-10 * np.log10(ratio), "The sign is flipped: softer than the loudest is negative."),
        ],
    )


@exercise(notebook="01", title="Which recordings leak", minutes=10)
def leaking_groups(fn):
    """leaking_groups(groups, folds): (N,) each -> sorted list of the groups that are in more than one fold."""
    groups = np.array(["frog", "bell", "frog", "cat", "bell", "cat", "dove", "ape", "ape"])
    folds = np.array([1, 1, 2, 2, 1, 3, 2, 3, 1])
    mistakes = [
        (
            sorted({"bell", "frog", "cat", "ape"}),
            "You list groups with several clips: several in one fold leak nothing.",
        ),
        (sorted({"bell", "dove"}), "You list the groups that do not leak: the condition is the wrong way round."),
        (sorted(set(groups.tolist())), "You list every group: compare the folds within each group."),
        (["ape", "ape", "cat", "cat", "frog", "frog"], "Each group is listed once a clip: list it once."),
        (["0", "2", "3", "5", "7", "8"], "These are positions of clips: return the names of the groups."),
        (["1", "2", "3"], "These are folds: return the names of the groups."),
        (["3"], "This is how many leak: return the names of the groups."),
    ]
    answer = fn(groups, folds)
    if answer is not None:
        answer = sorted(str(name) for name in (answer if np.iterable(answer) else [answer]))
    expect(answer, ["ape", "cat", "frog"], mistakes=mistakes)
    clean = fn(groups[[1, 4, 6]], folds[[1, 4, 6]])
    expect(None if clean is None else list(clean), [], what="the list where nothing leaks")
