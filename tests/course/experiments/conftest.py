"""Recorded runs on small data: clips that stand in for ESC-10, and a run that writes into a folder of its own."""

from dataclasses import replace

import numpy as np
import pytest

from course_lib.course.experiments import results, runner
from course_lib.data import AudioData

RATE = 3200


@pytest.fixture
def clips():
    """50 clips of 5 s, one a class and fold, two of a recording."""
    generator = np.random.default_rng(0)
    return AudioData(
        signals=generator.standard_normal((50, 1, 5 * RATE)).astype(np.float32),
        labels=np.arange(50) % 10,
        classes=tuple("abcdefghij"),
        sample_rate=RATE,
        name="made up",
        folds=np.arange(50) // 10 + 1,
        groups=np.array([f"recording {i // 2}" for i in range(50)]),
        files=tuple(f"clip {i}" for i in range(50)),
        report=(),
    )


@pytest.fixture
def record(tmp_path, monkeypatch):
    """record(module, *argv, **changes): run its experiment with these changes; the table that it wrote, by measure."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")

    def run(module, *argv, **changes):
        runner.run(replace(module.EXPERIMENT, **changes), argv)
        return results.read(module.EXPERIMENT.table).set_index("measure")

    return run
