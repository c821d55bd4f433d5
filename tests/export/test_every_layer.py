"""Every layer that steps exports its step, and the file gives over a stream what the layer gives: `export` asserts it.

The suite takes the cases in SOME. `python -m tests.export.test_every_layer` takes all cases of tests/layers, with
`--each` one of every public layer class, and prints which export and why others do not: `IIRFilter` is SciPy's own
loop, which has no ONNX form; the file of `FIRFilter` keeps the batch that it was exported with, and is refused.
"""

import inspect
import runpy
import sys
import tempfile
from pathlib import Path

import pytest
import torch

import course_lib.layers as sl
from course_lib.export import export

FOLDER = Path(__file__).parents[1] / "layers" / "cases"
FAMILIES = {path.stem: runpy.run_path(str(path))["CASES"] for path in sorted(FOLDER.glob("*.py"))}
CASES = {f"{family}: {name}": make for family, cases in FAMILIES.items() for name, make in cases.items()}

SOME = [
    "accumulator: fixed, one decay",
    "accumulator: RG-LRU",
    "attention: normalised queries and keys, rotary, grouped heads",
    "combinators: Sequential whose delay fills up blocks",
    "convolution: Conv1DTranspose causal k1 s1 d1",
    "convolution: Conv2D",
    "encoder: multi-head attention, past 3, future 2, rotary",
    "encoder: ResidualBlock without squeeze, equal channels",
    "normalization: GroupNorm cumulative",
    "pooling: MaxPooling1D causal k3 s1 d1",
]
CONSTANTS = "it looks at a sequence beside its input, for which a file of one input has no place"


def one_of_each() -> list[str]:
    """The first case that steps in which each public layer class occurs."""
    missing = {c for c in vars(sl).values() if inspect.isclass(c) and issubclass(c, sl.SequenceLayer)}
    chosen = []
    for name, make in CASES.items():
        layer = make().make_layer()
        new = {type(module) for module in layer.modules()} & missing
        if new and layer.supports_step:
            chosen.append(name)
            missing -= new
    return chosen


def exported(name: str, path: Path) -> str | None:
    """Export the case's step; None where that is done, else why it cannot be."""
    case = CASES[name]()
    x = case.x.to(torch.complex64 if case.x.values.is_complex() else torch.float32) if is_real(case.x) else case.x
    torch.manual_seed(0)
    layer = case.make_layer().eval()
    if not layer.supports_step:
        return "cannot step"
    if case.constants:
        return CONSTANTS
    layer.layer(x)  # lazy parameters take their shapes
    export(layer, path, spec=x.spec, streaming=True)
    return None


def is_real(x) -> bool:
    return x.values.is_floating_point() or x.values.is_complex()


@pytest.mark.parametrize("name", SOME)
def test_a_step_as_a_file(name, tmp_path):
    assert exported(name, tmp_path / "step.onnx") is None


def main() -> None:
    names = one_of_each() if "--each" in sys.argv else list(CASES)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            try:
                why = exported(name, Path(folder) / "step.onnx")
            except Exception as error:
                why = f"FAILED {type(error).__name__}: {str(error)[:300]}"
            print(f"{name:<70} {why or 'done'}", flush=True)


if __name__ == "__main__":
    main()
