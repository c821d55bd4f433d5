"""The recorded runs on templates and on the event-specific classifier: their data, and short trainings."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_lib.course.experiments import _event_runs, event_specific, event_templates
from course_lib.data import make_events
from course_lib.events import Detections
from course_lib.models import TemplateDetector


def test_parts_seeds_and_levels_share_no_window():
    windows = {
        event_templates.windows(part, 1, seed, snr_db)[0].tobytes()
        for part in ("labelled", "validation", "test", "unlabelled")
        for seed in range(3)
        for snr_db in (0, -6)
    }
    assert len(windows) == 4 * 3 * 2


@pytest.mark.parametrize("seed", [0, 1])
def test_few_windows_hold_every_type(seed):
    data, labels, timings = event_templates.few_windows(16, seed, 0.0)
    assert len(data) == 16 and (labels.sum(axis=0) >= 1).all()
    assert (np.isnan(timings) == (labels == 0)).all()


def test_windows_too_few_to_hold_every_type_are_refused(monkeypatch):
    monkeypatch.setattr(_event_runs, "make_events", lambda count, **_: (None, np.eye(16)[:count], None))
    with pytest.raises(ValueError, match="no draw of 1 windows"):
        event_templates.few_windows(1, 0, 0.0)


def test_true_kernels_are_the_templates_at_each_warp():
    kernels = event_templates.true_kernels((0.9, 1.0, 1.1))
    assert kernels.shape == (16, 3, 6, 104)
    late = np.square(kernels[..., 60:]).sum(axis=(0, 2, 3))
    assert late[0] < late[1] < late[2]  # longer events have more at the end


def test_learning_and_training_leave_the_global_state_and_repeat():
    labelled = make_events(24, 1000, seed=1, snr_db=0.0)
    before, banks = torch.random.get_rng_state(), []
    for _ in range(2):
        banks.append(event_templates.learn_templates(labelled, None, seed=0, rounds=1))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.testing.assert_close(banks[0].templates, banks[1].templates)
    assert isinstance(event_templates.train_detector(banks[0], labelled, labelled[0]), TemplateDetector)


def test_a_window_is_scored_by_a_verifier_that_did_not_see_it(monkeypatch):
    seen = []
    model = SimpleNamespace(
        fit_verifier=lambda found, events: seen.append(set(found)),
        verified=lambda one: one not in seen[-1],
    )
    assert event_templates.held_out(model, list("abcdefghij"), list("abcdefghij")) == [True] * 10
    assert len(seen) == 4 and set.union(*seen) == set("abcdefghij")


def test_precision_is_read_where_the_recall_is_reached():
    truth, found = [[(0, 100.0), (0, 5000.0)]], [Detections([0, 0, 0], [100.0, 2000.0, 5000.0], [0.9, 0.8, 0.7])]
    assert event_templates.precision_at(0.5, truth, found) == 1
    assert event_templates.precision_at(0.95, truth, found) == pytest.approx(2 / 3)
    assert np.isnan(event_templates.precision_at(0.95, truth, [found[0].above(0.75)]))


@pytest.mark.parametrize("name", list(event_specific.VARIANTS))
def test_each_variant_trains_and_finds(name):
    labelled, options = event_specific.arrays(6, 0), event_specific.VARIANTS[name]
    model = event_specific.train_model(labelled, 0, 1, **options)
    assert len(event_specific.candidates(model, torch.tensor(labelled[0]))) == 6
    if options.get("base_model"):
        return
    with torch.no_grad():
        scores = model(torch.tensor(labelled[0]))[2]
    parts = options.get("parts", model.PARTS)
    assert bool(scores.any()) == ("templates" in parts) and (model.cnn is not None) == ("cnn" in parts)
    if "templates" in parts:
        assert (model.templates.delays().abs().max() > 1) == options.get("averages", True)
