"""Exercises of notebook 21: where onsets go, how large snippets are, and NT-Xent."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, Edge, exercise


def _timings(draw: Draw):
    yield torch.tensor([30.0], dtype=torch.float64), 151, 6.0, 0.8
    yield torch.tensor([30.0, 100.0, 77.5], dtype=torch.float64), 151, 6.0, 0.8
    for _ in range(4):
        length = draw.integer(60, 200)
        yield (
            length * (0.3 + 0.4 * draw.tensor(draw.integer(2, 5)).sigmoid()),
            length,
            draw.number(-8, 8),
            draw.number(0.8, 1.2),
        )
    absent = "A type that was absent (NaN) has got an onset."
    yield Edge((torch.tensor([torch.nan, 5.0, torch.nan]), 10, 1.0, 1.0), absent)
    gone = "An onset that ends up outside the window is gone: NaN."
    yield Edge((torch.tensor([0.5, 4.0, 9.5]), 10, -1.0, 1.0), gone)
    yield Edge((torch.tensor([9.0, 9.4, 4.0]), 10, 1.0, 1.0), gone)
    inside = "An onset that is still inside has become NaN: from sample 0 to just before length, all are inside."
    yield Edge((torch.tensor([1.0, 0.0, 8.0, 8.5]), 10, 1.0, 1.0), inside)
    yield Edge((torch.tensor([1.0, 2.0, 9.0]), 10, -1.0, 1.0), inside)


def _moved(place):
    """Onsets at `place(t, middle, length, late, factor)`, NaN outside of the window."""

    def answer(timings, length, late, factor):
        moved = place(timings, (length - 1) / 2, length, late, factor)
        return torch.where((moved >= 0) & (moved < length), moved, torch.nan)

    return answer


@exercise(
    notebook="21",
    title="Where onsets go",
    minutes=8,
    inputs=_timings,
    mistakes=[
        (
            _moved(lambda t, m, length, late, factor: factor * t + late),
            "Warped about sample 0; the middle of the window stays in place.",
        ),
        (
            _moved(lambda t, m, length, late, factor: length / 2 + factor * (t - length / 2) + late),
            "The middle of samples 0 to length − 1 is (length − 1) / 2.",
        ),
        (
            _moved(lambda t, m, length, late, factor: m + (t - m) / factor + late),
            "Divided by the factor: that is where a sample came from.",
        ),
        (
            _moved(lambda t, m, length, late, factor: m + factor * (t - m) - late),
            "Shifted the wrong way: `late` samples later means plus.",
        ),
        (
            _moved(lambda t, m, length, late, factor: m + factor * (t + late - m)),
            "The shift was warped too: warp first, then shift.",
        ),
        (_moved(lambda t, m, length, late, factor: t + late), "The warp is missing."),
        (_moved(lambda t, m, length, late, factor: m + factor * (t - m)), "The shift is missing."),
    ],
    example=(torch.tensor([30.0, 140.0, torch.nan]), 151, 20.0, 1.1),
    hints=[
        "The window is stretched about its middle. Where is that, with samples 0 to length − 1?",
        ("The middle is {}.", lambda timings, length, late, factor: (length - 1) / 2),
        "Distance from the middle, times the factor, back to the middle, then late. Keep what is at least 0 and less "
        "than "
        "`length`; a comparison with NaN is False.",
        "Begin with `middle = (length - 1) / 2`.",
    ],
)
def move_onsets(timings, length, late, factor):
    """move_onsets(timings, length, late, factor): (E,) samples -> (E,); NaN where absent or gone"""
    middle = (length - 1) / 2
    moved = middle + factor * (timings - middle) + late
    return torch.where((moved >= 0) & (moved < length), moved, torch.nan)


def _snippets(draw: Draw):
    for M, C, L in [(1, 1, 2), (1, 2, 3), (4, 3, 7), draw.sizes(3, 2, 7), draw.sizes(3, 2, 7)]:
        template = 2 * draw.tensor(C, L)
        sizes = 1 + 0.3 * draw.tensor(M)
        yield sizes[:, None, None] * template + 0.4 * draw.tensor(M, C, L), template


def _product(snippets, template):
    return (snippets * template).sum((1, 2))


def _norms(snippets):
    return snippets.square().sum((1, 2)).sqrt()


@exercise(
    notebook="21",
    title="How large is each snippet?",
    minutes=8,
    inputs=_snippets,
    mistakes=[
        (_product, "That is the plain product: a template twice as large would double it. Divide by its energy."),
        (lambda s, k: _product(s, k) / k.norm(), "Divided by the template's norm; the derivative gives its square."),
        (
            lambda s, k: _product(s, k) / _norms(s) / k.norm(),
            "That is the cosine, which says how alike, not how large.",
        ),
        (lambda s, k: _norms(s) / k.norm(), "The ratio of norms counts the snippet's noise as size; use the product."),
        (
            lambda s, k: _product(s, k) / _norms(s) ** 2,
            "Divided by the snippet's energy; it is the template that is scaled.",
        ),
        (lambda s, k: (s / k).mean((1, 2)), "Ratios sample by sample blow up where the template is near 0."),
        (
            lambda s, k: s.abs().amax((1, 2)) / k.abs().max(),
            "One sample decides that; the squared error goes over all of them.",
        ),
        (
            lambda s, k: ((s * k).sum(2) / k.square().sum(1)).mean(1),
            "A factor for each channel, averaged: one factor belongs to all channels together.",
        ),
    ],
    example=(torch.tensor([[[2.0, 4.0]], [[1.0, 0.0]]]), torch.tensor([[[1.0, 2.0]]])[0]),
    hints=[
        "Write down the squared error of one snippet as a parabola in a. Where is its lowest point?",
        (
            "The products of snippets and template sum to {}.",
            lambda snippets, template: (snippets * template).sum((1, 2)),
        ),
        "Sum of snippet times template, divided by the sum of the template's squares, over channels and samples.",
        "Begin with `products = (snippets * template).sum(dim=(1, 2))`, of shape (M,).",
    ],
)
def amplitudes(snippets, template):
    """amplitudes(snippets, template): (M, C, L), (C, L) -> (M,), the factor of the template closest to each snippet"""
    return (snippets * template).sum(dim=(1, 2)) / template.square().sum()


def _views(draw: Draw):
    for B, P in [(2, 2), (2, 3), (5, 3), (3, 4), (4, 6)]:
        yield 2 * draw.tensor(B, P), 2 * draw.tensor(B, P), draw.number(0.2, 0.8)


def _entropy(
    scale=lambda cosines, temperature: cosines / temperature,
    length=lambda views: F.normalize(views, dim=1),
    hide=-torch.inf,
    asking=lambda B: slice(None),
    reduction="mean",
):
    """NT-Xent with another scale or length, another value for a view itself, fewer questions or a sum."""

    def answer(first, second, temperature):
        views, B = length(torch.cat([first, second])), len(first)
        scores = scale(views @ views.T, temperature)
        if hide is not None:
            scores = scores.masked_fill(torch.eye(2 * B, dtype=torch.bool), hide)
        partner = torch.arange(2 * B).roll(B)
        return F.cross_entropy(scores[asking(B)], partner[asking(B)], reduction=reduction)

    return answer


def _across(first, second, temperature):
    scores = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
    return F.cross_entropy(scores, torch.arange(len(first)))


@exercise(
    notebook="21",
    title="NT-Xent in one matrix",
    minutes=12,
    inputs=_views,
    mistakes=[
        (_entropy(hide=None), "Each view may choose itself: hide the diagonal."),
        (_entropy(hide=0.0), "A hidden score of 0 still counts, as exp(0) = 1: hide with −inf."),
        (_entropy(length=lambda views: views), "The views need length one before the product, else it is no cosine."),
        (_entropy(lambda cosines, temperature: cosines * temperature), "Multiplied by the temperature; it divides."),
        (_entropy(lambda cosines, temperature: cosines), "The temperature is missing."),
        (_entropy(asking=slice), "Only the first views ask; all 2B do."),
        (_entropy(reduction="sum"), "The sum over all questions; take the mean."),
        (_across, "Only views of the other side are candidates here: 2B − 1 are, all but the view itself."),
        (
            lambda a, b, t: (_across(a, b, t) + _across(b, a, t)) / 2,
            "Views of the same side are missing among the candidates: 2B − 1 are, not B.",
        ),
    ],
    example=(torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, 0.0], [0.0, 5.0]]), 0.5),
    hints=[
        "Put all 2 B views in one list. Which place does the partner of view i have, and which score must nobody "
        "choose?",
        (
            "The cosines of the first view with all are {}.",
            lambda first, second, temperature: F.normalize(torch.cat([first, second])) @ F.normalize(first[:1])[0],
        ),
        "Length one, all products over the temperature, −∞ on the diagonal; then it is a cross-entropy whose right "
        "answer is the "
        "place of the partner, B further on.",
        "Begin with `views = F.normalize(torch.cat([first, second]), dim=1)`, of shape (2 B, P).",
    ],
)
def nt_xent(first, second, temperature):
    """nt_xent(first, second, temperature): (B, P), (B, P) -> the mean cross-entropy of all 2B questions"""
    views = F.normalize(torch.cat([first, second]), dim=1)  # (2 B, P)
    scores = views @ views.T / temperature  # (2 B, 2 B)
    scores = scores.masked_fill(torch.eye(len(views), dtype=torch.bool), -torch.inf)
    partner = torch.arange(len(views)).roll(len(first))  # (2 B,)
    return F.cross_entropy(scores, partner)
