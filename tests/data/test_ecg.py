"""The ECG: fetched from a server of the test's own, checked, and read where the real one is on disk."""

import functools
import hashlib
import http.server
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from course_lib import paths
from course_lib.data import DataError, catalogue, fetch_ecg, load_ecg, make_beat_train

FILES = {f"100.{ending}": f"what is in .{ending}".encode() * 50 for ending in ("hea", "dat", "atr")}


@pytest.fixture
def server(tmp_path):
    """Serves FILES, and a manifest of them."""
    (tmp_path / "served").mkdir()
    for name, content in FILES.items():
        (tmp_path / "served" / name).write_bytes(content)
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in FILES.items()]
    (tmp_path / "ecg.sha256").write_text("".join(lines))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", tmp_path / "ecg.sha256", tmp_path / "served"
        running.shutdown()
        thread.join()


def test_generated_beats_differ_by_their_rhythm_alone():
    beats = make_beat_train(600, seed=3)
    assert beats.name == "generated beats" and beats.data.shape == (216_000, 2) and beats.counts["A"] >= 3
    times = np.array([time for _, time in beats.events])
    early = np.array([kind == "A" for kind, _ in beats.events])
    ratio = np.diff(times) / 0.8
    assert ratio[early[1:]].max() < 0.88 < 0.9 < ratio[~early[1:]].min()
    shapes = [[beats.data[round(t * 360) - 20 : round(t * 360) + 20] for t in times[early == one]] for one in (0, 1)]
    assert np.abs(np.mean(shapes[0], 0) - np.mean(shapes[1], 0)).max() < 0.25 < np.abs(np.mean(shapes[0], 0)).max()
    again = make_beat_train(600, seed=3)
    assert again.events == beats.events and np.array_equal(again.data, beats.data)
    assert make_beat_train(600, seed=4).events != beats.events
    assert make_beat_train(60, sample_rate=250.0).data.shape == (15_000, 2)


def test_fetched_once_and_checked(server, tmp_path):
    url, manifest, served = server
    folder = fetch_ecg(tmp_path / "data" / "ecg", url, manifest)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == FILES
    (served / "100.dat").unlink()
    assert fetch_ecg(folder, url, manifest) == folder
    (folder / "100.dat").write_bytes(b"other")
    with pytest.raises(FileExistsError, match="100.dat: changed"):
        fetch_ecg(folder, url, manifest)


def test_what_is_not_the_record_is_not_kept(server, tmp_path):
    url, manifest, served = server
    (served / "100.dat").write_bytes(b"other")
    with pytest.raises(DataError, match="100.dat is not what it was; nothing was kept"):
        fetch_ecg(tmp_path / "data" / "ecg", url, manifest)
    (served / "100.dat").unlink()
    with pytest.raises(ConnectionError, match="could not download .*100.dat"):
        fetch_ecg(tmp_path / "data" / "ecg", url, manifest)
    assert not list((tmp_path / "data").iterdir())


def test_absent(nothing_on_disk, tmp_path):
    assert next(info for info in catalogue.list_datasets() if info.name == "ecg").status == "absent"
    with pytest.raises(FileNotFoundError, match="data fetch ecg"):
        load_ecg()
    with pytest.raises(FileNotFoundError, match="record 100 was not found"):
        load_ecg(tmp_path)


@pytest.fixture
def ecg():
    roots = [os.environ.get("COURSE_DATA"), paths.PROJECT_ROOT / "data", paths.PROJECT_ROOT.parent / "shared" / "data"]
    found = [Path(root) / "ecg" for root in filter(None, roots) if (Path(root) / "ecg" / "100.hea").is_file()]
    return found[0] if found else pytest.skip("the ECG is not on disk (python -m course_lib data fetch ecg)")


def test_the_real_one_has_its_beats(ecg, tmp_path, monkeypatch):
    record = load_ecg(ecg)
    assert record.data.shape == (650_000, 2) and record.sample_rate == 360
    assert record.counts == {"N": 2239, "A": 33, "V": 1}
    monkeypatch.setenv("COURSE_DATA", str(ecg.parent))
    assert catalogue.verify("ecg") == []
    for name in ("100.hea", "100.atr"):
        (tmp_path / name).write_bytes((ecg / name).read_bytes())
    (tmp_path / "100.dat").write_bytes((ecg / "100.dat").read_bytes()[:1000])
    with pytest.raises(DataError, match="not a whole record"):
        load_ecg(tmp_path)
