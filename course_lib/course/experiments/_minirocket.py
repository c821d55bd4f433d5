"""MiniRocket, fixed random convolutions and a linear classifier: the strong and cheap baseline of series."""

import time
import warnings

import numpy as np
import torch


def minirocket_accuracy(
    x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, seed: int
) -> tuple[float, float]:
    """Test accuracy of aeon's MiniRocket with its defaults, and its CPU seconds without numba's compilation.

    x: (N, L) or (N, C, L).  Numba raises the number of OpenMP threads, which PyTorch shares: it is put back.
    """
    from aeon.classification.convolution_based import MiniRocketClassifier

    x, test_x = (part[:, None] if part.ndim == 2 else part for part in (x, test_x))
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            few = np.unique(y, return_index=True)[1].repeat(2)  # enough to compile
            MiniRocketClassifier(random_state=seed).fit(x[few], y[few])
            started = time.process_time()
            model = MiniRocketClassifier(random_state=seed).fit(x, y)
            return float(model.score(test_x, test_y)), time.process_time() - started
    finally:
        torch.set_num_threads(threads)
