"""The recorded runs on accumulators: what is compared is of one size, streams, and learns at all."""

import pytest
import torch

import course_lib.layers as sl
from course_lib.course.experiments import accumulator_comparison as comparison
from course_lib.course.experiments import accumulator_search


@pytest.mark.parametrize("name", comparison.MODELS)
def test_models_are_of_one_size_and_stream(name):
    model = comparison.make(name)
    x = sl.random_sequence(2, 20, comparison.TOKENS, seed=0)
    whole = model.layer(x, training=False)
    assert whole.shape == (2, 20, comparison.CLASSES)
    torch.testing.assert_close(sl.stream(model, x).values, whole.values)
    assert 4900 < sum(p.numel() for p in model.parameters()) < 5200
    assert comparison.microseconds_a_step(model, steps=3, rounds=1) > 0


def test_seeds_make_the_weights_and_leave_the_global_generator():
    before = torch.get_rng_state()
    a, b, c = (comparison.make("MLP", seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    first = next(iter(a))
    assert torch.equal(a[first], b[first]) and not torch.equal(a[first], c[first])


def test_a_short_training_learns_what_a_memory_is_needed_for(monkeypatch):
    """Four cues: guessing is right one time in four, and so is a network that sees the present step alone."""
    monkeypatch.setattr(comparison, "LENGTH", 60)
    task = "cues 10 to 30 apart"
    with_memory, without = (comparison.measure(0, 60, name, task)[task] for name in ("accumulator, fixed 0.9", "MLP"))
    assert without < 0.4 < 0.5 < with_memory


def test_the_search_scores_a_setting_the_same_each_time():
    settings = {"decay": 0.9, "width": 16, "learning_rate": 0.003}
    assert accumulator_search.score(settings, epochs=1) == accumulator_search.score(settings, epochs=1)
