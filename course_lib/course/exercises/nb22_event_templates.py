"""Checks for notebook 22: the normalised correlation, delays, and a template from snippets of all sizes."""

from __future__ import annotations

import torch

from course_lib.course.exercises import Hint, exercise, expect
from course_lib.models.template_bank import centred_and_clamped, shift


@exercise(notebook="22", title="A score that loudness cannot buy", minutes=10)
def normalised_correlation(fn):
    """normalised_correlation(x, kernel): x (T, C), kernel (C, K) -> (T - K + 1,), cosines between window and kernel"""
    generator = torch.Generator().manual_seed(22)
    x, kernel = torch.randn(13, 3, generator=generator), torch.randn(3, 5, generator=generator)
    windows = x.unfold(0, 5, 1)  # (9, C, K)
    products = (windows * kernel).sum(dim=(1, 2))
    size, norms = kernel.norm(), windows.flatten(1).norm(dim=1)
    by_channel = (windows * kernel).sum(2) / windows.norm(dim=2) / kernel.norm(dim=1)  # (9, C)
    expect(
        fn(x, kernel),
        products / norms / size,
        mistakes=[
            (products, "That is the plain correlation; a loud window wins. Divide by the norms of window and kernel."),
            (products / size, "Only the kernel's norm is divided out, so a loud window still scores high."),
            (products / norms, "Only the window's norm is divided out; the score should not pass 1."),
            (products / (norms * size) ** 2, "The norms are squared: a norm is the root of the sum of squares."),
            (products / x.norm() / size, "Divided by the norm of all of x; each window has its own."),
            (by_channel.mean(1), "Each channel was normalised by itself; one norm goes over all channels of a window."),
            ((windows.flip(2) * kernel).sum(dim=(1, 2)) / norms / size, "The kernel runs backwards in time."),
        ],
        what="the scores",
    )


@exercise(notebook="22", title="Late by a fraction of a sample", minutes=12)
def fractional_shift(fn):
    """fractional_shift(x, delay): x (L,), delay in samples -> (L,), x that much later, by turning phases"""
    time = torch.arange(24, dtype=torch.float64)
    x = torch.exp(-((time - 10) ** 2) / 8)
    delay = 2.3
    right = shift(x, torch.tensor(delay, dtype=torch.float64))
    frequency = torch.fft.fftfreq(24, dtype=torch.float64)
    half = torch.fft.rfftfreq(24, dtype=torch.float64)
    spectrum = torch.fft.rfft(x)
    expect(
        fn(x, delay),
        right,
        mistakes=[
            (shift(x, torch.tensor(-delay)), "Shifted the wrong way: a delay has exp(-2πi f delay), with a minus."),
            (x.roll(2), "Rounded to whole samples. The fraction matters: the phase takes any delay."),
            (
                torch.fft.irfft(spectrum * torch.exp(-1j * half * delay), n=24),
                "Too little: 2π is missing, a frequency of f cycles a sample turns by 2π f a sample.",
            ),
            (
                torch.fft.ifft(torch.fft.fft(x) * torch.exp(-2j * torch.pi * frequency.abs() * delay)).real,
                "Negative frequencies turn the other way; `rfft` spares you from them.",
            ),
        ],
        rtol=1e-6,
        atol=1e-8,
        what="the shifted signal",
    )
    if not torch.allclose(torch.as_tensor(fn(x, 0.0)), x):
        raise Hint("A delay of 0 should change nothing.")


@exercise(notebook="22", title="Delays that have a meaning", minutes=10)
def centred_delays(fn):
    """centred_delays(delays): (E, C) -> (E, C), mean zero over the channels of each type; nothing is clamped yet"""
    delays = torch.tensor([[1.0, 4.0, 7.0, -2.0], [9.0, 9.0, 9.0, 9.0], [0.0, -3.0, 1.0, 2.0]])
    expect(
        fn(delays),
        centred_and_clamped(delays, 100.0),
        mistakes=[
            (delays - delays.mean(), "One mean for all types; each type has its own onset, so its own mean."),
            (
                delays - delays.mean(0),
                "The mean was taken over types; a common shift is one of all channels of a type.",
            ),
            (
                delays - delays[:, :1],
                "That counts from channel 0; the mean does not depend on how channels are numbered.",
            ),
            (delays - delays.amin(1, keepdim=True), "That counts from the earliest channel; subtract the mean."),
        ],
        what="the delays",
    )


@exercise(notebook="22", title="A template from snippets of all sizes", minutes=12)
def template_update(fn):
    """template_update(snippets, amplitudes): (M, K), (M,) -> (K,), the k with the least Σ over i of ‖s_i - a_i k‖²"""
    generator = torch.Generator().manual_seed(23)
    amplitudes = torch.tensor([0.7, 1.3, 1.0, 1.2])
    snippets = amplitudes[:, None] * torch.randn(6, generator=generator)
    snippets = snippets + 0.5 * torch.randn(4, 6, generator=generator)
    weighted = (amplitudes[:, None] * snippets).sum(0)
    expect(
        fn(snippets, amplitudes),
        weighted / amplitudes.square().sum(),
        mistakes=[
            (snippets.mean(0), "A plain mean: faint events, which are mostly noise, count as much as strong ones."),
            (
                (snippets / amplitudes[:, None]).mean(0),
                "Dividing each by its amplitude makes the faint ones' noise loud. Set the derivative with k to zero.",
            ),
            (weighted / amplitudes.sum(), "Nearly: the sum is divided by Σ a; the derivative gives Σ a²."),
            (weighted / len(amplitudes), "Divided by the number of snippets; the derivative gives Σ a²."),
            (weighted, "The sum of a·s still has to be divided, by Σ a²."),
        ],
        what="the template",
    )
