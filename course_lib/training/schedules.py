"""Learning-rate schedules that move with every step."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def cosine_with_warmup(optimizer: Optimizer, total_steps: int, *, warmup: float = 0.1, final: float = 0.0) -> LambdaLR:
    """From near 0 up to the optimiser's rate in a straight line, then down along half a cosine to `final` of it.

    total_steps: optimiser steps of the whole run.  warmup: the share of them that rises, in [0, 1).  final: the last
    step's rate as a share of the highest, in [0, 1].  Pass it to `fit(schedule=cosine_with_warmup)`, with other values
    as `functools.partial(cosine_with_warmup, warmup=0.05)`.
    Source: Loshchilov and Hutter 2017, eq. 5, without restarts.
    """
    if total_steps < 1:
        raise ValueError(f"total_steps: expected at least 1, got {total_steps}")
    if not 0 <= warmup < 1 or not 0 <= final <= 1:
        raise ValueError(f"expected warmup in [0, 1) and final in [0, 1], got {warmup} and {final}")
    rising = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        progress = min(1.0, (step - rising) / max(1, total_steps - 1 - rising))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)
