"""Learning templates and finding events with them: what labels, unlabelled windows and the verifier are good for."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_lib.data import event_templates, make_event_stream, make_events
from course_lib.events import (
    LiveDetector,
    best_threshold,
    detect_events_from_sequence,
    event_scores,
    violations,
    whitening_filter,
    window_events,
)
from course_lib.models import (
    EventTemplateBank,
    TemplateDetector,
    expectation_maximisation,
    fill_from_snippets,
    noise_filter,
)
from course_lib.models.template_detector import FEATURES, candidate_targets
from course_lib.models.template_learning import snippets
from course_lib.training.checkpoint import CheckpointError, load_weights, save, weights_of

TYPES = 4


def drawn(count, seed, length=1000, **options):
    return make_events(count, length, TYPES, seed=seed, event_rate=4.0, **options)


def true_kernels():
    true = event_templates(TYPES, 6)
    return torch.tensor(true.render(np.arange(TYPES), np.broadcast_to(np.arange(-12, 92.0), (TYPES, 104))))


def agreement(bank):
    return F.cosine_similarity(bank.kernels().detach().flatten(1), true_kernels().flatten(1)).mean().item()


@pytest.fixture(scope="module")
def detector():
    labelled = drawn(40, 1)
    bank = EventTemplateBank(TYPES)
    fill_from_snippets(bank, *labelled)
    model = TemplateDetector(bank, noise_filter(bank, labelled[0]))
    return model.fit_verifier(model.propose(labelled[0]), window_events(*labelled[1:]))


def test_snippets_read_between_samples_and_undo_warps():
    t = np.arange(400.0)
    data = np.sin(0.2 * t)[None, :, None].astype(np.float32)
    cut = snippets(data, np.array([0]), np.array([150.25]), 80)[0, 0]
    np.testing.assert_allclose(cut, np.sin(0.2 * (150.25 + np.arange(-12, 92))), atol=5e-3)
    cut = snippets(data, np.array([0]), np.array([150.0]), 80, np.array([[3.0]]), np.array([1.1]))[0, 0]
    np.testing.assert_allclose(cut, np.sin(0.2 * (153.0 + 1.1 * (np.arange(-12, 92) - 3.0))), atol=5e-3)


def test_unlabelled_windows_improve_the_templates_of_few_labels():
    labelled, unlabelled = drawn(8, 5), drawn(40, 6)[0]
    bank = EventTemplateBank(TYPES)
    fill_from_snippets(bank, *labelled)
    before = agreement(bank)
    expectation_maximisation(bank, np.concatenate([labelled[0], unlabelled]), rounds=2, anchors=labelled)
    assert agreement(bank) > before + 0.03


def test_finds_events_of_new_windows(detector):
    validation, test = drawn(20, 2), drawn(40, 3)
    threshold = best_threshold(window_events(*validation[1:]), detector.detect(validation[0]), 5, 2000)
    found = [events.above(threshold) for events in detector.detect(test[0])]
    scores = event_scores(window_events(*test[1:]), found, 5, 2000)
    assert scores.f1 > 0.93 and scores.median_error_ms < 0.5


def test_finds_the_events_of_a_stream_without_breaking_the_refractory_period(detector):
    stream, events = make_event_stream(8, TYPES, seed=4, event_rate=1.5)
    result = detect_events_from_sequence(detector, stream, threshold=0.5)
    found = list(zip(result["detected_events"], result["event_timings"], strict=True))
    assert violations(found) == 0
    assert event_scores([events], [found], 5, 2000).f1 > 0.85


def test_frame_scores_hold_what_detect_finds(detector):
    x = torch.tensor(drawn(2, 7, length=500)[0])
    scores, offsets = detector.frame_scores(x, torch.tensor([500, 333]))
    (alone,) = detector.detect([x[1, :333].numpy()])
    frames, kinds = np.nonzero(scores[1].numpy())
    assert frames.max(initial=0) <= 33
    times = frames * 10 + offsets[1].numpy()[frames, kinds]
    for kind, time, _ in alone.above(0.2):
        assert np.abs(times[kinds == kind] - time).min() < 0.01


def test_chunks_of_any_size_give_the_same_events(detector):
    stream, _ = make_event_stream(7, TYPES, seed=6, event_rate=1.5)
    runs = []
    for size in (len(stream), 4000, 777):
        live = LiveDetector(detector, 0.5)
        found = [event for at in range(0, len(stream), size) for event in live.push(stream[at : at + size])]
        runs.append(found + list(live.flush()))
    assert runs[0] == runs[1] == runs[2] and len(runs[0]) > 5


def test_a_loaded_detector_finds_what_the_saved_one_found(detector, tmp_path):
    save(tmp_path / "best.safetensors", {"weights": weights_of(detector)})
    loaded = TemplateDetector(EventTemplateBank(TYPES), np.eye(17)[0])
    load_weights(loaded, tmp_path / "best.safetensors")
    data = drawn(3, 10)[0]
    found = [list(events) for events in detector.detect(data)]
    assert found == [list(events) for events in loaded.detect(data)] and any(found)


@pytest.mark.parametrize("damage", ["cut short", "changed", "a pickle", "of another size"])
def test_damaged_files_are_refused(detector, damage, tmp_path):
    file = tmp_path / "best.safetensors"
    save(file, {"weights": weights_of(detector)})
    content = bytearray(file.read_bytes())
    if damage == "cut short":
        file.write_bytes(content[:-100])
    elif damage == "changed":
        content[-7] ^= 1
        file.write_bytes(content)
    elif damage == "a pickle":
        torch.save(detector.state_dict(), file)
    types = 3 if damage == "of another size" else TYPES
    with pytest.raises(CheckpointError):
        load_weights(TemplateDetector(EventTemplateBank(types), np.eye(17)[0]), file)


def test_a_dead_channel_costs_some_events_and_breaks_nothing(detector):
    data, labels, timings = drawn(20, 11)
    whole = [events.above(0.5) for events in detector.detect(data)]
    data[:, :, 2] = 0
    found = [events.above(0.5) for events in detector.detect(data)]
    truths = window_events(labels, timings)
    assert 0.3 < event_scores(truths, found, 5, 2000).f1 <= event_scores(truths, whole, 5, 2000).f1
    assert all(np.isfinite(events.scores).all() for events in found)


def test_bursts_of_no_type_are_refused(detector):
    data = make_events(30, 1000, TYPES, seed=8, event_rate=0.0, distractor_rate=4.0)[0]
    proposed = sum(len(found.detections().above(0.5)) for found in detector.propose(data))
    verified = sum(len(found.above(0.5)) for found in detector.detect(data))
    assert verified < 0.5 * proposed


def test_candidates_are_matched_one_to_one_best_gain_first(detector):
    found = max(detector.propose(drawn(4, 9)[0]), key=len)
    assert detector.features(found).shape == (len(found), len(FEATURES))
    kind, time = int(found.types[0]), float(found.times[0])
    targets = candidate_targets(found, [(kind, time + 5), ((kind + 1) % TYPES, time), (kind, time + 500)])
    assert targets[0] and targets.sum() == 1


def test_nothing_in_nothing(detector):
    assert len(detector.detect([np.zeros((200, 6), np.float32)])[0]) == 0
    scores, _ = detector.frame_scores(torch.zeros(1, 7, 6))
    assert scores.shape == (1, 1, TYPES) and scores.max() == 0


def test_refuses_what_does_not_fit(detector):
    for shape in [(1, 50, 5), (1, 50, 7), (1, 6, 50)]:
        with pytest.raises(ValueError, match="x: expected"):
            detector.frame_scores(torch.zeros(shape))
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            detector.detect([np.full((200, 6), value, np.float32)])
    (found,) = detector.propose([np.zeros((200, 6), np.float32)])
    with pytest.raises(ValueError, match="right and wrong candidates"):
        detector.fit_verifier([found], [[]])


def dense(width, noise, lead):
    """Windows (N, T, C) = (12, 1500, 2) full of bumps in white noise, marked `lead` samples before they are highest."""
    rng, clock, onsets = np.random.default_rng(0), np.arange(1500), []
    data = noise * rng.standard_normal((12, 1500, 2))
    for window in data:
        times = np.cumsum(rng.uniform(90, 130, 20))
        times = times[times < 1380]
        for time in times:
            window += rng.uniform(0.8, 1.2) * np.exp(-(((clock - time - lead) / width) ** 2))[:, None] * [1, -0.6]
        onsets.append([(0, time) for time in times])
    bank = EventTemplateBank(1, 2, 80)  # from the second bump of each window
    fill_from_snippets(bank, data, np.ones((12, 1)), np.array([[events[1][1]] for events in onsets]))
    return data.astype(np.float32), onsets, bank


def share_found(bank, taps, data, onsets):
    found = TemplateDetector(bank, taps).pursuit(list(data), 15.0)
    return sum(candidate_targets(f, e).sum() for f, e in zip(found, onsets, strict=True)) / sum(map(len, onsets))


def test_dense_events_are_not_taken_for_noise():
    data, onsets, bank = dense(width=20, noise=0.3, lead=40)
    assert share_found(bank, whitening_filter(data), data, onsets) < 0.2  # what there is to mend
    taps = noise_filter(bank, data)
    assert share_found(bank, taps, data, onsets) > 0.98
    assert (
        taps[0] == pytest.approx(1 / 0.3, rel=0.05) and np.abs(taps[1:]).max() < 0.2 * taps[0]
    )  # white, as it was made


def test_templates_that_are_cut_at_the_mark_are_said_and_still_used():
    """Marked at its peak, a bump's template begins with a jump that no whitened bump has."""
    data, onsets, bank = dense(width=12, noise=0.03, lead=0)
    assert share_found(bank, whitening_filter(data), data, onsets) == 0
    with pytest.warns(UserWarning, match="cut at the mark"):
        taps = noise_filter(bank, data)
    assert taps[0] == pytest.approx(1 / data.std(), rel=1e-3) and not taps[1:].any()
    assert share_found(bank, taps, data, onsets) > 0.98
