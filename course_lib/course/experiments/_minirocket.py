"""MiniRocket, fixed random convolutions and a linear classifier: the strong and cheap baseline of series."""

import time
import warnings
from typing import Any

import numpy as np
import torch


def minirocket_accuracy(
    x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, seed: int, dilations: int = 32
) -> tuple[float, float]:
    """Test accuracy of aeon's MiniRocket, and its CPU seconds without numba's compilation.

    x: (N, L) or (N, C, L).  dilations: most of them a kernel, the package's default.
    """
    scores, seconds = minirocket_accuracies(x, y, {"test": (test_x, test_y)}, seed, dilations)
    return scores["test"], seconds


def minirocket_accuracies(
    x: np.ndarray, y: np.ndarray, tests: dict[Any, tuple[np.ndarray, np.ndarray]], seed: int, dilations: int = 32
) -> tuple[dict[Any, float], float]:
    """As `minirocket_accuracy`, on several tests: name → (x, y).

    Numba raises the number of OpenMP threads, which PyTorch shares: it is put back.
    """
    from aeon.classification.convolution_based import MiniRocketClassifier

    x = _with_channels(x)
    model = MiniRocketClassifier(max_dilations_per_kernel=dilations, random_state=seed)
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            few = np.unique(y, return_index=True)[1].repeat(2)  # enough to compile
            model.fit(x[few], y[few])
            started = time.process_time()
            model.fit(x, y)
            scores = {name: float(model.score(_with_channels(one), truth)) for name, (one, truth) in tests.items()}
            return scores, time.process_time() - started
    finally:
        torch.set_num_threads(threads)


def _with_channels(x: np.ndarray) -> np.ndarray:
    """(N, L) → (N, 1, L)"""
    return x[:, None] if x.ndim == 2 else x
