"""Wrong answers to the exercises of notebook 25, each with a piece of the hint that it must get."""

import torch
import torch.nn.functional as F


def affine(hold_zero=True, gaps=1, cut=False, zero_added=True, signed=False):
    def answer(x, bits):
        low, high = x.min().item(), x.max().item()
        if hold_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / (2**bits - gaps)
        zero = round(-low / scale)
        q = x / scale
        q = q.trunc() if cut else q.round()
        q = (q + (zero if zero_added else 0)).clamp(0, 2**bits - 1).long()
        return (q - 2 ** (bits - 1) if signed else q), scale, zero

    return answer


def clipped(w, scale, bits):
    largest = 2 ** (bits - 1) - 1
    return (w / scale).clamp(-largest, largest)


def passed_on(steps):
    return steps + (steps.round() - steps).detach()


def divergence(student, teacher, T):
    p = torch.softmax(teacher / T, dim=1)
    return (p * (p.log() - torch.log_softmax(student / T, dim=1))).sum(1)


WRONG = {
    "affine_quantise": {
        "without 0": (affine(hold_zero=False), "must hold 0"),
        "as many gaps as integers": (affine(gaps=0), "gaps between them"),
        "cut": (affine(cut=True), "cut, not rounded"),
        "signed": (affine(signed=True), "yours are signed"),
        "no zero point": (affine(zero_added=False), "zero point is to be added"),
    },
    "fake_quantise": {
        "flat": (lambda w, s, b: s * clipped(w, s, b).round(), "the gradient is 0"),
        "1 everywhere": (lambda w, s, b: w + (s * clipped(w, s, b).round() - w).detach(), "1 everywhere"),
        "not clipped": (lambda w, s, b: s * passed_on(w / s), "Clip to"),
        "integers": (lambda w, s, b: passed_on(clipped(w, s, b)), "multiply by the scale"),
        "one more integer": (
            lambda w, s, b: s * passed_on((w / s).clamp(-(2 ** (b - 1)), 2 ** (b - 1) - 1)),
            "symmetric",
        ),
    },
    "distillation_loss": {
        "no factor": (lambda s, t, T: divergence(s, t, T).mean(), "T² is missing"),
        "T once": (lambda s, t, T: T * divergence(s, t, T).mean(), "one T for each"),
        "summed": (lambda s, t, T: T**2 * divergence(s, t, T).sum(), "not the sum"),
        "mean over classes": (lambda s, t, T: T**2 * divergence(s, t, T).mean() / s.shape[1], "number of classes"),
        "swapped": (lambda s, t, T: T**2 * divergence(t, s, T).mean(), "swapped"),
        "cross-entropy": (
            lambda s, t, T: T**2 * F.cross_entropy(s / T, torch.softmax(t / T, dim=1)),
            "teacher's entropy",
        ),
        "student as it is": (lambda s, t, T: T**2 * divergence(s * T, t, T).mean(), "divided by T, too"),
    },
}
