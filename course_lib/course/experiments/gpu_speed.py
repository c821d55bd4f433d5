"""Speed on a GPU, where one is at hand: training of the signal transformer, PyTorch's attention kernels, compiling.

`SignalTransformerConfig(num_classes=10)`, 2.3 M parameters, signals of 1,024 steps. Rows say which machine made them.

- Training in float32, under bfloat16 autocast, and compiled as well: sequences a second at batch 32, 128 and 256, the
  median of a few rounds; and the share of the measured peak, the speed of one large product in the same format. The
  operations are those that PyTorch's counter finds in a step.
- `scaled_dot_product_attention`, forwards and backwards, by each backend that takes the inputs: (8, 8, T, 64).

The recorded rows are of a CPU, made to try it: nothing of it was run on a GPU yet. `.ci/gpu` is all that is to be run
on one, and `.ci/gpu --try` the same with small sizes on a CPU.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from course_lib.course.experiments._speed import training_step
from course_lib.course.experiments._training import parameters
from course_lib.course.experiments.runner import Experiment, grid
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.training.device import device_label, resolve_device

PEAK_SIZE = 4_096
WAYS: dict[str, dict[str, bool]] = {
    "float32": {},
    "bfloat16": {"autocast": True},
    "bfloat16, compiled": {"autocast": True, "compiled": True},
}
BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION, "math": SDPBackend.MATH}


def seconds(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Median over rounds of what one call takes, after two that do not count; a GPU's queue is waited for."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    times = []
    for _ in range(rounds + 2):
        wait()
        started = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


def peak(device: torch.device, dtype: torch.dtype, rounds: int) -> float:
    """Operations a second of one square product of `PEAK_SIZE`."""
    a = torch.randn(PEAK_SIZE, PEAK_SIZE, device=device, dtype=dtype)
    return 2 * PEAK_SIZE**3 / seconds(lambda: a @ a, device, rounds)


def training(batch: int, way: str, device: torch.device, rounds: int) -> dict[str, float]:
    """Sequences a second, and the share of the measured peak."""
    model = SignalSequenceTransformer(SignalTransformerConfig(num_classes=10)).to(device)
    with FlopCounterMode(display=False) as counter:
        training_step(model, batch, fused=True)()
    taken = seconds(training_step(model, batch, fused=True, **WAYS[way]), device, rounds)
    speed = counter.get_total_flops() / taken
    best = peak(device, torch.float32 if way == "float32" else torch.bfloat16, rounds)
    return {"sequences a second": batch / taken, "share of the measured peak": speed / best}


def attention(backend: str, length: int, device: torch.device, rounds: int) -> dict[str, float]:
    """Milliseconds in bfloat16, forwards and backwards; nothing where the backend does not take the inputs."""
    shape, options = (8, 8, length, 64), {"device": device, "dtype": torch.bfloat16, "requires_grad": True}
    q, k, v = (torch.randn(shape, **options) for _ in range(3))

    def work() -> None:
        with sdpa_kernel(BACKENDS[backend]):
            scaled_dot_product_attention(q, k, v).sum().backward()

    try:
        return {"ms": 1e3 * seconds(work, device, rounds)}
    except RuntimeError as error:
        if not str(error).startswith(("No available kernel", "No viable backend")):
            raise
        return {}


def size(device: torch.device, rounds: int) -> dict[str, int]:
    return {"parameters": parameters(SignalSequenceTransformer(SignalTransformerConfig(num_classes=10)))}


def measure(seed: int, device: str, rounds: int, work: Callable[..., dict], **setting) -> dict:
    """One row's numbers, and the device that they are of."""
    torch.manual_seed(seed)
    return work(device=resolve_device(device), rounds=rounds, **setting) | {"device": device_label(device)}


SETTINGS = (
    {"the model": {"work": size}}
    | grid("training, batch {batch}, {way}", work=[training], way=WAYS, batch=(32, 128, 256))
    | grid("attention, T {length}, {backend}", work=[attention], length=(256, 1_024, 4_096), backend=BACKENDS)
)
EXPERIMENT = Experiment(
    measure,
    settings=SETTINGS,
    seeds=(0,),
    options={"device": ("auto", "where it is computed"), "rounds": (20, "calls that count")},
    cheapest="the model",
    unchecked="a second|share|ms$",
)
