"""Checks for notebook 21: where onsets go, how large snippets are, and NT-Xent."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Hint, exercise, expect
from course_lib.losses import NTXentLoss


@exercise(notebook="21", title="Where onsets go", minutes=8)
def move_onsets(fn):
    """move_onsets(timings, length, late, factor): (E,) samples -> (E,); NaN where absent or gone"""
    timings = torch.tensor([30.0, 100.0, 77.5], dtype=torch.float64)
    length, late, factor = 151, 6.0, 0.8
    middle = (length - 1) / 2
    given = timings.clone()
    answer = fn(given, length, late, factor)
    expect(
        answer,
        middle + factor * (timings - middle) + late,
        mistakes=[
            (factor * timings + late, "Warped about sample 0; the middle of the window stays in place."),
            (
                length / 2 + factor * (timings - length / 2) + late,
                "The middle of samples 0 to length − 1 is (length − 1) / 2.",
            ),
            (middle + (timings - middle) / factor + late, "Divided by the factor: that is where a sample came from."),
            (middle + factor * (timings - middle) - late, "Shifted the wrong way: `late` samples later means plus."),
            (middle + factor * (timings + late - middle), "The shift was warped too: warp first, then shift."),
            (timings + late, "The warp is missing."),
            (middle + factor * (timings - middle), "The shift is missing."),
        ],
        rtol=1e-6,
        atol=1e-6,
        what="the onsets",
    )
    if not torch.equal(given, timings):
        raise Hint("The timings that came in were changed; return new ones.")
    edges = fn(torch.tensor([1.0, 0.0, torch.nan, 9.0, 8.0], dtype=torch.float64), 10, 1.0, 1.0)
    if edges[2:3].isfinite().any():
        raise Hint("A type that was absent (NaN) has got an onset.")
    gone = fn(torch.tensor([0.5, 2.0], dtype=torch.float64), 10, -1.0, 1.0).isnan().tolist()
    if not gone[0] or not edges[3].isnan():
        raise Hint("An onset that ends up outside the window is gone: NaN.")
    if gone[1] or edges[[0, 1, 4]].isnan().any():
        raise Hint("An onset that is still inside has become NaN: sample 0 and length − 1 are inside.")


@exercise(notebook="21", title="How large is each snippet?", minutes=8)
def amplitudes(fn):
    """amplitudes(snippets, template): (M, C, L), (C, L) -> (M,), the factor of the template closest to each snippet"""
    generator = torch.Generator().manual_seed(21)
    template = torch.randn(3, 7, generator=generator)
    sizes = torch.tensor([0.7, 1.3, 1.0, 1.1])
    snippets = sizes[:, None, None] * template + 0.4 * torch.randn(4, 3, 7, generator=generator)
    products, energy = (snippets * template).sum((1, 2)), template.square().sum()
    norms = snippets.square().sum((1, 2)).sqrt()
    expect(
        fn(snippets, template),
        products / energy,
        mistakes=[
            (products, "That is the plain product: a template twice as large would double it. Divide by its energy."),
            (products / energy.sqrt(), "Divided by the template's norm; the derivative gives its square."),
            (products / norms / energy.sqrt(), "That is the cosine, which says how alike, not how large."),
            (norms / energy.sqrt(), "The ratio of norms counts the snippet's noise as size; use the product."),
            (products / norms.square(), "Divided by the snippet's energy; it is the template that is scaled."),
            ((snippets / template).mean((1, 2)), "Ratios sample by sample blow up where the template is near 0."),
            (
                snippets.abs().amax((1, 2)) / template.abs().max(),
                "One sample decides that; the squared error goes over all of them.",
            ),
            (
                ((snippets * template).sum(2) / template.square().sum(1)).mean(1),
                "A factor for each channel, averaged: one factor belongs to all channels together.",
            ),
        ],
        what="the amplitudes",
    )


@exercise(notebook="21", title="NT-Xent in one matrix", minutes=12)
def nt_xent(fn):
    """nt_xent(first, second, temperature): (B, P), (B, P) -> the mean cross-entropy of all 2B questions"""
    first, second = 2 * torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(22))
    temperature = 0.4
    right = NTXentLoss(temperature)(first, second)["loss"]
    raw, views = torch.cat([first, second]), F.normalize(torch.cat([first, second]), dim=1)
    itself = torch.eye(10, dtype=torch.bool)
    partner = torch.arange(10).roll(5)

    def loss(scores, rows=slice(None), reduction="mean", hidden=-torch.inf):
        return F.cross_entropy(scores.masked_fill(itself, hidden)[rows], partner[rows], reduction=reduction)

    cosines = views @ views.T
    across = views[:5] @ views[5:].T / temperature
    one_way = F.cross_entropy(across, torch.arange(5))
    both_ways = (one_way + F.cross_entropy(across.T, torch.arange(5))) / 2
    expect(
        fn(first, second, temperature),
        right,
        mistakes=[
            (F.cross_entropy(cosines / temperature, partner), "Each view may choose itself: hide the diagonal."),
            (
                loss(cosines / temperature, hidden=0.0),
                "A hidden score of 0 still counts, as exp(0) = 1: hide with −inf.",
            ),
            (loss(raw @ raw.T / temperature), "The views need length one before the product, else it is no cosine."),
            (loss(cosines * temperature), "Multiplied by the temperature; it divides."),
            (loss(cosines), "The temperature is missing."),
            (loss(cosines / temperature, slice(5)), "Only the first views ask; all 2B do."),
            (loss(cosines / temperature, reduction="sum"), "The sum over all questions; take the mean."),
            (one_way, "Only views of the other side are candidates here: 2B − 1 are, all but the view itself."),
            (both_ways, "Views of the same side are missing among the candidates: 2B − 1 are, not B."),
        ],
        what="the loss",
    )
