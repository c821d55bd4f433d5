"""Every layer that steps exports its step, and the file gives over a stream what the layer gives: `export` asserts it.

The suite takes the cases in SOME. `python -m tests.export.test_every_layer` takes all cases of tests/layers, with
`--each` one of every public layer class, and prints which export and why others do not: layers that look at a second
sequence, as cross-attention does, cannot; all others that step can.
"""

import inspect
import runpy
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

import course_lib.layers as sl
from course_lib.export import Model, Stream, export

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
    "filters: IIRFilter",
    "normalization: GroupNorm cumulative",
    "pooling: MaxPooling1D causal k3 s1 d1",
    "spectra: IFFT",
    "spectra: InverseSTFT causal 6/2/8",
    "spectra: OverlapAdd full 4/2",
    "spectra: STFT causal 6/2/8",
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


LOG_MEL = [sl.STFT(16, 8, magnitude=True), sl.LinearToMel(9, 4, 8000.0), sl.Lambda(lambda v: torch.log10(v + 1e-6))]
BACK = [sl.STFT(8, 4), sl.InverseSTFT(8, 4)]


@pytest.mark.parametrize("layers", [LOG_MEL, BACK], ids=["log-mel", "STFT and back"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_spectra_as_a_file(layers, streaming, tmp_path):
    """Noise, zeros, large values, any batch; whole sequences of any length, streams with a short last block."""
    layer = sl.Sequential(layers).eval()
    about = export(layer, tmp_path / "mel.onnx", spec=sl.ChannelSpec(()), streaming=streaming)
    assert about.error < 1e-5
    for steps, scale in ((40, 0.0), (83, 1.0), (83, 1e4)):
        x = scale * torch.randn(2, steps, generator=torch.Generator().manual_seed(0))
        if streaming:
            stream = Stream(tmp_path / "mel.onnx", 2)
            parts = [stream.push(x[:, :33].numpy()), stream.push(x[:, 33:].numpy()), stream.flush()]
            got = np.concatenate([part for part in parts if part is not None], axis=1)
        else:
            got = Model(tmp_path / "mel.onnx")(x.numpy())
        expected = layer(x).numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * max(1.0, scale))


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
