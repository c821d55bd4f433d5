"""AdamW as transformers are trained: weight decay on matrices and kernels, none on gains, biases and norms."""

from collections.abc import Iterable

import torch
from torch import nn


def adamw(
    parameters: Iterable[nn.Parameter],
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.98),
    weight_decay: float = 0.05,
) -> torch.optim.AdamW:
    """AdamW in two groups: parameters of two or more dimensions shrink by `weight_decay`, vectors and numbers do not.

    A bias or a norm's gain is one number a channel: pulling it to zero does not make the function simpler.
    Source: Loshchilov and Hutter 2019; the two groups as in Radford et al. 2018 (GPT), section 4.1.
    """
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, betas=betas)
