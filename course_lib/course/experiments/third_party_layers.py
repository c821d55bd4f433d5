"""Layers of other packages that say they stream, put to the contract of notebook 13.

The packages go into an environment beside this one, on the same PyTorch, and what is not installed is left out:
`pip install --no-deps einops mambapy mingru-pytorch ncps cached-conv pytorch-tcn xlstm moshi torchaudio`, and
`pip install omegaconf dacite huggingface-hub sentencepiece sphn`, which some of them import. Each layer stands behind
the course's interface by `layers.Adapted` and an adaptor in `_borrowed_layers`, which says which calls it makes. About
25 CPU seconds.

Promises kept of eight; CPU milliseconds of 256 steps whole, and of one block of a stream. Kept beside the table: a row
a layer and promise, with version and first complaint.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import torch

from course_lib.course.experiments import _borrowed_layers as borrowed
from course_lib.course.experiments._training import seeded
from course_lib.course.experiments.runner import Experiment, Found, NotHere, grid
from course_lib.layers import Adapted, Sequential
from course_lib.sequence import PROPERTIES, Sequence, SequenceLayer, check_contract, ragged, stream

TOLERANCE = 1e-5  # some of these layers have 32-bit constants inside
# Adaptors, of layers in a row where there are several. "…" takes a thing away from the one above, to find a cause.
LAYERS: dict[str, tuple[borrowed.Borrowed, ...]] = {
    "nn.GRU (torch)": (borrowed.TorchGRU(),),
    "minGRU (mingru-pytorch)": (borrowed.MinGRU(),),
    "minLSTM (mingru-pytorch)": (borrowed.MinLSTM(),),
    "… handed g⁻¹ of its state": (borrowed.MinLSTM(inverted=True),),
    "MambaBlock (mambapy)": (borrowed.Mamba(),),
    "CfC (ncps)": (borrowed.CfC(),),
    "mLSTMLayer (xlstm)": (borrowed.XLSTM(),),
    "… handed a copy of its state": (borrowed.XLSTM(copied=True),),
    "TCN (pytorch-tcn)": (borrowed.TCN(),),
    "CachedConv1d (cached-conv)": (borrowed.CachedConv(),),
    "two CachedConv1d (cached-conv)": (borrowed.CachedConv(depth=2),),
    "… masked in between": (borrowed.CachedConv(), borrowed.CachedConv()),
    "StreamingConv1d (moshi)": (borrowed.MoshiConv(),),
    "StreamingTransformer (moshi)": (borrowed.MoshiTransformer(),),
    "… a step a call": (borrowed.MoshiTransformer(single=True),),
    "Emformer (torchaudio)": (borrowed.Emformer(),),
    "… whole segments only": (borrowed.Emformer(),),
}


def made(adaptors: tuple[borrowed.Borrowed, ...]) -> SequenceLayer:
    """The layer or layers, with the same first weights each time."""
    layers = seeded(0, lambda: [Adapted(adaptor) for adaptor in adaptors])
    return layers[0] if len(layers) == 1 else Sequential(layers)


def example(layer: str) -> Sequence:
    """What the layer is tried on: three items of 13, 9 and 0 valid steps, or of 16, 8 and 12."""
    if layer != "… whole segments only":
        return ragged(4)
    values = torch.randn(3, 16, 4, generator=torch.Generator().manual_seed(0))
    return Sequence(values, torch.arange(16) < torch.tensor([16, 8, 12])[:, None])


def measure(layer: str) -> dict[str, Any]:
    """The promises of one layer, one by one, and its CPU milliseconds."""
    make = partial(made, LAYERS[layer])
    try:
        make()
        version = LAYERS[layer][0].version
    except ImportError as error:
        raise NotHere(str(error)) from error
    complaints = {promise: complaint(make, example(layer), promise) for promise in PROPERTIES}
    kept = sum(not text for text in complaints.values())
    return {"promises kept": kept, **milliseconds(make()), "version": version, "complaints": complaints}


def complaint(make: Callable[[], SequenceLayer], x: Sequence, promise: str) -> str:
    """The first line of what is wrong; empty where the promise is kept."""
    try:
        check_contract(make, x, properties=(promise,), tolerance=TOLERANCE)
    except AssertionError as broken:
        return str(broken).splitlines()[0]
    except Exception as error:  # what a package raises inside is an answer too
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return ""


@torch.no_grad()
def milliseconds(layer: SequenceLayer) -> dict[str, float]:
    """CPU time, the least of five: 256 steps whole; and one block of them, the smallest that the layer takes."""
    layer = layer.eval()
    x = Sequence.of(torch.randn(1, borrowed.STEPS, 4, generator=torch.Generator().manual_seed(1)))
    blocks = borrowed.STEPS // layer.block_size
    return {
        "whole, ms": _least(lambda: layer.layer(x)),
        "a block, ms": _least(lambda: stream(layer, x, layer.block_size)) / blocks,
    }


def _least(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(5):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return 1000 * min(times)


def promises(found: Found) -> dict[str, pd.DataFrame]:
    """For `details`: a row a layer and promise."""
    rows = [
        {"setting": layer, "version": cell["version"], "promise": promise, "kept": not text, "complaint": text}
        for layer, (cell,) in found.items()
        for promise, text in cell["complaints"].items()
    ]
    return {"promises": pd.DataFrame(rows)}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{layer}", layer=LAYERS),
    cheapest="nn.GRU (torch)",
    seeds=(0,),
    details=promises,
    threads=1,
    unchecked=".*, ms",
)
