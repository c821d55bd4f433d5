"""Random number states: reading them, putting them back, and running a block on a seed of its own.

The library never seeds a global generator for good. `isolated` seeds PyTorch's default ones for the length of a block
and puts their states back at its end, whatever happens inside. Only resuming a checkpoint sets global states, to
those that the interrupted run had.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(generator: torch.Generator | None = None) -> int:
    """A fresh 63-bit seed drawn from `generator` (None: PyTorch's default generator)."""
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(0, 2**63 - 1, (), generator=generator, device=device))


def torch_states(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of PyTorch's default generators that a run on `device` draws from: the CPU's and the device's own."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_torch_states(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put back what `torch_states` read; states of devices that this run does not use are left out."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])


@contextmanager
def isolated(seed: int | None, device: torch.device) -> Iterator[None]:
    """PyTorch's default generators seeded inside the block, and as they were before it afterwards. None: do nothing."""
    if seed is None:
        yield
        return
    before = torch_states(device)
    try:
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield
    finally:
        set_torch_states(before, device)


def generators_of(*sources) -> list[torch.Generator]:
    """Each torch.Generator, once, among `sources`: generators, loaders, and the samplers and data sets inside these."""
    found: dict[int, torch.Generator] = {}
    queue, seen = list(sources), set()
    while queue:
        item = queue.pop(0)
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.Generator):
            found[id(item)] = item
        else:
            queue += [getattr(item, name, None) for name in ("generator", "sampler", "batch_sampler", "dataset")]
    return list(found.values())


def capture(device: torch.device, generators: Sequence[torch.Generator]) -> dict:
    """All that a later step may draw from: torch's, NumPy's and Python's global states and those of `generators`."""
    return {
        "torch": torch_states(device),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002  transforms written by readers may draw from it
        "python": random.getstate(),
        "generators": [generator.get_state() for generator in generators],
    }


def restore(states: dict, device: torch.device, generators: Sequence[torch.Generator]) -> None:
    """Put back what `capture` read.  Raises ValueError where the number of generators differs."""
    if len(states["generators"]) != len(generators):
        count = len(states["generators"])
        raise ValueError(f"the checkpoint holds {count} generator states, this run uses {len(generators)} generators")
    set_torch_states(states["torch"], device)
    np.random.set_state(states["numpy"])  # noqa: NPY002
    random.setstate(states["python"])
    for generator, state in zip(generators, states["generators"], strict=True):
        generator.set_state(state)
