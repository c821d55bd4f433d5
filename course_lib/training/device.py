"""Where a run computes: the device, moving batches to it, mixed precision, the label for recorded results."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """The torch device for "auto" (CUDA, else Apple's MPS, else CPU) or for an explicit name such as "cpu" or "cuda:1".

    The environment variable COURSE_DEVICE, where it is set, says what "auto" means.
    Under torch.distributed.run, "auto" and "cuda" mean the GPU of this process' local rank.
    Raises RuntimeError where the named accelerator is not there.
    """
    name = str(device)
    if name == "auto":
        name = os.environ.get("COURSE_DEVICE") or "auto"
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ['LOCAL_RANK']}" if "LOCAL_RANK" in os.environ else "cuda:0"
    resolved = torch.device(name)
    if resolved.type == "cuda" and (not torch.cuda.is_available() or resolved.index >= torch.cuda.device_count()):
        raise RuntimeError(f"device: expected one of {torch.cuda.device_count()} CUDA devices, got {name!r}")
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise RuntimeError("device: got 'mps', but this machine or this build of torch has none")
    return resolved


def device_label(device: str | torch.device = "auto") -> str:
    """What a recorded measurement says of its device: the GPU's model, "mps", or "cpu-<cores>". Never a host name."""
    resolved = resolve_device(device)
    if resolved.type == "cuda":
        return torch.cuda.get_device_name(resolved)
    if resolved.type == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return f"cpu-{cores}"
    return resolved.type


def to_device(batch, device: torch.device):
    """Every tensor in `batch` (a tensor, or tuples, lists and dicts of them) on `device`.

    What has a `to` of its own, as a `Sequence` has, is moved by it; anything else stays as it is.
    """
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):  # a named tuple
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(value, device) for value in batch)
    return batch.to(device) if hasattr(batch, "to") else batch


def amp_dtype(amp: bool | str, device: torch.device) -> torch.dtype | None:
    """The type for autocast: None (off), or bfloat16 / float16 for "bf16" / "fp16".

    True takes bfloat16, or float16 on accelerators without it.  Raises ValueError for anything else.
    """
    if amp is False:
        return None
    if amp is True:
        has_bf16 = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported())
        return torch.bfloat16 if has_bf16 else torch.float16
    names = {"bf16": torch.bfloat16, "fp16": torch.float16}
    if amp not in names:
        raise ValueError(f"amp: expected False, True, 'bf16' or 'fp16', got {amp!r}")
    return names[amp]


@contextmanager
def mode(model: nn.Module, training: bool) -> Iterator[None]:
    """`model` in training or evaluation mode inside the block; after it, each submodule's own mode as it was before."""
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, flag in before.items():
            module.training = flag
