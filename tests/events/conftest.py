"""A model whose answers are known: spikes in channel e are events of type e, their heights the scores."""

import numpy as np
import pytest
import torch


class SpikeModel:
    """frame_scores of x (B, T, 3): in each frame of 10 samples the highest spike of each channel, and where it is."""

    input_size = num_events = 3
    timing_resolution_samples = 10
    refractory_period_samples = 4000

    def __init__(self):
        self.lengths = []

    def frame_scores(self, x, lengths=None):
        self.lengths.append(x.shape[1])
        padded = torch.nn.functional.pad(x, (0, 0, 0, -x.shape[1] % 10))
        frames = padded.unflatten(1, (-1, 10))  # (B, F, 10, 3)
        scores, offsets = frames.max(dim=2)
        return scores, offsets.float()


@pytest.fixture
def spike_model():
    return SpikeModel()


@pytest.fixture
def spikes():
    """spikes(length, [(type, sample, score), ...]) -> data (length, 3) float32"""

    def make(length, events):
        data = np.zeros((length, 3), np.float32)
        for kind, sample, score in events:
            data[sample, kind] = score
        return data

    return make
