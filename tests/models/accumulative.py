"""What the tests of the accumulative MLP share."""

import torch

from course_lib.models import SignalAccumulativeMLP


def make(**options):
    return SignalAccumulativeMLP(**{"vocab_size": 5, "num_streams": 3, "hidden_sizes": (7,)} | options).eval()


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
