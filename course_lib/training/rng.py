"""Random number states: reading them, putting them back, and running a block on a seed of its own.

The library never seeds a global generator for good. `isolated` seeds PyTorch's default ones for the length of a block
and puts their states back at its end, whatever happens inside. Only resuming a checkpoint sets global states, to
those that the interrupted run had.
"""

import copy
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

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


class Stateful(Protocol):
    """What keeps a state of its own between batches: a loss that counts steps, a loader that counts its passes."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


Source = torch.Generator | Stateful


def generators_of(*sources: Any) -> list[Source]:
    """What a step's outcome depends on beside the weights: each generator and each stateful object, once.

    Looked for among `sources` (generators, loaders, losses, trainers), and the samplers, data sets and losses in these.
    """
    found: dict[int, Source] = {}
    queue, seen = list(sources), set()
    while queue:
        item = queue.pop(0)
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.Generator):
            found[id(item)] = item
            continue
        if hasattr(item, "state_dict") and hasattr(item, "load_state_dict") and item.state_dict():
            found[id(item)] = item
        queue += [getattr(item, name, None) for name in ("generator", "sampler", "batch_sampler", "dataset", "loss")]
    return list(found.values())


def capture(device: torch.device, generators: Sequence[Source]) -> dict[str, Any]:
    """All that a later step may draw from: torch's, NumPy's and Python's global states and those of `generators`."""
    return {
        "torch": torch_states(device),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002  transforms written by readers may draw from it
        "python": random.getstate(),
        "generators": [
            source.get_state() if isinstance(source, torch.Generator) else copy.deepcopy(dict(source.state_dict()))
            for source in generators
        ],
    }


def restore(states: dict[str, Any], device: torch.device, generators: Sequence[Source]) -> None:
    """Put back what `capture` read.  Raises ValueError where the number of generators differs."""
    if len(states["generators"]) != len(generators):
        count = len(states["generators"])
        raise ValueError(
            f"the checkpoint holds the states of {count} generators or stateful losses, this run has {len(generators)}"
        )
    set_torch_states(states["torch"], device)
    np.random.set_state(states["numpy"])  # noqa: NPY002
    random.setstate(states["python"])
    for source, state in zip(generators, states["generators"], strict=True):
        if isinstance(source, torch.Generator):
            source.set_state(state)
        else:
            source.load_state_dict(state)
