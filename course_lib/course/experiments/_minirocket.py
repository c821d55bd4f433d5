"""MiniRocket, fixed random convolutions and a linear classifier: the strong and cheap baseline of series."""

import time
import warnings
from collections.abc import Iterable

import numpy as np
import torch


def minirocket(
    x: np.ndarray, y: np.ndarray, tests: Iterable[tuple[np.ndarray, np.ndarray]], seed: int, dilations: int = 32
) -> tuple[list[float], float]:
    """Accuracy of aeon's MiniRocket on each of several tests (x, y), and its CPU seconds without numba's compilation.

    x: (N, L) or (N, C, L).  dilations: most of them a kernel, the package's default.
    Numba raises the number of OpenMP threads, which PyTorch shares: it is put back.
    """
    from aeon.classification.convolution_based import MiniRocketClassifier

    model = MiniRocketClassifier(max_dilations_per_kernel=dilations, random_state=seed)
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            few = np.unique(y, return_index=True)[1].repeat(2)  # enough to compile
            model.fit(x[few], y[few])
            started = time.process_time()
            model.fit(x, y)
            scores = [float(model.score(one, truth)) for one, truth in tests]
            return scores, time.process_time() - started
    finally:
        torch.set_num_threads(threads)
