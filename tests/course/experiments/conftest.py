"""Made-up clips that stand in for ESC-10 in recorded runs."""

import numpy as np
import pytest

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
