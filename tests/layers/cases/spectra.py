"""Frames, Fourier transforms, spectra and overlap-add."""

import numpy as np
import torch

import course_lib.layers as sl
from course_lib.layers.overlap_add import OVERLAP_MODES
from course_lib.layers.windows import PADDING_MODES
from course_lib.sequence import PROPERTIES, Case, ragged

FRAMES = ((4, 2), (4, 4), (5, 2), (2, 3), (3, 1))
# The inverse cancels part of what the transform reaches: what is declared is only a bound.
ALL_BUT_REACH = tuple(name for name in PROPERTIES if name != "reach")
SPECTRA = ((6, 2, 8), (8, 4, 8), (5, 3, 6))


def _frame(padding, length, step):
    return lambda: Case(lambda: sl.Frame(length, step, padding), ragged(2, lengths=(17, 11, 0)))


def _overlap_add(padding, length, step):
    return lambda: Case(lambda: sl.OverlapAdd(length, step, padding), ragged(length, 3, lengths=(9, 6, 0)))


def _stft(padding, length, step, points):
    return lambda: Case(lambda: sl.STFT(length, step, points, padding=padding), ragged(2, lengths=(19, 11, 0)))


def _inverse_stft(padding, length, step, points):
    spectra = ragged(points // 2 + 1, 2, lengths=(9, 6, 0))
    return lambda: Case(lambda: sl.InverseSTFT(length, step, points, padding=padding), _complex(spectra))


def _gate():
    """Spectra weighed by their own magnitudes."""
    return sl.Lambda(lambda v: v * v.abs())


def _complex(x):
    return x.with_values(torch.complex(x.values, x.values.roll(1, dims=2)))


CASES = {
    f"Frame {mode} {length}/{step}": _frame(mode, length, step) for mode in PADDING_MODES for length, step in FRAMES
}
CASES |= {
    f"OverlapAdd {mode} {length}/{step}": _overlap_add(mode, length, step)
    for mode in OVERLAP_MODES
    for length, step in FRAMES
}
CASES |= {
    f"STFT {mode} {length}/{step}/{points}": _stft(mode, length, step, points)
    for mode in PADDING_MODES
    for length, step, points in SPECTRA
}
CASES |= {
    f"InverseSTFT {mode} {length}/{step}/{points}": _inverse_stft(mode, length, step, points)
    for mode in OVERLAP_MODES
    for length, step, points in SPECTRA
}
CASES |= {
    "OverlapAdd of one channel": lambda: Case(lambda: sl.OverlapAdd(4, 2, "valid"), ragged(4)),
    "STFT magnitude, centred": lambda: Case(
        lambda: sl.STFT(5, 2, 8, window=np.hamming, fft_padding="center", magnitude=True), ragged()
    ),
    "InverseSTFT centred": lambda: Case(
        lambda: sl.InverseSTFT(5, 2, 8, ("kaiser", 4.0), fft_padding="center"), _complex(ragged(5))
    ),
    "STFT and back": lambda: Case(
        lambda: sl.Sequential([sl.STFT(8, 4), sl.InverseSTFT(8, 4, padding="full")]),
        ragged(2, lengths=(24, 12, 0)),
        properties=ALL_BUT_REACH,
    ),
    "STFT, gate and back": lambda: Case(
        lambda: sl.Sequential([sl.STFT(6, 2, padding="same"), _gate(), sl.InverseSTFT(6, 2, padding="same")]),
        ragged(lengths=(20, 12, 0)),
        properties=ALL_BUT_REACH,
    ),
    "Window": lambda: Case(lambda: sl.Window(6), ragged(6, 2)),
    "FFT": lambda: Case(sl.FFT, ragged(5)),
    "FFT of more points along another axis": lambda: Case(lambda: sl.FFT(8, axis=2, padding="center"), ragged(5, 2)),
    "IFFT": lambda: Case(lambda: sl.IFFT(4, padding="center"), _complex(ragged(7))),
    "RFFT": lambda: Case(lambda: sl.RFFT(8), ragged(5)),
    "IRFFT": lambda: Case(lambda: sl.IRFFT(8, frame_length=5), _complex(ragged(5))),
    "LinearToMel": lambda: Case(lambda: sl.LinearToMel(9, 3, 16000), ragged(9)),
    "LinearToMel of two channel axes": lambda: Case(lambda: sl.LinearToMel(9, 3, 16000, scale="slaney"), ragged(9, 2)),
}
CASES |= {  # a window's zeros are not looked at
    "Frame, Window": lambda: Case(lambda: sl.Sequential([sl.Frame(4, 2), sl.Window(4)]), ragged(2)),
    "Frame, activation, delay, two windows": lambda: Case(
        lambda: sl.Sequential(
            [sl.Frame(5, 1, "causal"), sl.Tanh(), sl.Delay(1), sl.Window(5, np.array([1.0, 1, 1, 0, 1])), sl.Window(5)]
        ),
        ragged(2),
    ),
    "Frame and Window in two sequentials": lambda: Case(
        lambda: sl.Sequential(
            [
                sl.Sequential([sl.Conv1D(1, 1, 2), sl.Frame(4, 3, "same")]),
                sl.Sequential([sl.Window(4), sl.RFFT(axis=2)]),
            ]
        ),
        ragged(1),
    ),
    "Frame, Window, OverlapAdd": lambda: Case(
        lambda: sl.Sequential([sl.Frame(4, 2), sl.Window(4), sl.OverlapAdd(4, 2, "full")]), ragged(2)
    ),
    "Frame, activation, OverlapAdd": lambda: Case(
        lambda: sl.Sequential([sl.Frame(6, 2, "same"), sl.Window(6), sl.Tanh(), sl.OverlapAdd(6, 2, "same")]), ragged(2)
    ),
    "Frame, delay, OverlapAdd of gaps": lambda: Case(
        lambda: sl.Sequential([sl.Frame(3, 4, "causal"), sl.Delay(1), sl.OverlapAdd(3, 4)]), ragged(2)
    ),
    "Frame, OverlapAdd of another step, convolution": lambda: Case(
        lambda: sl.Sequential([sl.Conv1D(1, 1, 2), sl.Frame(5, 2, "causal"), sl.OverlapAdd(5, 1, "full")]), ragged(1)
    ),
    "Window, OverlapAdd": lambda: Case(
        lambda: sl.Sequential([sl.Window(4), sl.OverlapAdd(4, 1, "full")]), ragged(4, lengths=(9, 6, 0))
    ),
}
