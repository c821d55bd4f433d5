"""What a run leaves behind: a table with one row an epoch, and the best epoch by a named measure."""

import math

import pandas as pd
from torch import Tensor

_SMALLER_IS_BETTER = ("loss", "error", "mse", "mae", "perplexity")
_LARGER_IS_BETTER = ("accuracy", "f1", "auc", "precision", "recall", "r2", "score")


def direction(monitor: str, mode: str | None = None) -> str:
    """ "min" or "max": which way `monitor` is better, as `mode` says or, where that is None, as its name tells.

    Raises ValueError where the name does not tell.
    """
    if mode in ("min", "max"):
        return mode
    if mode is not None:
        raise ValueError(f"mode: expected 'min', 'max' or None, got {mode!r}")
    if any(word in monitor.lower() for word in _SMALLER_IS_BETTER):
        return "min"
    if any(word in monitor.lower() for word in _LARGER_IS_BETTER):
        return "max"
    raise ValueError(f"mode: {monitor!r} does not tell whether small or large is better; give mode='min' or 'max'")


class History:
    """Rows of measures, one an epoch, and the best of them by `monitor` (None: no best is kept).

    rows: list of dicts.  table: the same as a pandas DataFrame.  best_epoch, best_value: where and what the best was,
    None before there is one.  best_weights: the model's state_dict then, on the CPU.  patience: epochs without a better
    one after which `stopped_early` turns True; None: never.
    """

    def __init__(self, monitor: str | None = None, mode: str | None = None, patience: int | None = None):
        self.monitor = monitor
        self.mode = None if monitor is None else direction(monitor, mode)
        self.rows: list[dict] = []
        self.best_epoch: int | None = None
        self.best_value: float | None = None
        self.best_weights: dict[str, Tensor] | None = None
        self.patience = patience

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        best = "" if self.best_epoch is None else f", best {self.monitor} {self.best_value:.4g} at {self.best_epoch}"
        return f"History({len(self.rows)} epochs{best})"

    def add(self, row: dict) -> bool:
        """Append an epoch's row; True where it is the best so far. A tie or NaN is not better."""
        self.rows.append(row)
        value = row.get(self.monitor, math.nan)
        if math.isnan(value):
            return False
        sign = 1 if self.mode == "max" else -1
        better = self.best_value is None or sign * value > sign * self.best_value
        if better:
            self.best_epoch, self.best_value = row["epoch"], value
        return better

    @property
    def stopped_early(self) -> bool:
        """Whether `patience` epochs have gone by since the best one (since the start where there is none)."""
        return self.patience is not None and len(self.rows) - (self.best_epoch or 0) >= self.patience
