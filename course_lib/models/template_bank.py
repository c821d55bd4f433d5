"""A bank of event templates: what each type of event looks like on every channel, and when it reaches which channel.

The template of event e on channel c is a waveform of `template_length` samples; the delay says how much later than the
event's onset it begins there. Shifted by its delay and laid side by side, the six waveforms are one kernel of a
convolution, and sliding the kernel over the data gives a score at every sample: a matched filter that is a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.windows import WindowedLayer, Windows
from course_lib.sequence import ChannelSpec, at_least_float32, check_channels

MAX_DELAY = 10.0  # samples, 5 ms at 2000 Hz
MARGIN = 12  # samples that a kernel has before and after its templates: room for the delays, and for interpolation


@dataclass(frozen=True)
class _FromOnset(Windows):
    """Windows that begin MARGIN steps before their anchor and reach to the end of the kernel."""

    @cached_property
    def before(self) -> int:
        return MARGIN


class EventTemplateBank(WindowedLayer):
    """How well the data fit each template: (B, T, num_features) -> (B, T, num_events).

    Score t of event e is the normalised correlation of the data with the kernel of e placed at onset t,
    ⟨x, k⟩ / (‖x‖ ‖k‖) over all channels, from -1 to 1, whatever the scale of the data. `normalised=False` divides by
    ‖k‖ only: the matched filter, whose output has the standard deviation of the noise where that is white.
    Beyond the ends the data count as 0.

    templates: (num_events, num_features, template_length), parameters.
    raw_delays: (num_events, num_features) parameters; `delays()` gives what is used, see there.
    num_events, num_features, template_length: sizes, template_length in samples.
    A new bank holds noise; `load_kernels` puts in averaged snippets or what `models.expectation_maximisation` found.
    As a stream it answers template_length + 11 samples late.
    Raises ValueError for sizes below 1 and input of another shape.
    """

    def __init__(
        self, num_events: int = 16, num_features: int = 6, template_length: int = 80, *, normalised: bool = True
    ):
        if min(num_events, num_features, template_length) < 1:
            raise ValueError(
                "num_events, num_features, template_length: expected at least 1, "
                f"got {num_events}, {num_features}, {template_length}"
            )
        super().__init__(_FromOnset(template_length + 2 * MARGIN, padding="reverse_causal"))
        self.num_events, self.num_features, self.template_length = num_events, num_features, template_length
        self.normalised = normalised
        scale = (num_features * template_length) ** -0.5
        self.templates = nn.Parameter(torch.randn(num_events, num_features, template_length) * scale)
        self.raw_delays = nn.Parameter(torch.zeros(num_events, num_features))

    def delays(self) -> Tensor:
        """(num_events, num_features) in samples: mean zero over the channels, none beyond ±10.

        A common shift of all channels would be the same as another onset, so it is taken out: with it left in, many
        settings of the bank would give the same scores, and none could be called the delay.
        """
        return centred_and_clamped(self.raw_delays, MAX_DELAY)

    def kernels(self, warp: float = 1.0) -> Tensor:
        """Templates shifted by their delays: (num_events, num_features, template_length + 24); sample 12 is the onset.

        warp: the templates last this many times as long; the delays stay.
        """
        templates = F.pad(self.templates, (MARGIN, MARGIN)) if warp == 1 else stretch(self.templates, warp)
        return shift(templates, self.delays())

    @torch.no_grad()
    def load_kernels(self, kernels: Tensor, delays: Tensor | None = None, types: Tensor | None = None) -> None:
        """Take over `kernels`, (num_events, num_features, template_length + 24) with the onset at sample 12.

        delays: (num_events, num_features) in samples where they are known; None: `delays_of` estimates them. The
        kernels are shifted back by them, and their middle becomes the templates.
        types: (num_events,) True for those to take over, the others stay as they are; None: all.
        Raises ValueError where a shape does not fit.
        """
        shape = (self.num_events, self.num_features, self.template_length + 2 * MARGIN)
        kernels = torch.as_tensor(kernels, dtype=self.templates.dtype, device=self.templates.device)
        if kernels.shape != shape:
            raise ValueError(f"kernels: expected {shape}, got {tuple(kernels.shape)}")
        delays = delays_of(kernels) if delays is None else torch.as_tensor(delays).to(self.raw_delays)
        if delays.shape != self.raw_delays.shape:
            raise ValueError(f"delays: expected {tuple(self.raw_delays.shape)}, got {tuple(delays.shape)}")
        chosen = slice(None) if types is None else torch.as_tensor(types, dtype=torch.bool)
        self.raw_delays[chosen] = centred_and_clamped(delays, MAX_DELAY).to(self.raw_delays)[chosen]
        self.templates[chosen] = shift(kernels, -self.raw_delays)[..., MARGIN:-MARGIN][chosen]

    # The contract.

    @property
    def input_spec(self):
        return ChannelSpec((self.num_features,), self.templates.dtype)

    def output_spec(self, spec):
        check_channels(self, spec, *self.input_spec)
        return ChannelSpec((self.num_events,), spec.dtype)

    def _windowed(self, values, mask):
        x, kernels = values.transpose(1, 2), self.kernels()  # (B, C, T'), (E, C, K)
        tiny = torch.finfo(x.dtype).tiny ** 0.5
        scores = F.conv1d(x, kernels / kernels.flatten(1).norm(dim=1).clamp(min=tiny)[:, None, None])  # (B, E, N)
        if self.normalised:
            power = x.to(at_least_float32(x.dtype)).square().sum(dim=1, keepdim=True)  # (B, 1, T')
            energy = F.avg_pool1d(power, kernels.shape[2], 1) * kernels.shape[2]  # (B, 1, N), in full precision
            scores = (scores / energy.clamp(min=tiny).sqrt()).to(scores.dtype)
        return scores.transpose(1, 2)  # (B, N, E)

    def extra_repr(self):
        return f"{self.num_events}, {self.num_features}, {self.template_length}, normalised={self.normalised}"


def shift(x: Tensor, delays: Tensor) -> Tensor:
    """`x` (..., T) later by `delays` (...) samples, fractions too; what leaves at one end enters at the other.

    A delay multiplies the component of frequency f by exp(-2πi f delay), so that the band-limited curve through the
    samples is what moves. Delays get gradients.
    """
    length, precision = x.shape[-1], at_least_float32(x.dtype)
    frequency = torch.fft.rfftfreq(length, dtype=precision, device=x.device)  # cycles a sample
    angle = -2 * torch.pi * frequency * delays[..., None]
    spectrum = torch.fft.rfft(x.to(precision)) * torch.complex(angle.cos(), angle.sin())
    return torch.fft.irfft(spectrum, n=length).to(x.dtype)


def stretch(templates: Tensor, warp: float) -> Tensor:
    """Templates (..., K) that last `warp` times as long, from sample MARGIN on: (..., K + 2 MARGIN).

    Read at times t / warp off the band-limited curve through the samples.
    """
    length, precision = templates.shape[-1], at_least_float32(templates.dtype)  # bfloat16 has no 257
    times = torch.arange(-MARGIN, length + MARGIN, dtype=precision, device=templates.device) / warp
    samples = torch.arange(length, dtype=precision, device=templates.device)
    read = torch.sinc(times - samples[:, None])  # (K, K + 2 MARGIN)
    with torch.autocast(templates.device.type, enabled=False):
        return (templates.to(precision) @ read).to(templates.dtype)


def centred_and_clamped(delays: Tensor, limit: float) -> Tensor:
    """The nearest delays (..., C) with mean zero over C and none beyond ±limit: clamp(delays - s), with the right s."""
    with torch.no_grad():
        low, high = delays.amin(-1, keepdim=True) - limit, delays.amax(-1, keepdim=True) + limit
        for _ in range(60):  # the mean of clamp(delays - s) falls as s grows: halve the interval that holds its zero
            middle = (low + high) / 2
            above = (delays - middle).clamp(-limit, limit).mean(-1, keepdim=True) > 0
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        free = ((delays - middle).abs() < limit).to(delays.dtype)  # channels that the clamp leaves alone
        free = torch.where(free.sum(-1, keepdim=True) > 0, free, torch.ones_like(free))
    clamped = (delays - middle).clamp(-limit, limit)
    return clamped - free * clamped.sum(-1, keepdim=True) / free.sum(-1, keepdim=True)  # exact, and so the gradient is


def delays_of(kernels: Tensor) -> Tensor:
    """When each channel of kernels (E, C, L) starts: (E, C) samples, mean zero over channels, none beyond ±10.

    A burst rises within a millisecond and then dies down. On the assumption that its samples are as spread as such an
    envelope allows, plus a little noise, the likeliest of many starts, decays, strengths and noise levels is taken.
    The answer is good to about half a sample for clean kernels and to one for noisy ones.
    """
    given, kernels = kernels, kernels.detach().cpu().double()  # not every device has float64
    kernels = kernels / kernels.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp(min=1e-9)
    length = kernels.shape[-1]
    starts = torch.arange(0.0, 2 * MARGIN + 0.25, 0.5, dtype=kernels.dtype)  # (S,)
    since = torch.arange(length, dtype=kernels.dtype) - starts[:, None]  # (S, L)
    late, power = since.clamp(min=0), kernels[:, :, None, :].square()  # (E, C, 1, L)
    each_decay = []  # the log-likelihood of each start, (E, C, S)
    for decay in torch.linspace(0.15, 0.45, 7).tolist():
        envelope = (1 - torch.exp(-late / 2)) * torch.exp(-late / (decay * (length - 2 * MARGIN)))  # (S, L)
        likeliest = torch.full((*kernels.shape[:2], len(starts)), -torch.inf, dtype=kernels.dtype)
        for strength in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
            for noise in (0.03, 0.1, 0.3):
                variance = noise**2 + strength * envelope.square()
                likelihood = -0.5 * (variance.log().sum(-1) + (power / variance).sum(-1))  # (E, C, S)
                likeliest = torch.maximum(likeliest, likelihood)
        each_decay.append(likeliest)
    by_decay = torch.stack(each_decay)  # (D, E, C, S)
    decays = by_decay.amax(-1).sum(-1).argmax(0)  # (E,), one decay for all channels of a type
    chosen = by_decay[decays, torch.arange(len(kernels))]  # (E, C, S)
    return centred_and_clamped(starts[chosen.argmax(-1)], MAX_DELAY).to(given.dtype).to(given.device)
