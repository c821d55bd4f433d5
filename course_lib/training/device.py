"""Where a run computes: the device, batches on their way to it, mixed precision, and several processes as one."""

import atexit
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, IterableDataset

from course_lib.training.steps import batch_size

NO_FLOAT64 = {"mps"}  # device types that hold no float64: what goes there becomes float32


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

    float64 becomes float32 where the device has none (Apple's MPS).
    What has a `to` of its own, as a `Sequence` has, is moved by it; anything else stays as it is.
    """
    if isinstance(batch, Tensor):
        too_wide = batch.dtype == torch.float64 and device.type in NO_FLOAT64
        return (batch.float() if too_wide else batch).to(device, non_blocking=True)
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


@dataclass(frozen=True)
class World:
    """This process' place: its rank among `size` processes, and the device it computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def join(device: torch.device) -> World:
    """Join the process group that torch.distributed.run describes (gloo on a CPU, NCCL on GPUs); alone without one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not dist.is_available():
        return World(0, 1, device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return World(dist.get_rank(), dist.get_world_size(), device)


def wrap(model: nn.Module, world: World) -> nn.Module:
    """`model` itself, or DistributedDataParallel around it where there are several processes."""
    if world.size == 1:
        return model
    return DistributedDataParallel(model, device_ids=[world.device] if world.device.type == "cuda" else None)


def deal(loader, world: World) -> Iterator[tuple[object, int, float]]:
    """This rank's share of every batch, as (batch, samples, weight).

    weight is what to multiply the mean loss of the share with, so that the mean over ranks is the mean over the global
    batch: size * samples / global samples. A rank for which nothing is left gets one sample of another's with weight 0,
    since every rank has to take part in every step.
    Raises TypeError for anything but a DataLoader over a map-style data set where there are several processes.
    """
    if world.size == 1:
        for batch in loader:
            yield batch, batch_size(batch), 1.0
        return
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset) or not loader.batch_sampler:
        raise TypeError(
            f"with several processes, expected a batching DataLoader with indices, got {type(loader).__name__}"
        )
    seed, batches = broadcast(_order(loader) if world.is_main else None)
    own = [indices[world.rank :: world.size] for indices in batches]
    share = DataLoader(
        loader.dataset,
        batch_sampler=[mine or whole[:1] for mine, whole in zip(own, batches, strict=True)],
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
        generator=torch.Generator().manual_seed(seed + world.rank),
    )
    for batch, mine, whole in zip(share, own, batches, strict=True):
        yield batch, len(mine), world.size * len(mine) / len(whole)


def summed(values: list[float], world: World) -> list[float]:
    """Element-wise sums over all ranks."""
    if world.size == 1:
        return values
    device = world.device if world.device.type == "cuda" else "cpu"
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.tolist()


def broadcast(value):
    """Rank 0's `value` on every rank."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gathered(value, world: World) -> list:
    """Every rank's `value`, in the order of ranks."""
    if world.size == 1:
        return [value]
    box = [None] * world.size
    dist.all_gather_object(box, value)
    return box


def _order(loader: DataLoader) -> tuple[int, list[list[int]]]:
    """The seed for the workers and an epoch's batches of indices, drawn as a DataLoader in one process draws them."""
    seed = torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
    return int(seed) // 2, [list(batch) for batch in loader.batch_sampler or ()]


def _leave() -> None:
    """End the process group, once its threads have had time to let go of the last collective's tensors.

    DistributedDataParallel keeps a group of gloo alive beyond destroy_process_group; a thread of it that frees a Python
    tensor while the interpreter shuts down aborts the process, as was seen on a busy machine.
    """
    if dist.is_initialized():
        time.sleep(0.2)
        dist.destroy_process_group()
