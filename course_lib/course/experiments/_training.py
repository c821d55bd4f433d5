"""What many recorded runs do alike: weights from a seed, a training, the share of right answers, weights in a file."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from course_lib.files import replacing
from course_lib.sequence import Sequence
from course_lib.training import cosine_with_warmup, fit, predict
from course_lib.training.rng import isolated

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)


def seeded(seed: int, make: Callable[..., T], *args: Any, **options: Any) -> T:
    """What `make` makes where PyTorch's generators begin at `seed`; afterwards they are as they were."""
    with isolated(seed, torch.device("cpu")):
        return make(*args, **options)


def fitted(model: M, batches: Iterable, rate: float, optimizer: Callable = torch.optim.AdamW, **options: Any) -> M:
    """The model after one pass over `batches`, on the CPU and in evaluation mode.

    The rate warms up and falls along a cosine, gradients are clipped at 1.  options: of `fit`, in place of these.
    """
    usual = {"epochs": 1, "schedule": cosine_with_warmup, "clip_norm": 1.0, "metrics": {}, "device": "cpu"}
    fit(model, batches, optimizer=partial(optimizer, lr=rate), progress=False, **usual | options)
    return model.cpu().eval()


def over_steps(logits: Tensor, answers: Tensor) -> Tensor:
    """Cross-entropy of logits (B, T', C) against the first T' of answers (B, T); answers of -100 are passed over."""
    return F.cross_entropy(logits.flatten(0, 1), answers[:, : logits.shape[1]].flatten())


def accuracy(model: nn.Module, x: Any, answers: Tensor | np.ndarray) -> float:
    """Share of right answers: one a signal, (N,), or one a step, (N, T).  x: as of `predict`, or one `Sequence`."""
    device = next(model.parameters()).device
    named = predict(model, [x] if isinstance(x, Sequence) else x, device=device).argmax(-1)
    return float((named == np.asarray(answers)).mean())


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def keep(model: nn.Module, path: Path, **about: str) -> None:
    """Weights and words as a safetensors file."""
    with replacing(path) as temporary:
        save_file(model.state_dict(), temporary, metadata=about)


def kept(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights and the words of such a file."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
