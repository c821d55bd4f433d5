"""Each kind of damage is planted once and must be found, and nothing else."""

import numpy as np
import pytest

from course_lib import plots


@pytest.fixture
def noise():
    return list(0.1 * np.random.default_rng(0).standard_normal((6, 4000)).astype(np.float32))


def flagged(report, problem):
    return np.flatnonzero(report[problem]).tolist()


def test_clean_clips_have_no_problem(noise):
    report = plots.hygiene_report(noise)
    assert not report[["clipped", "partly silent", "silent", "not finite", "duplicate", "leak"]].any().any()
    assert report["peak"].tolist() == pytest.approx([np.abs(clip).max() for clip in noise])
    assert report["file"].tolist() == list(range(6))


def test_clipping_needs_three_samples(noise):
    noise[1][:2] = 1.0
    noise[2][:3] = [-1.0, 1.0, 1.02]
    report = plots.hygiene_report(noise)
    assert flagged(report, "clipped") == [2]
    assert report["clipped_share"][2] == 3 / 4000


def test_silence_whole_part_or_a_moment(noise):
    noise[0][1000:3000] = 0
    noise[1][:] = 0
    noise[2][:100] = 0  # too short to be more than a pause between two samples of a quiet passage
    report = plots.hygiene_report(noise)
    assert flagged(report, "partly silent") == [0] and flagged(report, "silent") == [1]
    assert report["silent_share"].tolist() == [0.5, 1, 0, 0, 0, 0]


def test_a_short_clip_can_be_silent():
    assert flagged(plots.hygiene_report([np.zeros(10), np.ones(10) / 2]), "silent") == [0]


def test_nan_is_found_and_spoils_no_other_measure(noise):
    noise[3][5] = np.nan
    report = plots.hygiene_report(noise)
    assert flagged(report, "not finite") == [3] and np.isfinite(report["peak"]).all()
    assert np.isnan(plots.hygiene_report([np.full(9, np.nan)])["peak"][0])


def test_duplicates_are_found_whatever_their_dtype_or_padding(noise):
    noise[4] = np.concatenate([noise[0], np.zeros(500)]).astype(np.float64)
    noise[5] = 0.5 * noise[1]  # another level is another clip
    report = plots.hygiene_report(noise, files=list("abcdef"))
    assert flagged(report, "duplicate") == [0, 4]
    assert report["copy_of"][4] == "a" and report["copy_of"].isna().sum() == 5


def test_a_source_in_two_folds_leaks(noise):
    folds, groups = [1, 1, 2, 2, 1, 2], ["p", "p", "p", "q", None, None]
    report = plots.hygiene_report(noise, folds=folds, groups=groups)
    assert flagged(report, "leak") == [0, 1, 2]
    assert flagged(plots.hygiene_report(noise, folds=folds), "leak") == []
    assert flagged(plots.hygiene_report(noise, groups=groups), "leak") == []


def test_a_copy_in_another_fold_leaks_without_groups(noise):
    noise[5] = noise[0]
    assert flagged(plots.hygiene_report(noise, folds=[1, 1, 1, 2, 2, 2]), "leak") == [0, 5]


def test_unknown_groups_never_leak(noise):
    report = plots.hygiene_report(noise, folds=[1, 2] * 3, groups=[""] * 6)
    assert flagged(report, "leak") == []


def test_table_has_what_is_known_of_each_clip(noise):
    report = plots.hygiene_report(noise, [0, 0, 1, 1, 2, 2], [1, 2] * 3, list("ppqqrr"), list("abcdef"))
    assert report[["file", "label", "fold", "group"]].iloc[3].tolist() == ["d", 1, 2, "q"]


def test_counts_are_written_in_the_figure(noise):
    noise[0][:] = 0
    noise[5] = noise[4]
    ax = plots.hygiene_counts(plots.hygiene_report(noise, [0, 0, 1, 1, 1, 1]), classes=["first", "second", "none"])
    columns = [tick.get_text() for tick in ax.get_xticklabels()]
    written = np.array([int(text.get_text()) for text in ax.texts]).reshape(3, len(columns))
    assert written[:, columns.index("silent")].tolist() == [1, 0, 0]
    assert written[:, columns.index("duplicate")].tolist() == [0, 2, 0]
    assert written.sum() == 3
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["first", "second", "none"]


def test_wrong_input_is_named(noise):
    with pytest.raises(ValueError, match="groups: expected one value for each of 6 clips"):
        plots.hygiene_report(noise, groups=["a"])
    with pytest.raises(ValueError, match="report: expected a table from hygiene_report"):
        plots.hygiene_counts(plots.audio_features(noise, 8000))
