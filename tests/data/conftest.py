import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib import paths
from course_lib.data import synthetic_soundscape


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Each test has its own cache folder."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def nothing_on_disk(tmp_path, monkeypatch):
    """No data set is found, whatever this machine holds."""
    monkeypatch.delenv("COURSE_DATA", raising=False)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "pyproject.toml").touch()
    monkeypatch.setattr(paths, "PROJECT_ROOT", checkout)


@pytest.fixture(scope="session")
def esc10_root():
    """A folder that holds the real ESC-10; the test is skipped where there is none."""
    roots = [os.environ.get("COURSE_DATA"), paths.PROJECT_ROOT / "data", paths.PROJECT_ROOT.parent / "shared" / "data"]
    for root in filter(None, roots):
        if (Path(root) / "esc10" / "001 - Dog bark").is_dir():
            return Path(root)
    pytest.skip("ESC-10 is not on disk (python -m course_lib data fetch esc10)")


@pytest.fixture
def real_cache(tmp_path_factory, monkeypatch):
    """One cache folder for all tests that read the real set, so that it is decoded once."""
    folder = tmp_path_factory.getbasetemp() / "real-cache"
    monkeypatch.setenv("COURSE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def soundscape():
    """All 400 generated clips, made once for the session and kept in memory."""
    return synthetic_soundscape(cache=False, progress=False)


class _NoFloat64(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in out if isinstance(out, tuple | list) else [out]:
            wide = isinstance(leaf, torch.Tensor) and leaf.dtype in (torch.float64, torch.complex128)
            if wide and leaf.device.type == "meta":
                raise TypeError(f"no float64 on this device ({func})")
        return out


@pytest.fixture
def device_without_float64():
    """The name of a device that refuses float64, as Apple's does; its tensors have shapes and no values."""
    with _NoFloat64():
        yield "meta"


@pytest.fixture
def tone():
    """tone(frequency, seconds=1, rate=8000): a sine of amplitude 0.5 as float32."""

    def make(frequency: float, seconds: float = 1.0, rate: int = 8000) -> np.ndarray:
        return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)

    return make


@pytest.fixture
def write(tmp_path):
    """write("bird/a.wav", samples, rate): put a sound file under tmp_path/sounds and return the root folder."""

    def put(name: str, samples: np.ndarray, rate: int = 8000, **options) -> Path:
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate, **options)
        return tmp_path / "sounds"

    return put
