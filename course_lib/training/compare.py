"""Comparing measurements: a mean difference, how sure it is, and a verdict that counts how many were compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import comb
from typing import Any, TypeAlias, overload

import numpy as np
import pandas as pd
from scipy import stats
from torch import Tensor, bfloat16

LEVEL = 0.95  # of the intervals, and 1 - LEVEL the chance of a wrong "shown"


@dataclass(frozen=True)
class Comparison:
    """One difference, as `compare` found it.

    difference: mean of scores - baseline.  low, high: its 95 % interval, of this comparison taken alone.
    agree: pairs whose difference has the sign of the mean; None where nothing is paired.  units: how many pairs, or
    how many scores on both sides together.  p: two-sided.  p_holm: p corrected for all comparisons of the call.
    verdict: "shown" where p_holm is at most 0.05, else "not shown".
    """

    difference: float
    low: float
    high: float
    agree: int | None
    units: int
    p: float
    p_holm: float
    verdict: str

    def __str__(self) -> str:
        signs = f"{self.units} scores" if self.agree is None else f"{self.agree} of {self.units} pairs agree"
        return (
            f"{self.difference:+.3g} (95 % interval {self.low:+.3g} to {self.high:+.3g}), {signs}, "
            f"p = {self.p_holm:.2g}: {self.verdict}"
        )


class Comparisons(dict[str, Comparison]):
    """Name -> Comparison; prints as a small table."""

    @property
    def table(self) -> pd.DataFrame:
        """A row a comparison, the fields of `Comparison` as columns."""
        return pd.DataFrame([asdict(found) for found in self.values()], index=pd.Index(self, name="comparison"))

    def __str__(self) -> str:
        signed, plain = "{:+.3g}".format, "{:.2g}".format
        formats = {"difference": signed, "low": signed, "high": signed, "p": plain, "p_holm": plain}
        return self.table.rename_axis(None).to_string(formatters=formats)

    def _repr_html_(self) -> str:
        return self.table.to_html()


Scores: TypeAlias = Sequence[float] | np.ndarray | pd.Series | Tensor  # (N,)
Several: TypeAlias = Mapping[str, Scores] | pd.DataFrame | Sequence[Scores]


@overload
def compare(scores: Scores, baseline: Scores, *, paired: bool = ..., groups: Any = ...) -> Comparison: ...
@overload
def compare(
    scores: Mapping[str, Any] | pd.DataFrame | Sequence[Scores],
    baseline: Scores,
    *,
    paired: bool = ...,
    groups: Any = ...,
) -> Comparisons: ...
def compare(scores: Any, baseline: Any, *, paired: bool = True, groups: Any = None) -> Comparison | Comparisons:
    """Is the mean of `scores` another than that of `baseline`? The difference, its interval, and a verdict.

    scores: (N,), one number for each unit, which is what was drawn independently: a seed, a recording, a series. Or
    several of these, all held against one baseline: a dict or a DataFrame by name, or a list (named "0", "1", ...).
    baseline: (N,).  paired: unit i is the same seed or recording on both sides; False: unrelated, of any lengths.
    groups: (N,) labels; scores that share one (the clips of a recording) are averaged first, on each side, and the
    recordings are compared. Each then counts once, so the mean may differ a little from that over clips. With
    paired=False it may be a pair of such lists, the scores' and the baseline's.
    Returns a `Comparison`, or `Comparisons` (a dict) for several, whose verdicts Holm's method corrects for their
    number: the chance that any of them says "shown" where nothing differs is at most 5 %.

    Pairs are judged by Student's t on their differences, unrelated scores by Welch's t. Flipping the signs of the
    differences at random would ask less (no normal distribution), but its smallest p is 2 / 2ᴺ: with five seeds nothing
    could be shown. It is used where t says nothing, since all differences are the same: p = 2 / 2ᴺ (unrelated: 2 over
    the number of ways to deal the scores to two sides), and no bounds on the difference below six pairs.
    Raises ValueError for lengths that differ, numbers that are not finite, and fewer than two units on a side.
    Sources: Student 1908; Welch 1947; Holm 1979; for signs, Fisher 1935; `scipy.stats` computes t.
    """
    if isinstance(scores, Mapping | pd.DataFrame):
        named = dict(scores.items())
    elif isinstance(scores, list | tuple) and any(np.ndim(values) for values in scores):
        named = {str(i): values for i, values in enumerate(scores)}
    else:
        return _judged({"scores": _difference(scores, baseline, paired, groups, "scores")})["scores"]
    if not named:
        raise ValueError("scores: expected at least one set of scores, got none")
    return _judged({k: _difference(v, baseline, paired, groups, f"scores[{k!r}]") for k, v in named.items()})


def _judged(found: dict[str, dict[str, Any]]) -> Comparisons:
    """Holm: the smallest p times m, the next times m - 1, and so on, none below the one before it."""
    p = np.array([values["p"] for values in found.values()])
    order = np.argsort(p)
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    verdicts = np.where(corrected <= 1 - LEVEL, "shown", "not shown")
    rows = zip(found.items(), corrected.tolist(), verdicts.tolist(), strict=True)
    return Comparisons({name: Comparison(**row, p_holm=holm, verdict=verdict) for (name, row), holm, verdict in rows})


def _difference(scores: Any, baseline: Any, paired: bool, groups: Any, name: str) -> dict[str, Any]:
    """The fields of one `Comparison` but for what depends on the others."""
    if paired and isinstance(scores, pd.Series) and isinstance(baseline, pd.Series):
        if len(scores) == len(baseline) and not scores.index.equals(baseline.index):
            raise ValueError(f"{name}: expected the baseline's index, so that pairs are pairs, got another")
    (a, coarse), (b, coarser) = _numbers(scores, name), _numbers(baseline, "baseline")
    if paired and len(a) != len(b):
        raise ValueError(f"{name}: expected {len(b)} numbers to pair with the baseline's, got {len(a)}")
    if groups is not None:
        one_each = not paired and isinstance(groups, tuple) and len(groups) == 2 and np.ndim(groups[0]) == 1
        of_a, of_b = groups if one_each else (groups, groups)
        a, b = _averaged(a, of_a), _averaged(b, of_b)
    for side, values in ((name, a), ("baseline", b)):
        if len(values) < 2:
            raise ValueError(f"{side}: expected at least two units (seeds, recordings), got one: it has no spread")
    difference = float(a.mean() - b.mean())
    units = len(a) if paired else len(a) + len(b)
    agree = int((np.sign(a - b) == np.sign(difference)).sum()) if paired else None
    rounding = max(coarse, coarser)
    if max(np.ptp(values) for values in ([a - b] if paired else [a, b])) > rounding:
        t = stats.ttest_rel(a, b) if paired else stats.ttest_ind(a, b, equal_var=False)
        (low, high), p = t.confidence_interval(LEVEL), t.pvalue
    else:
        p = min(1.0, 2 / (2 ** len(a) if paired else comb(units, len(a))))
        bound = 0.0 if p <= 1 - LEVEL else np.inf
        low, high = difference - bound, difference + bound
        p = 1.0 if abs(difference) <= rounding else p
    found = {"difference": difference, "low": float(low), "high": float(high), "p": float(p)}
    return found | {"agree": agree, "units": units}


def _numbers(values: Any, name: str) -> tuple[np.ndarray, float]:
    """`values` in float64, and the size of a rounding error in them as they came."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == bfloat16 else values
    given = np.asarray(values)
    if given.dtype.kind == "c":
        raise ValueError(f"{name}: expected real numbers, got {given.dtype}")
    try:
        numbers = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected one number for each unit (N,), got {values!r:.80}") from error
    if numbers.ndim != 1 or len(numbers) == 0:
        raise ValueError(f"{name}: expected one number for each unit (N,), got shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected finite numbers, got {numbers[~np.isfinite(numbers)][0]} among them")
    precision = np.finfo(given.dtype if given.dtype.kind == "f" else np.float64).eps
    return numbers, 16 * float(precision) * float(np.abs(numbers).max())


def _averaged(values: np.ndarray, groups: Any) -> np.ndarray:
    """The mean of each group, (G,), in the order of the sorted labels."""
    labels = np.asarray(groups)
    if (labels != labels).any() or (labels.dtype == object and any(label is None for label in labels.flat)):
        raise ValueError("groups: expected a label for each score, got NaN or None among them")
    if labels.shape != values.shape:
        raise ValueError(f"groups: expected a label for each of {len(values)} scores, got shape {labels.shape}")
    _, member = np.unique(labels.astype(str) if labels.dtype == object else labels, return_inverse=True)
    return np.bincount(member, values) / np.bincount(member)
