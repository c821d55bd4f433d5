import hashlib
import os
import socket
from pathlib import Path

import pytest

from course_lib import paths
from course_lib.data import catalogue, fetch, list_datasets, load_audio, verify


def test_catalogue_where_nothing_is_on_disk(nothing_on_disk):
    sets = {info.name: info for info in list_datasets()}
    assert {"esc10", "synthetic", "aeon", "gait"} <= set(sets)
    assert sets["esc10"].status == sets["gait"].status == "absent"
    assert sets["synthetic"].status == sets["aeon"].status == "ready"
    for info in sets.values():
        assert info.description and info.licence and info.how_to_get


def test_absent_sets_cannot_be_verified(nothing_on_disk):
    for name in ("esc10", "gait"):
        with pytest.raises(FileNotFoundError, match=name):
            verify(name)


def test_sets_that_come_with_the_course_verify():
    assert verify("synthetic") == [] and verify("aeon") == []


def test_gait_is_found_and_checked(nothing_on_disk, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    (tmp_path / "gait").mkdir()
    digests = {}
    for name in ("imu_sample.csv", "stride_events_sample.csv", "stride_borders_sample.csv"):
        (tmp_path / "gait" / name).write_text(name)
        digests[name] = hashlib.sha256(name.encode()).hexdigest()
    lines = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    (tmp_path / "gait.sha256").write_text(lines)
    monkeypatch.setattr(catalogue, "GAIT_MANIFEST", tmp_path / "gait.sha256")
    assert verify("gait") == []
    (tmp_path / "gait" / "stride_borders_sample.csv").write_text("changed")
    assert [problem.file for problem in verify("gait")] == ["stride_borders_sample.csv"]
    assert next(info for info in list_datasets() if info.name == "gait").status == "ready"


def test_real_gait_set_verifies(monkeypatch):
    root = os.environ.get("COURSE_DATA") or paths.PROJECT_ROOT.parent / "shared" / "data"
    if not (Path(root) / "gait").is_dir():
        pytest.skip("the gait set is not on disk")
    monkeypatch.setenv("COURSE_DATA", str(root))
    assert verify("gait") == []


def test_unknown_names_list_the_known_ones():
    for call in (fetch, verify):
        with pytest.raises(ValueError, match="expected one of esc10, synthetic"):
            call("esc11")


def test_what_is_not_fetched_says_how_it_comes(nothing_on_disk):
    with pytest.raises(ValueError, match="gaitmap"):
        fetch("gait")


def test_fetch_of_a_present_set_needs_no_network(nothing_on_disk, tmp_path, monkeypatch):
    (tmp_path / "esc10" / "001 - Dog bark").mkdir(parents=True)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setattr(socket, "socket", None)
    assert fetch("esc10") == tmp_path / "esc10"


def test_load_audio_takes_generated_sound_and_says_so(nothing_on_disk, capsys):
    data = load_audio(sample_rate=44_100, duration=0.1)
    said = capsys.readouterr().out
    assert data.name == "synthetic soundscape" and len(data) == 400
    assert said.count("\n") == 1 and "generated" in said and "data fetch esc10" in said
    load_audio(sample_rate=44_100, duration=0.1, verbose=False)
    assert capsys.readouterr().out == ""


def test_load_audio_takes_the_real_set_where_it_is(nothing_on_disk, esc10_root, real_cache, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_DATA", str(esc10_root))
    data = load_audio(sample_rate=44_100)
    said = capsys.readouterr().out
    assert data.name == "ESC-10" and data.signals.shape == (400, 1, 220_500)
    assert said.count("\n") == 1 and "real recordings" in said and "synthetic_soundscape" in said


def test_load_audio_does_not_hide_a_damaged_set(nothing_on_disk, tmp_path, monkeypatch):
    (tmp_path / "esc10" / "001 - Dog bark").mkdir(parents=True)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="400 files are missing"):
        load_audio(verbose=False)
