"""Exercises of notebook 22: the normalised correlation, delays, and a template from snippets of all sizes."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, Edge, exercise


def _signals(draw: Draw):
    for T, C, K in [(3, 1, 2), (4, 2, 3), (13, 3, 5), (6, 2, 6), (9, 4, 2)]:
        yield draw.tensor(T, C), draw.tensor(C, K)
    C, K, more = draw.sizes(3, 2, 7)
    yield 100 * draw.tensor(K + more, C), draw.tensor(C, K)


def _correlation(
    windows_norm=lambda windows, x: windows.flatten(1).norm(dim=1),
    kernel_norm=lambda kernel: kernel.norm(),
    taken=lambda windows: windows,
):
    """The product of window and kernel, divided by other norms, or of windows taken otherwise."""

    def answer(x, kernel):
        windows = x.unfold(0, kernel.shape[1], 1)  # (N, C, K)
        return (taken(windows) * kernel).sum((1, 2)) / windows_norm(windows, x) / kernel_norm(kernel)

    return answer


def _one(*values):
    return 1.0


def _channel_by_channel(x, kernel):
    windows = x.unfold(0, kernel.shape[1], 1)
    return ((windows * kernel).sum(2) / windows.norm(dim=2) / kernel.norm(dim=1)).mean(1)


@exercise(
    notebook="22",
    title="A score that loudness cannot buy",
    minutes=10,
    inputs=_signals,
    mistakes=[
        (
            _correlation(_one, _one),
            "That is the plain correlation; a loud window wins. Divide by the norms of window and kernel.",
        ),
        (_correlation(windows_norm=_one), "Only the kernel's norm is divided out, so a loud window still scores high."),
        (_correlation(kernel_norm=_one), "Only the window's norm is divided out; the score should not pass 1."),
        (
            _correlation(lambda windows, x: windows.square().sum((1, 2)), lambda kernel: kernel.square().sum()),
            "The norms are squared: a norm is the root of the sum of squares.",
        ),
        (_correlation(lambda windows, x: x.norm()), "Divided by the norm of all of x; each window has its own."),
        (_channel_by_channel, "Each channel was normalised by itself; one norm goes over all channels of a window."),
        (_correlation(taken=lambda windows: windows.flip(2)), "The kernel runs backwards in time."),
    ],
    example=(torch.tensor([[3.0], [4.0], [0.0]]), torch.tensor([[1.0, 1.0]])),
    hints=[
        "Three things for each place: the product, the size of the window, the size of the kernel. Which of them "
        "changes along x?",
        ("The products are {}.", lambda x, kernel: F.conv1d(x.T[None], kernel[None])[0, 0]),
        "`F.conv1d` on (1, C, T) gives the products. The squares of x, summed over channels and then over each "
        "window, give the "
        "squared norms of the windows.",
        "Begin with `products = F.conv1d(x.T[None], kernel[None])[0, 0]`.",
    ],
)
def normalised_correlation(x, kernel):
    """normalised_correlation(x, kernel): x (T, C), kernel (C, K) -> (T - K + 1,), cosines between window and kernel"""
    products = F.conv1d(x.T[None], kernel[None])[0, 0]  # (T - K + 1,)
    energy = x.square().sum(dim=1).unfold(0, kernel.shape[1], 1).sum(dim=1)  # (T - K + 1,)
    return products / energy.sqrt() / kernel.norm()


def _bumps(draw: Draw):
    for L, delay in [(4, 1.0), (8, 1.5), (24, 2.3), (16, -3.7), (12, 40.25)]:
        time = torch.arange(L, dtype=torch.float64)
        yield torch.exp(-((time - 0.4 * L) ** 2) / (L / 3)) + 0.01 * time, delay
    yield Edge((draw.tensor(10), 0.0), "A delay of 0 should change nothing.")
    odd = "Right for an even number of samples, wrong for an odd one: tell `irfft` how many there are, `n=len(x)`."
    yield Edge((draw.tensor(7), 1.3), odd)
    yield Edge((draw.tensor(15), -2.6), odd)


def _by_phases(sign=-1, circle=2 * torch.pi):
    """A shift by phases of another sign or another full turn."""

    def answer(x, delay):
        turn = torch.exp(sign * 1j * circle * torch.fft.rfftfreq(len(x), dtype=x.dtype) * delay)
        return torch.fft.irfft(torch.fft.rfft(x) * turn, n=len(x))

    return answer


def _positive_only(x, delay):
    frequency = torch.fft.fftfreq(len(x), dtype=x.dtype).abs()
    return torch.fft.ifft(torch.fft.fft(x) * torch.exp(-2j * torch.pi * frequency * delay)).real


@exercise(
    notebook="22",
    title="Late by a fraction of a sample",
    minutes=12,
    inputs=_bumps,
    rtol=1e-3,
    mistakes=[
        (_by_phases(sign=1), "Shifted the wrong way: a delay has exp(-2πi f delay), with a minus."),
        (
            lambda x, delay: x.roll(round(delay)),
            "Rounded to whole samples. The fraction matters: the phase takes any delay.",
        ),
        (_by_phases(circle=1.0), "Too little: 2π is missing, a frequency of f cycles a sample turns by 2π f a sample."),
        (_positive_only, "Negative frequencies turn the other way; `rfft` spares you from them."),
    ],
    example=(torch.tensor([0.0, 1.0, 0.0, 0.0]), 0.5),
    hints=[
        "Which unit must f have, if a delay of 1 is to move every sample on by one place?",
        ("The frequencies, in cycles per sample, are {}.", lambda x, delay: torch.fft.rfftfreq(len(x))),
        "Transform, multiply bin by bin, transform back. The way back must be told the length, or it takes an even "
        "one.",
        "Begin with `frequency = torch.fft.rfftfreq(len(x), dtype=x.dtype)`.",
    ],
)
def fractional_shift(x, delay):
    """fractional_shift(x, delay): x (L,), delay in samples -> (L,), x that much later, by turning phases"""
    frequency = torch.fft.rfftfreq(len(x), dtype=x.dtype)  # (L // 2 + 1,)
    turn = torch.exp(-2j * torch.pi * frequency * delay)
    return torch.fft.irfft(torch.fft.rfft(x) * turn, n=len(x))


def _delays(draw: Draw):
    yield torch.tensor([[1.0, 4.0]])
    yield torch.tensor([[1.0, 4.0, 7.0, -2.0], [9.0, 9.0, 9.0, 9.0], [0.0, -3.0, 1.0, 2.0]])
    for _ in range(3):
        yield 40 * draw.tensor(*draw.sizes(2, 2, 7))


@exercise(
    notebook="22",
    title="Delays that have a meaning",
    minutes=10,
    inputs=_delays,
    mistakes=[
        (
            lambda delays: delays - delays.mean(),
            "One mean for all types; each type has its own onset, so its own mean.",
        ),
        (
            lambda delays: delays - delays.mean(0),
            "The mean was taken over types; a common shift is one of all channels of a type.",
        ),
        (
            lambda delays: delays - delays[:, :1],
            "That counts from channel 0; the mean does not depend on how channels are numbered.",
        ),
        (
            lambda delays: delays - delays.amin(1, keepdim=True),
            "That counts from the earliest channel; subtract the mean.",
        ),
    ],
    example=(torch.tensor([[1.0, 4.0], [0.0, -2.0]]),),
    hints=[
        "A shift of all channels of one type can be put into its time. Which number of each row stands for it?",
        ("The means of the rows are {}.", lambda delays: delays.mean(dim=1)),
        "Subtract the mean over the channels from each row; keep the axis so that it fits.",
        "Begin with `common = delays.mean(dim=1, keepdim=True)`, of shape (E, 1).",
    ],
)
def centred_delays(delays):
    """centred_delays(delays): (E, C) -> (E, C), mean zero over the channels of each type; nothing is clamped yet"""
    return delays - delays.mean(1, keepdim=True)


def _sized_snippets(draw: Draw):
    for M, K in [(1, 2), (2, 3), (4, 6), draw.sizes(2, 2, 7), draw.sizes(2, 2, 7)]:
        sizes = 1 + 0.3 * draw.tensor(M)
        yield sizes[:, None] * draw.tensor(K) + 0.5 * draw.tensor(M, K), sizes


def _weighted(snippets, sizes):
    return (sizes[:, None] * snippets).sum(0)


@exercise(
    notebook="22",
    title="A template from snippets of all sizes",
    minutes=12,
    inputs=_sized_snippets,
    mistakes=[
        (lambda s, a: s.mean(0), "A plain mean: faint events, which are mostly noise, count as much as strong ones."),
        (
            lambda s, a: (s / a[:, None]).mean(0),
            "Dividing each by its amplitude makes the faint ones' noise loud. Set the derivative with k to zero.",
        ),
        (lambda s, a: _weighted(s, a) / a.sum(), "Nearly: the sum is divided by Σ a; the derivative gives Σ a²."),
        (lambda s, a: _weighted(s, a) / len(a), "Divided by the number of snippets; the derivative gives Σ a²."),
        (_weighted, "The sum of a·s still has to be divided, by Σ a²."),
    ],
    example=(torch.tensor([[2.0, 4.0], [1.0, 1.0]]), torch.tensor([2.0, 1.0])),
    hints=[
        "The derivative with respect to k is a sum over snippets: of aᵢ times what?",
        ("The snippets, weighted by their amplitudes, sum to {}.", lambda snippets, amplitudes: amplitudes @ snippets),
        "The sum of aᵢ · (sᵢ − aᵢ k) is 0. Solve for k: large snippets count more, in the sum and in the divisor.",
        "Begin with `weighted = amplitudes @ snippets`, of shape (K,).",
    ],
)
def template_update(snippets, amplitudes):
    """template_update(snippets, amplitudes): (M, K), (M,) -> (K,), the k with the least Σ over i of ‖s_i - a_i k‖²"""
    return amplitudes @ snippets / amplitudes.square().sum()
