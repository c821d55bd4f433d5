"""Real events: an ECG fetched, read and made up; a walk of two feet."""

import functools
import hashlib
import http.server
import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from course_lib import paths
from course_lib.data import DataError, catalogue, fetch_ecg, load_ecg, load_gait_events, make_beat_train
from course_lib.paths import PROJECT_ROOT

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


AXES = ["acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"]
REAL = PROJECT_ROOT.parent / "shared" / "data" / "gait"


@pytest.fixture
def folder(tmp_path):
    """300 samples of two feet; the left has two strides that share a contact."""
    columns = pd.MultiIndex.from_product([AXES, ["left_sensor", "right_sensor"]]).swaplevel()
    columns.names = ["sensor", "axis"]
    values = np.random.default_rng(0).normal(size=(300, 12))
    pd.DataFrame(values, columns=columns).to_csv(tmp_path / "imu_sample.csv")
    strides = {"s_id": [0, 1, 0], "foot": ["left", "left", "right"], "ic": [100.0, 180.0, 150.0]}
    strides |= {"tc": [70.0, 150.0, 120.0], "pre_ic": [20.0, 100.0, 60.0]}
    pd.DataFrame(strides).to_csv(tmp_path / "stride_events_sample.csv", index=False)
    return tmp_path


def test_both_feet_with_their_events_in_time_order(folder):
    feet = load_gait_events(folder)
    assert set(feet) == {"left", "right"}
    left = feet["left"]
    assert left.data.shape == (300, 6) and left.data.dtype == np.float32 and left.sample_rate == 204.8
    assert left.events == [(0, 20.0), (1, 70.0), (0, 100.0), (1, 150.0), (0, 180.0)]
    table = pd.read_csv(folder / "imu_sample.csv", header=[0, 1], index_col=0)
    np.testing.assert_allclose(left.data[:, 3], table[("left_sensor", "gyr_x")], rtol=1e-6)


def test_a_part_has_its_own_clock(folder):
    part = load_gait_events(folder)["left"].part(90, 160)
    assert part.data.shape == (70, 6)
    assert part.events == [(0, 10.0), (1, 60.0)]


def _rewrite(file, change):
    file.write_text(change(file.read_text()))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("imu_sample.csv", lambda text: "", "imu_sample.csv"),
        ("imu_sample.csv", lambda text: text.replace("left_sensor", "left_shoe"), "missing"),
        ("imu_sample.csv", lambda text: text.replace("\n5,", "\n5,nan,"), "imu_sample.csv"),
        ("stride_events_sample.csv", lambda text: text.replace("foot", "leg"), "foot"),
        ("stride_events_sample.csv", lambda text: text.replace("180.0", "400.0"), "from 0 to 299"),
    ],
)
def test_a_damaged_file_is_named(folder, file, change, message):
    _rewrite(folder / file, change)
    with pytest.raises(DataError, match=message):
        load_gait_events(folder)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_tables_that_begin_with_a_byte_order_mark(folder, encoding):
    expected = load_gait_events(folder)["left"]
    for file in folder.glob("*.csv"):
        file.write_text(file.read_text(), encoding=encoding)
    found = load_gait_events(folder)["left"]
    np.testing.assert_array_equal(found.data, expected.data)
    assert found.events == expected.events


@pytest.mark.parametrize("name", ["imu_sample.csv", "stride_events_sample.csv"])
@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.decode().encode("utf-16-le"),  # no mark
        lambda raw: raw.replace(b",", b";"),
        lambda raw: raw[:100] + b"\xe9\xff" + raw[100:],
        lambda raw: bytes(range(256)) * 4,
        lambda raw: b"\xff\xfe" + raw[:101],
        lambda raw: b"",
        lambda raw: raw.replace(b".", b"x"),
    ],
)
def test_what_is_no_such_table_is_a_data_error(folder, name, change):
    file = folder / name
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataError, match=name):
        load_gait_events(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_gait_events(tmp_path / "nowhere")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings are not here")
def test_the_real_recordings():
    feet = load_gait_events(REAL)
    assert [len(feet[foot].data) for foot in ("left", "right")] == [7928, 7928]
    assert sum(len(recording.events) for recording in feet.values()) > 110
