"""The reader of gait recordings, on a small generated folder of that form, and on the real one where it is there."""

import numpy as np
import pandas as pd
import pytest

from course_lib.data import DataError, load_gait_events
from course_lib.paths import PROJECT_ROOT

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
