"""Several processes, one run: what `fit` needs under `python -m torch.distributed.run`.

Every process runs the same script. The first one (rank 0) draws the order of the samples; each global batch is dealt
out among the ranks; gradients are averaged by DistributedDataParallel, with weights that make the average the gradient
of the whole batch's mean loss, also where a batch does not divide evenly. A step must call the model itself, not one of
its methods, since that call is what DistributedDataParallel listens to.
"""

import atexit
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, IterableDataset

from course_lib.training.steps import batch_size


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
    return int(seed) // 2, [list(batch) for batch in loader.batch_sampler]


def _leave() -> None:
    """End the process group, once its threads have had time to let go of the last collective's tensors.

    DistributedDataParallel keeps a group of gloo alive beyond destroy_process_group; a thread of it that frees a Python
    tensor while the interpreter shuts down aborts the process, as was seen on a busy machine.
    """
    if dist.is_initialized():
        time.sleep(0.2)
        dist.destroy_process_group()
