"""Wrong answers to the exercises of notebook 22, each with a piece of the hint that it must get."""

import torch


def correlation(kernel_norm=True, window_norm=True, power=1, whole=False, by_channel=False, flip=False):
    """A wrong `normalised_correlation`: a norm left out, squared, or taken over the wrong thing."""

    def answer(x, kernel):
        windows = x.unfold(0, kernel.shape[1], 1)  # (N, C, K)
        taken = windows.flip(2) if flip else windows
        if by_channel:
            return ((taken * kernel).sum(2) / windows.norm(dim=2) / kernel.norm(dim=1)).mean(1)
        norms = x.norm() if whole else windows.flatten(1).norm(dim=1) ** power
        y = (taken * kernel).sum(dim=(1, 2))
        return y / (norms if window_norm else 1) / (kernel.norm() ** power if kernel_norm else 1)

    return answer


def phases(sign=-1, circle=2 * torch.pi, full=False):
    """A wrong `fractional_shift`."""

    def answer(x, delay):
        if full:
            frequency = torch.fft.fftfreq(len(x), dtype=x.dtype).abs()
            return torch.fft.ifft(torch.fft.fft(x) * torch.exp(-2j * torch.pi * frequency * delay)).real
        frequency = torch.fft.rfftfreq(len(x), dtype=x.dtype)
        return torch.fft.irfft(torch.fft.rfft(x) * torch.exp(sign * 1j * circle * frequency * delay), n=len(x))

    return answer


WRONG = {
    "normalised_correlation": {
        "plain": (correlation(False, False), "plain correlation"),
        "kernel's norm only": (correlation(window_norm=False), "Only the kernel's norm"),
        "window's norm only": (correlation(kernel_norm=False), "Only the window's norm"),
        "squared": (correlation(power=2), "norms are squared"),
        "norm of everything": (correlation(whole=True), "each window has its own"),
        "channel by channel": (correlation(by_channel=True), "one norm goes over all channels"),
        "reversed": (correlation(flip=True), "backwards in time"),
    },
    "fractional_shift": {
        "wrong way": (phases(sign=1), "wrong way"),
        "rounded": (lambda x, delay: x.roll(round(delay)), "whole samples"),
        "no 2π": (phases(circle=1.0), "2π is missing"),
        "negative frequencies": (phases(full=True), "turn the other way"),
    },
    "centred_delays": {
        "one mean": (lambda d: d - d.mean(), "One mean for all types"),
        "over types": (lambda d: d - d.mean(0), "taken over types"),
        "from channel 0": (lambda d: d - d[:, :1], "counts from channel 0"),
        "from the earliest": (lambda d: d - d.amin(1, keepdim=True), "earliest channel"),
    },
    "template_update": {
        "mean": (lambda s, a: s.mean(0), "plain mean"),
        "mean of quotients": (lambda s, a: (s / a[:, None]).mean(0), "noise loud"),
        "sum of amplitudes": (lambda s, a: (a[:, None] * s).sum(0) / a.sum(), "divided by Σ a;"),
        "number of snippets": (lambda s, a: (a[:, None] * s).sum(0) / len(a), "number of snippets"),
        "not divided": (lambda s, a: a @ s, "still has to be divided"),
    },
}
