"""Training windows that are never seen twice: generated while training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import DataLoader

from course_lib.data.event_dataset import EventBatch, EventDataset, collate_fn_supervised
from course_lib.data.events import make_events


class FreshEvents:
    """`batches` new batches of generated windows at every pass, normalised: an epoch for `fit`.

    batch_size: windows a batch.  seed: of all windows, pass by pass; the same seed gives the same passes.
    statistics: (mean, std) per channel; None: of 256 windows drawn first.  events: further arguments of `make_events`.
    """

    def __init__(self, batches: int, batch_size: int, seed: int = 0, statistics=None, **events):
        if batches < 1 or batch_size < 1:
            raise ValueError(f"batches, batch_size: expected at least 1, got {batches} and {batch_size}")
        self.batches, self.batch_size, self.events = batches, batch_size, events
        self.seeds = np.random.SeedSequence(seed)
        if statistics is None:
            statistics = EventDataset(*make_events(256, seed=self.seeds.spawn(1)[0], **events)).statistics
        self.statistics = statistics

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[EventBatch]:
        for start in range(0, self.batches, 8):  # eight batches at a time: one large draw is faster, many cost memory
            count = min(8, self.batches - start) * self.batch_size
            drawn = make_events(count, seed=self.seeds.spawn(1)[0], **self.events)
            dataset = EventDataset(*drawn, statistics=self.statistics)
            yield from DataLoader(dataset, self.batch_size, collate_fn=collate_fn_supervised)
