"""`python -m course_lib audio`: a report on generated recordings whose speakers leak, and predictions of its model."""

import re

import numpy as np
import pandas as pd
import pytest
import soundfile

from course_lib.__main__ import main
from course_lib.estimator import AudioClassifier

RATE = 4000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four words by four speakers. The words are the same tones for all; each speaker says each three times."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    rng = np.random.default_rng(0)
    clock = np.arange(2000) / RATE
    rows = []
    for speaker in range(4):
        for word, hertz in (("low & slow", 300), ("<high>", 800)):
            for take in range(3):
                sound = 0.3 * np.sin(2 * np.pi * hertz * rng.uniform(0.95, 1.05) * clock)
                name = f"{word[1:4]}_{speaker}_{take}.wav"
                sound = sound + 0.01 * rng.standard_normal(2000)
                soundfile.write(tmp_path / name, sound[: 1500 if speaker + take == 0 and hertz == 300 else None], RATE)
                rows.append({"file": name, "label": word, "who": f"s{speaker}"})
    pd.DataFrame([*rows, {"file": "gone.wav", "label": "<high>", "who": "s0"}]).to_csv(tmp_path / "t.csv", index=False)
    return tmp_path


OPTIONS = ["--rate", str(RATE), "--duration", "0.5", "--epochs", "3", "--folds", "2"]


def test_a_report_and_then_predictions(folder, capsys):
    out = folder / "report"
    assert main(["audio", str(folder / "t.csv"), "--group", "who", "--out", str(out), *OPTIONS]) == 0
    assert {"report.html", "model.safetensors", "scores.csv", "predictions.csv", "files.csv"} == {
        file.name for file in out.iterdir()
    }
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "&lt;high&gt;" in page and "<high>" not in page and "gone.wav" in page and "Believe" in page
    pictures = re.findall(r"<img [^>]*>", page)
    assert len(pictures) >= 5 and all(re.search(r'alt="[^"]{30,}"', picture) for picture in pictures)
    files = pd.read_csv(out / "files.csv").set_index("file")  # all clips are 0.5 s but one
    assert "short and followed by zeros" in page and files["length"].dropna().to_dict() == {"ow _0_0.wav": "short"}
    scores = pd.read_csv(out / "scores.csv")
    assert scores.groupby(["model", "split"]).size().tolist() == [2, 2, 2, 2]
    predictions = pd.read_csv(out / "predictions.csv")
    who = pd.read_csv(folder / "t.csv").set_index("file")["who"]
    assert len(predictions) == 24
    assert (predictions.groupby(predictions["file"].map(who))["fold"].nunique() == 1).all()  # no speaker is divided

    capsys.readouterr()
    files = [str(folder / "ow _0_0.wav"), str(folder / "gone.wav")]
    assert main(["audio", "predict", str(out / "model.safetensors"), *files]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "file,label,probability,problem" and "unreadable" in shown[2]
    assert main(["audio", "predict", str(out / "model.safetensors"), files[0], "--out", str(folder / "p.csv")]) == 0
    assert pd.read_csv(folder / "p.csv")["label"].isin(["low & slow", "<high>"]).all()


def test_long_recordings_come_in_windows_and_the_score_to_believe_is_that_by_recording(folder, recwarn):
    """Eight recordings of a few seconds: each window says where it begins, each recording counts once."""
    rng, out = np.random.default_rng(0), folder / "out"
    for i in range(8):
        clock = np.arange(round(RATE * rng.uniform(1.6, 2.9))) / RATE
        sound = 0.3 * np.sin(2 * np.pi * (300, 340)[i % 2] * rng.uniform(0.9, 1.1) * clock)
        name = folder / "räume & töne" / ("an", "aus <0>")[i % 2] / f"tag {i // 2} é.wav"
        name.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(name, sound + 0.05 * rng.standard_normal(len(clock)), RATE)
    soundfile.write(name.parent / "leer.wav", np.zeros(0), RATE)
    assert main(["audio", str(folder / "räume & töne"), "--window", "0.5", "--out", str(out), *OPTIONS]) == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "the split by file: no recording has windows in training and test" in page and "give --group" in page
    assert "accuracy of whole recordings" in page and "leer.wav" in page and 'alt="8 clips, 2.' in page
    predictions = pd.read_csv(out / "predictions.csv")
    assert (predictions.groupby("file")["fold"].nunique() == 1).all() and predictions["file"].nunique() == 8
    for _, own in predictions.groupby("file"):
        np.testing.assert_allclose(own["second"], 0.5 * np.arange(len(own)))
    assert not [warning for warning in recwarn if "groups" in str(warning.message)]


def test_an_interrupted_report_goes_on_where_it_was(folder, monkeypatch):
    out, fits, fit = folder / "report", [], AudioClassifier.fit

    def counted(self, X, y, groups=None):
        fits.append(len(y))
        if len(fits) == 3:
            raise KeyboardInterrupt
        return fit(self, X, y, groups)

    monkeypatch.setattr(AudioClassifier, "fit", counted)
    arguments = ["audio", str(folder / "t.csv"), "--group", "who", "--out", str(out), *OPTIONS]
    assert main(arguments) == 130
    assert not (out / "report.html").exists()
    assert main(arguments) == 0
    assert len(fits) == 3 + 2 + 1  # two folds at random and the model for use; the two by group are kept
    assert not (out / "folds").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.csv"], 1, "no such file"),
        (["t.csv", "--group", "speaker"], 1, "group: expected one of file, label, who, got 'speaker'"),
        (["t.csv", "--group", "who", "--folds", "9"], 1, "folds: expected at most 4, the number of groups"),
        (["t.csv", "--folds", "40"], 1, "folds: expected at most 12, the clips of the rarest class"),
        (["t.csv", "t.csv"], 2, "expected one folder or table"),
        (["predict", "model.safetensors"], 2, "at least one file"),
        (["predict", "t.csv", "a.wav"], 1, "damaged, cut short or no saved estimator"),
    ],
)
def test_what_does_not_work_is_said(folder, capsys, monkeypatch, arguments, code, said):
    monkeypatch.chdir(folder)
    options = [] if arguments[0] == "predict" else OPTIONS[:4]
    assert main(["audio", *arguments, *options]) == code
    assert said in capsys.readouterr().err
