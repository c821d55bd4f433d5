"""The run on label efficiency on a tiny task: what it measures on, and that every method finds events."""

import numpy as np
import pytest
import torch

from course_lib.course.experiments import _label_tasks, label_efficiency
from course_lib.course.experiments._label_templates import matched_filter, snippets_and_em
from course_lib.data import GaitRecording, TemporalAugmentation
from course_lib.models import augmentation_ranges

EASY = {"num_events": 2, "snr_db": 12.0, "seq_len": 400, "event_rate": 6.0}


@pytest.fixture(scope="module")
def task():
    return _label_tasks.generated(0, 40, 30, **EASY)


def test_every_type_is_among_the_first_windows_and_parts_share_none(task):
    assert task.train.data.shape == (40, 400, 6) and task.train.first(16).labels.sum(0).min() >= 1
    assert abs(task.train.data.mean()) < 1e-3 and task.train.data.dtype == np.float32
    starts = [window[0, 0] for part in (task.train, task.validation, task.test) for window in part.data]
    assert len(set(starts)) == len(starts)
    other = _label_tasks.generated(1, 40, 30, **EASY)
    assert not np.isin(other.test.data[:, 0, 0], task.train.data[:, 0, 0]).any()


def test_steps_keep_every_number_in_order():
    x = torch.arange(24.0).reshape(1, 8, 3)
    assert torch.equal(_label_tasks.steps_of(x, 4), x.reshape(1, 2, 12))


@pytest.mark.parametrize("make", [matched_filter, lambda task, count: snippets_and_em(task, count, 0, rounds=1)])
def test_templates_from_few_windows_find_most_events(task, make):
    tested, validated = label_efficiency.score(task, make(task, 16))
    assert tested > 0.8 and validated > 0.8


def test_templates_do_without_a_verifier_where_there_is_nothing_to_train_it_on(task):
    empty = task.train.labels.sum(1) == 0
    assert empty.any()
    nothing = _label_tasks.Windows(*(values[empty] for values in task.train))
    found = snippets_and_em(task._replace(train=nothing), 1, 0, rounds=0)(task.test)
    assert len(found) == len(task.test.data)


@pytest.mark.parametrize("method", label_efficiency.PRETRAINED)
def test_pretraining_repeats_from_its_seed_and_its_lstm_reaches_the_classifier(task, method):
    first, measured = label_efficiency.pretrain(method, task, 0, steps=2)
    second, _ = label_efficiency.pretrain(method, task, 0, steps=2)
    assert torch.equal(first.lstm.weight_hh_l0, second.lstm.weight_hh_l0)
    assert set(measured) == {"autoencoder": {"r2"}, "contrastive": {"accuracy"}}[method]
    find = label_efficiency.fine_tune(task, 4, 0, steps=1, rate=1e-3, encoder=first)
    assert len(find(task.test)) == len(task.test.data)


@pytest.mark.parametrize("use", ["all", "frozen", "probe"])
def test_a_frozen_encoder_stays_as_it_was(task, use, monkeypatch):
    encoder, _ = label_efficiency.pretrain("autoencoder", task, 0, steps=1)
    trained = []
    monkeypatch.setattr(
        label_efficiency,
        "train",
        lambda trainer, *rest, fit=label_efficiency.train: trained.append((fit(trainer, *rest), trainer.model)),
    )
    label_efficiency.fine_tune(task, 4, 0, steps=2, rate=1e-2, encoder=encoder, use=use)
    ((_, model),) = trained
    kept = [torch.equal(a, b) for a, b in zip(encoder.lstm.parameters(), model.lstm.parameters(), strict=True)]
    assert all(kept) == (use != "all")


def test_views_have_the_ranges_of_the_validation_windows(task):
    change = label_efficiency.augmentation(task)
    assert change == TemporalAugmentation(**augmentation_ranges(*task.validation, task.template_length))
    assert change != label_efficiency.augmentation(task._replace(validation=task.validation.first(7)))


def test_a_shifted_copy_takes_its_onsets_along(task):
    change = TemporalAugmentation(0.0, (1.0, 1.0), 20, (1.0, 1.0), 0.0, 0, probability=1.0)
    dataset = label_efficiency.AugmentedWindows(task.train.first(4), change, task.step)
    for item, timings in zip((dataset[i] for i in range(4)), task.train.timings[:4], strict=True):
        assert torch.equal(item.labels > 0, ~item.timings.isnan())
        moved = item.timings.numpy() * task.step - timings
        moved = moved[~np.isnan(moved)]
        assert (np.abs(moved) <= 20).all() and (np.abs(moved - moved[:1]) < 1e-6).all()


def test_gait_windows_come_from_their_part_of_the_walk(monkeypatch):
    """The data count samples, so that a window tells where it comes from."""
    data = np.repeat(np.arange(6000.0, dtype=np.float32)[:, None], 6, axis=1)
    events = sorted(((k, float(t)) for k in (0, 1) for t in range(100 + 90 * k, 5900, 220)), key=lambda event: event[1])
    walk = GaitRecording(data, events, "left")
    monkeypatch.setattr(_label_tasks, "load_feet", lambda: {"left": walk})
    monkeypatch.setattr(_label_tasks, "_normalised", lambda *parts, **options: parts)
    train, validation, test = _label_tasks.gait(0, count=80)
    borders = [(part.data.min(), part.data.max()) for part in (train, validation, test)]
    assert borders[0][1] < borders[1][0] and borders[1][1] < borders[2][0]
    assert train.data.shape == (40, 128, 6)
    row, kind = np.argwhere(test.labels > 0)[0]
    assert (kind, test.data[row, 0, 0] + test.timings[row, kind]) in events
