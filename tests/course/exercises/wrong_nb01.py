"""Wrong answers to the exercises of notebook 01, each with a piece of the hint that it must get."""

import numpy as np


def framewise(reduce, step=None, last=1):
    """A wrong `frame_rms` that reduces frames in its own way; `last=0` stops one frame early."""

    def answer(x, frame_length, hop_length):
        starts = range(0, len(x) - frame_length + last, step(frame_length, hop_length) if step else hop_length)
        return np.array([reduce(x[start : start + frame_length]) for start in starts])

    return answer


def rms(part):
    return np.sqrt(np.mean(part**2))


def padded(x, frame_length, hop_length):
    starts = range(0, len(x), hop_length)
    x = np.pad(x, (0, frame_length))
    return np.array([rms(x[start : start + frame_length]) for start in starts])


def bin_with(angle, start=0):
    """A wrong `dft_bin` with its own angle(k, n, N)."""

    def answer(x, k):
        return sum(x[n] * np.exp(1j * angle(k, n + start, len(x))) for n in range(len(x)))

    return answer


def true_bin(x, k):
    return np.fft.fft(x)[k]


def several_clips(groups, folds):
    names, counts = np.unique(groups, return_counts=True)
    return names[counts > 1].tolist()


def folds_of(groups, folds):
    return {group: len(set(folds[groups == group])) for group in groups}


WRONG = {
    "frame_rms": {
        "whole clip": (lambda x, f, h: rms(x), "cut it into frames first"),
        "no root": (framewise(lambda p: np.mean(p**2)), "root is missing"),
        "mean first": (framewise(lambda p: np.sqrt(np.mean(p) ** 2)), "square each sample before"),
        "sum": (framewise(lambda p: np.sqrt(np.sum(p**2))), "divide by frame_length"),
        "hop ignored": (framewise(rms, step=lambda f, h: f), "do not overlap"),
        "every sample": (framewise(rms, step=lambda f, h: 1), "frame at every sample"),
        "last frame lost": (framewise(rms, last=0), "last frame is missing"),
        "short last frame": (
            lambda x, f, h: [rms(x[i : i + f]) for i in range(0, len(x), h)],
            "shorter than",
        ),
        "zero-padded": (padded, "padded with zeros"),
        "no return": (lambda x, f, h: None, "`return` missing"),
    },
    "dft_bin": {
        "plus sign": (bin_with(lambda k, n, N: 2 * np.pi * k * n / N), "sign of the exponent"),
        "no 2π": (bin_with(lambda k, n, N: -k * n / N), "2π is missing"),
        "π": (bin_with(lambda k, n, N: -np.pi * k * n / N), "one cycle is 2π"),
        "from one": (bin_with(lambda k, n, N: -2 * np.pi * k * n / N, start=1), "counts from 0"),
        "no N": (bin_with(lambda k, n, N: -2 * np.pi * k * n), "N is missing"),
        "cosine": (lambda x, k: true_bin(x, k).real, "sine part is missing"),
        "sine": (lambda x, k: true_bin(x, k).imag, "cosine part is missing"),
        "magnitude": (lambda x, k: abs(true_bin(x, k)), "This is the magnitude"),
        "power": (lambda x, k: abs(true_bin(x, k)) ** 2, "This is the power"),
        "mean": (lambda x, k: true_bin(x, k) / len(x), "divided by N"),
        "all bins": (lambda x, k: np.fft.fft(x), "shape"),
    },
    "decibels": {
        "no floor": (lambda p: 10 * np.log10(p / p.max()), "minus infinity"),
        "amplitude": (lambda p: np.maximum(20 * np.log10(p / p.max()), -80), "20 log10 is for amplitudes"),
        "natural": (lambda p: np.maximum(10 * np.log(p / p.max()), -80), "natural logarithm"),
        "bels": (lambda p: np.maximum(np.log10(np.maximum(p / p.max(), 1e-8)), -80), "These are bels"),
        "no reference": (lambda p: np.maximum(10 * np.log10(p), -80), "divide by the largest power"),
        "row by row": (
            lambda p: np.maximum(10 * np.log10(p / p.max(axis=1, keepdims=True)), -80),
            "own reference",
        ),
        "sign": (lambda p: np.minimum(10 * np.log10(p.max() / np.maximum(p, 1e-30)), 80), "sign is flipped"),
    },
    "leaking_groups": {
        "several clips": (several_clips, "several in one fold leak nothing"),
        "condition": (lambda g, f: [name for name, n in folds_of(g, f).items() if n == 1], "wrong way round"),
        "every group": (lambda g, f: sorted(set(g)), "every group"),
        "once a clip": (lambda g, f: [name for name in g if folds_of(g, f)[name] > 1], "once a clip"),
        "positions": (lambda g, f: [i for i, name in enumerate(g) if folds_of(g, f)[name] > 1], "positions of clips"),
        "folds": (lambda g, f: sorted(set(f.tolist())), "These are folds"),
        "count": (lambda g, f: sum(n > 1 for n in folds_of(g, f).values()), "how many leak"),
        "no return": (lambda g, f: None, "`return` missing"),
    },
}
