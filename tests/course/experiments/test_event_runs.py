"""What the recorded runs on events share."""

import numpy as np
import pytest
import torch

from course_lib.course.experiments._event_runs import close_recall, find, measures, train, windows
from course_lib.events import Detections
from course_lib.losses import EventTimingLoss, HeatmapLoss
from course_lib.models import EventDetector, LSTMEventClassifier


def test_recall_of_close_events_counts_only_those():
    truths = [[(0, 100.0), (1, 119.0), (2, 500.0)], [(0, 5.0)]]
    founds = [Detections([0, 2], [101.0, 800.0], [0.9, 0.9]), Detections.none()]
    assert close_recall(truths, founds) == 0.5  # 100 and 119 are close, one of them was found
    assert np.isnan(close_recall([[(0, 5.0)]], [Detections.none()]))


def test_measures_at_one_threshold():
    found = Detections([0, 0], [103.0, 300.0], [0.9, 0.3])
    values = measures([[(0, 100.0)]], [found], threshold=0.5)
    assert values["F1 at 2 ms"] == values["F1 at 5 ms"] == 1.0 and values["median error, ms"] == 1.5


@pytest.mark.parametrize(
    ("make", "loss"),
    [
        (lambda: EventDetector(width=8, dilations=(1,), attention_heads=0), HeatmapLoss()),
        (lambda: LSTMEventClassifier(hidden_size=4, front_end=True), EventTimingLoss()),
    ],
)
def test_training_repeats_from_its_seed_and_leaves_the_global_state(make, loss):
    before = torch.random.get_rng_state()
    first, statistics, seconds = train(make, loss, seed=0, steps=2, batch_size=2)
    second, _, _ = train(make, loss, seed=0, steps=2, batch_size=2)
    assert torch.equal(before, torch.random.get_rng_state()) and seconds > 0
    x, truths = windows(3, 5, 0.0, statistics)
    for one, other in zip(find(first, x), find(second, x), strict=True):
        assert list(one) == list(other)
    assert len(truths) == 3
