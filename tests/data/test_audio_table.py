"""Recordings listed in a table, flat folders, groups from names, a chosen channel."""

import numpy as np
import pytest
import soundfile

from course_lib.data import DataError, load_audio_folder, load_audio_table

RATE = 8000
OPTIONS = {"sample_rate": RATE, "duration": 0.1, "cache": False, "progress": False}


def tone(hertz, seconds=0.1):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "audio").mkdir()
    for i in range(4):
        soundfile.write(tmp_path / "audio" / f"s{i // 2}_{i}.wav", tone(200 + 100 * i), RATE)
    rows = [f"audio/s{i // 2}_{i}.wav,{'ab'[i % 2]},s{i // 2},{i + 1}" for i in range(4)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,speaker,fold", *rows, ""]))
    return tmp_path


def test_labels_groups_and_folds_come_from_the_table(folder):
    data = load_audio_table(folder / "labels.csv", group="speaker", split="fold", **OPTIONS)
    assert data.signals.shape == (4, 1, 800) and data.classes == ("a", "b") and data.labels.tolist() == [0, 1, 0, 1]
    assert data.groups.tolist() == ["s0", "s0", "s1", "s1"] and data.folds.tolist() == [1, 2, 3, 4]


def test_rows_that_cannot_be_used_are_reported(folder):
    soundfile.write(folder / "audio" / "nobody.wav", tone(900), RATE)
    with open(folder / "labels.csv", "a") as table:
        table.write("audio/none.wav,a,s9,1\naudio/s0_0.wav,b,s0,1\naudio/s1_3.wav,,s1,1\n,a,s0,1\n")
        table.write("audio/nobody.wav,a,,1\n")
    assert len(load_audio_table(folder / "labels.csv", **OPTIONS)) == 5
    data = load_audio_table(folder / "labels.csv", group="speaker", **OPTIONS)
    assert len(data) == 4 and "" not in data.groups
    reasons = {problem.file: problem.reason for problem in data.report}
    assert "unreadable" in reasons["audio/none.wav"] or "no such file" in reasons["audio/none.wav"].lower()
    assert "lists it again" in reasons["audio/s0_0.wav"] and "has no label" in reasons["audio/s1_3.wav"]
    assert "has no group" in reasons["audio/nobody.wav"]
    assert any("has no file" in reason for reason in reasons.values())


def test_a_cell_may_name_several_labels(folder):
    """Blanks around them and repeated ones do not matter; an empty cell is a clip of none."""
    text = (folder / "labels.csv").read_text()
    for old, new in ((",a,s0", ",rain | wind,s0"), (",b,s0", ",wind|wind,s0"), (",a,s1", ",,s1")):
        text = text.replace(old, new)
    (folder / "labels.csv").write_text(text)
    data = load_audio_table(folder / "labels.csv", several="|", **OPTIONS)
    assert data.classes == ("b", "rain", "wind")
    assert data.labels.tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 0], [1, 0, 0]]
    (folder / "labels.csv").write_text("file,label\naudio/s0_0.wav,\n")
    with pytest.raises(DataError, match="several: expected a label in some row"):
        load_audio_table(folder / "labels.csv", several="|", **OPTIONS)


def test_a_changed_label_is_not_taken_from_the_cache(folder, monkeypatch, tmp_path):
    options = OPTIONS | {"cache": True}
    assert load_audio_table(folder / "labels.csv", **options).classes == ("a", "b")
    text = (folder / "labels.csv").read_text().replace(",b,", ",c,")
    (folder / "labels.csv").write_text(text)
    assert load_audio_table(folder / "labels.csv", **options).classes == ("a", "c")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"file": "path"}, "file: expected one of file, label, speaker, fold, got 'path'"),
        ({"label": "class"}, "label: expected one of"),
        ({"group": "who"}, "group: expected one of"),
        ({"split": "speaker"}, "split: expected whole numbers"),
        ({"sep": ";"}, "is sep=';' right"),
        ({"several": ""}, "several: expected what separates labels"),
        ({"channel": -1}, "channel: expected a number from 0 on"),
        ({"channel": "left"}, "channel: expected"),
        ({"on_error": "stop"}, "on_error: expected"),
        ({"sample_rate": 0}, "sample_rate: expected"),
        ({"duration": 0}, "duration: expected"),
        ({"channel": 1}, "none of 4 files can be used"),
    ],
)
def test_bad_arguments_are_named(folder, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_audio_table(folder / "labels.csv", **OPTIONS | options)


@pytest.mark.parametrize("text", ["file,label\n", "file,label\n,a\n", "", '"file,label\n1,'])
def test_a_table_without_rows_is_named(folder, text):
    (folder / "labels.csv").write_text(text)
    with pytest.raises(DataError, match="labels.csv"):
        load_audio_table(folder / "labels.csv", **OPTIONS)


def test_a_table_beside_one_folder_is_no_class(folder):
    with pytest.raises(DataError, match=r'load_audio_table\("labels.csv"'):
        load_audio_folder(folder, **OPTIONS)


def test_a_flat_folder_has_no_labels_but_may_have_groups(folder):
    data = load_audio_folder(folder / "audio", labelled=False, group=r"s(\d)_", **OPTIONS)
    assert data.labels.tolist() == [-1] * 4 and data.classes == () and data.groups.tolist() == ["0", "0", "1", "1"]
    with pytest.raises(ValueError, match="group: 'x' finds nothing in the name of s0_0.wav"):
        load_audio_folder(folder / "audio", labelled=False, group="x", **OPTIONS)
    with pytest.raises(ValueError, match="group: expected a regular expression"):
        load_audio_folder(folder / "audio", labelled=False, group="(", **OPTIONS)
    with pytest.raises(DataError, match="found none"):
        load_audio_folder(folder, labelled=False, **OPTIONS)


def test_a_channel_can_be_chosen_and_opposite_phases_are_not_silence(tmp_path):
    (tmp_path / "a").mkdir()
    left, right = tone(200), tone(300)
    soundfile.write(tmp_path / "a" / "both.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "a" / "opposite.wav", np.stack([left, -left], 1), RATE, subtype="FLOAT")
    chosen = load_audio_folder(tmp_path, channel=1, **OPTIONS)
    np.testing.assert_allclose(chosen.signals[0, 0], right, atol=1e-6)
    mixed = load_audio_folder(tmp_path, **OPTIONS)
    assert mixed.files == ("a/both.wav", "a/opposite.wav") and not mixed.report
    np.testing.assert_allclose(mixed.signals[0, 0], (left + right) / 2, atol=1e-6)
    np.testing.assert_allclose(mixed.signals[1, 0], left, atol=1e-6)
