"""Matching pursuit: explain the data as a sum of known templates, the best-fitting one first."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.events.detections import Detections, as_array
from course_lib.events.whitening import whiten

REACH = 10  # samples, 5 ms: how far a refit may move an onset


@dataclass(frozen=True)
class Explanation:
    """What was found in one recording: M events, in the order in which they were found.

    types: (M,).  times: (M,) onsets in samples, with fractions.  amplitudes, warps: (M,) of the template.
    gains: (M,) logarithm of how much more likely the data are with the event than without it, when it was found.
    rivals: (M, E) the largest gain that each type has within ±10 samples of the event where all other events have been
    taken out of the data: its own type's entry is what the event is worth in the end.
    residual: (T, C) what is left of the data, whitened.
    """

    types: np.ndarray
    times: np.ndarray
    amplitudes: np.ndarray
    warps: np.ndarray
    gains: np.ndarray
    rivals: np.ndarray
    residual: np.ndarray

    def __len__(self) -> int:
        return len(self.types)

    def detections(self) -> Detections:
        """The events with scores 1 - exp(-gain / 50), in time order."""
        return Detections(self.types, self.times, 1 - np.exp(-self.gains / 50))


class MatchingPursuit:
    """Finds events in windows (N, T, C) one after the other: the best first, then the best in what it leaves, ….

    kernels: (E, W, C, L) what each type looks like at each of W warps, on all channels.  warps: (W,) their factors.
    onset: the sample of a kernel that is the event's onset.
    taps: of `whitening_filter`, with which data and kernels are filtered; None: the noise is white with RMS 1.
    amplitudes: the smallest and the largest that an event may have.

    An event of amplitude a lowers the squared error by 2 a ⟨x, k⟩ - a² ‖k‖². Half of the largest such gain, over all
    allowed a, ranks the candidates. Each round takes all that no better one overlaps, and goes on with the data less
    them, until no gain reaches the threshold; every event lowers the squared error by more than twice the threshold.
    Then every event is put back alone and fitted again, `refits` times, now that its neighbours are known. Onsets are
    read between samples off a parabola.
    The noise is taken to have RMS 1. Where it is louder, all of it fits something; so a recording of T samples gets at
    most T / 10 events and a few, the best first, and a RuntimeWarning says that this limit ended the search.
    Raises ValueError naming the argument: kernels and taps that float32 does not hold, amplitudes that are no range
    above 0, an onset outside the kernel.
    Source: Mallat and Zhang 1993.
    """

    def __init__(
        self,
        kernels: np.ndarray,
        warps=(1.0,),
        onset: int = 12,
        taps: np.ndarray | None = None,
        amplitudes: tuple[float, float] = (0.7, 1.3),
        refits: int = 1,
    ):
        kernels = as_array(kernels).astype(np.float64)
        if kernels.ndim != 4 or kernels.shape[1] != len(warps) or 0 in kernels.shape:
            raise ValueError(f"kernels: expected (E, W, C, L) with W = {len(warps)} warps, got {kernels.shape}")
        if not 0 <= onset < kernels.shape[3]:
            raise ValueError(f"onset: expected a sample of the kernels, 0 to {kernels.shape[3] - 1}, got {onset}")
        if not 0 < amplitudes[0] <= amplitudes[1] < np.inf:
            raise ValueError(f"amplitudes: expected 0 < smallest <= largest, got {amplitudes}")
        if refits < 0:
            raise ValueError(f"refits: expected at least 0, got {refits}")
        self.warps, self.onset, self.taps, self.amplitudes = np.asarray(warps, float), onset, taps, amplitudes
        self.refits, self.num_events = refits, len(kernels)
        kernels = kernels.reshape(-1, *kernels.shape[2:])  # (A, C, L), A = E W atoms
        if taps is not None:
            kernels = whiten(np.pad(kernels, ((0, 0), (0, 0), (0, len(taps) - 1))), taps, axis=2)
        self.atoms = torch.tensor(kernels, dtype=torch.float32)
        self.energies = self.atoms.square().sum(dim=(1, 2))[:, None].clamp(min=1e-9)  # (A, 1)
        if not self.energies.isfinite().all():
            raise ValueError("kernels: expected values whose squares float32 holds, got larger ones, NaN or infinity")
        self.length = self.atoms.shape[2]
        self._block = 1 << (4 * self.length - 1).bit_length()  # samples that are transformed at a time
        spectra = torch.fft.rfft(self.atoms, n=self._block).conj()  # (A, C, F)
        self._spectra = spectra.permute(2, 0, 1).contiguous()  # (F, A, C)
        sides = (self.length - 1, self.length - 1)
        # overlaps[a, b, length - 1 + d]: the product of atom a with atom b placed d samples later
        self.overlaps = F.conv1d(F.pad(self.atoms, sides), self.atoms)

    @torch.inference_mode()
    def __call__(self, data: np.ndarray | list[np.ndarray], threshold: float = 10.0) -> list[Explanation]:
        """One `Explanation` for each window (T, C) of data.  threshold: the smallest gain to go on with, above 0."""
        if not threshold > 0:
            raise ValueError(f"threshold: expected more than 0, or events that explain nothing count, got {threshold}")
        windows = [as_array(window) for window in data]
        for window in windows:
            if window.ndim != 2 or window.shape[1] != self.atoms.shape[1]:
                raise ValueError(f"data: expected windows (T, {self.atoms.shape[1]}), got {window.shape}")
            if window.dtype.kind not in "fiub" or not np.isfinite(window).all():
                raise ValueError(f"data: expected finite real values, got NaN, infinity or {window.dtype}")
        return [self._explain(window, threshold) for window in windows]

    def products(self, x: Tensor) -> Tensor:
        """⟨x, k⟩ of whitened data x (T, C) with each atom at each onset: (A, T).

        A correlation, block by block in the spectrum: for atoms as long as these, less than half a convolution's work.
        """
        count = self._block - self.length + 1  # onsets whose events fit into a block
        blocks = -(-len(x) // count)
        padded = F.pad(x.T, (self.onset, blocks * count + self.length - 1 - self.onset - len(x)))
        spectra = torch.fft.rfft(padded.unfold(1, self._block, count))  # (C, N, F)
        products = torch.bmm(self._spectra, spectra.permute(2, 0, 1))  # (F, A, N)
        products = torch.fft.irfft(products.permute(1, 2, 0), n=self._block)[..., :count]  # (A, N, count)
        return products.flatten(1)[:, : len(x)]

    def _gains(self, products: Tensor) -> Tensor:
        """(A, T) -> (A, T)"""
        amplitude = (products / self.energies).clamp_(*self.amplitudes)
        return products.sub(amplitude * self.energies, alpha=0.5).mul_(amplitude)

    def _explain(self, window: np.ndarray, threshold: float) -> Explanation:
        x = torch.as_tensor(whiten(window, self.taps, axis=0) if self.taps is not None else window).float()  # (T, C)
        if len(x) == 0:
            none = np.zeros(0)
            return Explanation(none, none, none, none, none, np.zeros((0, self.num_events)), x.numpy())
        products = self.products(x)  # (A, T)
        gains, last, limit = self._gains(products), self.length - 1, len(x) // REACH + self.num_events
        if not (x.isfinite().all() and gains.isfinite().all()):
            raise ValueError("data: expected values that float32 holds after whitening, as their products with kernels")
        found: list[tuple] = []  # (atom, sample, amplitude) each
        first_gains: list[float] = []
        while len(found) < limit:
            best = gains.amax(dim=0)  # (T,)
            nearby = F.max_pool1d(best[None], 2 * last + 1, 1, last)[0]
            peaks = torch.nonzero((best == nearby) & (best > threshold))[:, 0].tolist()
            if not peaks:
                break
            if len(found) + len(peaks) > limit:
                peaks = sorted(peaks, key=lambda t: -float(best[t]))[: limit - len(found)]
            for t in peaks:
                event, gain = self._best(products[:, t, None], gains[:, t, None], t)
                found.append(event)
                first_gains.append(gain)
                near = self._add(products, event, -1)
                gains[:, near] = self._gains(products[:, near])
        else:
            warnings.warn(
                f"data: the search ended with {limit} events in {len(x)} samples; is the noise louder than RMS 1?",
                RuntimeWarning,
                stacklevel=5,
            )
        for _ in range(self.refits):
            for i, event in enumerate(found):
                alone, first = self._alone(products, event)
                found[i], _ = self._best(alone, self._gains(alone), first)
                if found[i][:2] != event[:2] or abs(found[i][2] - event[2]) > 1e-4:
                    self._add(products, event, 1)
                    self._add(products, found[i], -1)
                else:
                    found[i] = event
        return self._explanation(found, first_gains, products, x)

    def _alone(self, products: Tensor, event: tuple) -> tuple[Tensor, int]:
        """The products within ±10 samples of the event with it put back: (A, up to 21), and the first one's onset."""
        atom, t, amplitude = event
        first, end = max(t - REACH, 0), min(t + REACH + 1, products.shape[1])
        lags = slice(self.length - 1 + first - t, self.length - 1 + end - t)
        return products[:, first:end] + amplitude * self.overlaps[atom][:, lags], first

    def _best(self, products: Tensor, gains: Tensor, first: int) -> tuple[tuple, float]:
        """The event (atom, sample, amplitude) of the largest of gains (A, n), and that gain; column 0 is at `first`."""
        atom, step = divmod(int(gains.argmax()), gains.shape[1])
        amplitude = float(products[atom, step]) / float(self.energies[atom, 0])
        amplitude = min(max(amplitude, self.amplitudes[0]), self.amplitudes[1])
        return (atom, first + step, amplitude), float(gains[atom, step])

    def _add(self, products: Tensor, event: tuple, sign: int) -> slice:
        """Change the products in place as if the event were added to the data (1) or taken out (-1); returns where."""
        atom, t, amplitude = event
        last = self.length - 1
        first, end = max(t - last, 0), min(t + self.length, products.shape[1])
        lags = slice(last + first - t, last + end - t)
        products[:, first:end] += sign * amplitude * self.overlaps[atom][:, lags]
        return slice(first, end)

    def _explanation(self, found: list, gains: list, products: Tensor, x: Tensor) -> Explanation:
        rivals, times = np.zeros((len(found), self.num_events)), np.zeros(len(found))
        padded = F.pad(x.T, (self.onset, self.length))  # (C, T + …)
        for i, event in enumerate(found):
            atom, t, amplitude = event
            alone, first = self._alone(products, event)  # (A, up to 21)
            rivals[i] = self._gains(alone).unflatten(0, (self.num_events, -1)).amax(dim=(1, 2)).numpy()
            times[i] = t + _vertex(alone[atom], t - first)
            padded[:, t : t + self.length] -= amplitude * self.atoms[atom]
        atoms, _, amplitudes = np.array(found, float).reshape(-1, 3).T
        types, warps = np.divmod(atoms.astype(int), len(self.warps))
        residual = padded[:, self.onset : self.onset + len(x)].T.numpy()
        return Explanation(types, times, amplitudes, self.warps[warps], np.array(gains), rivals, residual)


def _vertex(values: Tensor, t: int) -> float:
    """Where, within half a sample of t, the parabola through values t - 1, t, t + 1 has its top."""
    if not 0 < t < len(values) - 1:
        return 0.0
    left, middle, right = values[t - 1 : t + 2].tolist()
    bend = left - 2 * middle + right
    return min(0.5, max(-0.5, (left - right) / 2 / bend)) if bend < 0 else 0.0
