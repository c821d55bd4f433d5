"""Recorded tables: complete rows, replaced where they stand, never with a host name."""

import multiprocessing
import platform
import re

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.course.experiments import results
from course_lib.training import compare, device_label


def test_rows_come_back_with_device_date_and_command(tmp_path):
    rows = [
        {"measure": "accuracy", "value": 0.905, "std": 0.036, "seeds": 3, "seconds": 107.0},
        {"measure": "human", "value": 0.957, "device": "people"},
    ]
    path = results.record("esc10", rows, "python -m course_lib measure esc10", folder=tmp_path)
    assert path == tmp_path / "esc10.csv"
    table = results.read("esc10", folder=tmp_path)
    assert list(table) == "measure value std standard_error seeds seconds device date command code data".split()
    first, second = table.to_dict("records")
    assert (first["value"], first["std"], first["seeds"], first["seconds"]) == (0.905, 0.036, 3, 107.0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", first["date"]) and first["command"] == "python -m course_lib measure esc10"
    assert first["device"] == device_label() and second["device"] == "people"
    assert pd.isna(second["std"]) and pd.isna(second["seeds"])
    assert "3," in path.read_text() and "3.0," not in path.read_text().replace("0.036", "")  # whole numbers stay whole


def test_a_measure_recorded_again_takes_its_old_place(tmp_path):
    results.record("t", [{"measure": name, "value": 1} for name in "abc"], "first", folder=tmp_path)
    results.record("t", [{"measure": "d", "value": 2}, {"measure": "b", "value": 2}], "second", folder=tmp_path)
    table = results.read("t", folder=tmp_path)
    assert list(table.measure) == list("abcd") and list(table.value) == [1, 2, 1, 2]
    assert list(table.command) == ["first", "second", "first", "second"]


def test_what_is_not_known_is_left_empty(tmp_path):
    path = results.record("t", [{"measure": "a", "value": 1, "std": float("nan"), "seeds": None}], "c", folder=tmp_path)
    assert path.read_text().splitlines()[1].startswith("a,1,,,,,")
    assert pd.isna(results.read("t", folder=tmp_path)["std"].item())


def test_the_file_does_not_change_where_nothing_does(tmp_path):
    rows = [{"measure": "a", "value": 0.1 + 0.2, "seeds": 3}, {"measure": "b", "value": 1e-9}]
    text = results.record("t", rows, "c", folder=tmp_path).read_text()
    assert results.record("t", rows[1:], "c", folder=tmp_path).read_text() == text


def test_device_label_names_no_host():
    label = device_label("cpu")
    assert re.fullmatch(r"cpu-[1-9]\d*", label)
    assert platform.node() not in device_label() or not platform.node()
    if torch.cuda.is_available():
        assert device_label() == torch.cuda.get_device_name()


def test_bad_rows_and_names(tmp_path):
    for rows, message in [
        ([{"measure": "a"}], "expected measure, value"),
        ([{"measure": "a", "value": 1, "acuracy": 2}], "acuracy"),
        ([{"measure": "a", "value": 1}] * 2, "each measure once"),
    ]:
        with pytest.raises(ValueError, match=message):
            results.record("t", rows, "c", folder=tmp_path)
    with pytest.raises(ValueError, match="table: expected a file name"):
        results.record("../t", [{"measure": "a", "value": 1}], "c", folder=tmp_path)
    results.record("there", [{"measure": "a", "value": 1}], "c", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="recorded are: there"):
        results.read("missing", folder=tmp_path)


def test_spread_is_the_sample_standard_deviation_and_unknown_for_one_value():
    assert results.spread([1.0, 3.0]) == pytest.approx(2**0.5, abs=1e-4)
    assert results.spread(np.array([2, 2, 2])) == 0
    assert np.isnan(results.spread([5.0]))


def test_a_row_over_seeds_has_mean_spread_and_number():
    row = results.over_seeds("accuracy", [0.5, 0.7], seconds=12.34)
    assert row == {"measure": "accuracy", "value": 0.6, "std": results.spread([0.5, 0.7]), "seeds": 2, "seconds": 12.3}
    assert "seconds" not in results.over_seeds("accuracy", np.array([1.0]))


SPREADSHEETS = {
    "byte-order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "semicolons and decimal commas": lambda text: text.replace(",", ";").replace(".", ",").encode(),
    "semicolons and points": lambda text: text.replace(",", ";").encode(),
    "tabs, carriage returns": lambda text: text.replace(",", "\t").replace("\n", "\r\n").encode(),
    "quoted, all of it": lambda text: re.sub(r"[^,\n]+", r'"\g<0>"', text).encode(),
    "empty lines below": lambda text: (text + ",,,,,,,,,,\n" * 3).encode(),
    "a column of somebody's own": lambda text: "".join(f"{line},mine\n" for line in text.splitlines()).encode(),
}


@pytest.mark.parametrize("how", SPREADSHEETS)
def test_a_table_that_a_spreadsheet_saved_reads_the_same_and_loses_nothing(tmp_path, how):
    rows = [{"measure": "µ", "value": 0.5, "std": 0.25, "seeds": 3}, {"measure": "b", "value": -1e-05}]
    path = results.record("t", rows, "measure t", code="12e45678", data="made up", folder=tmp_path)
    expected = results.read("t", folder=tmp_path)
    path.write_bytes(SPREADSHEETS[how](path.read_text(encoding="utf-8")))
    found = results.read("t", folder=tmp_path)
    pd.testing.assert_frame_equal(found[list(expected)], expected)
    assert list(found.code) == ["12e45678"] * 2  # eight digits are no number
    results.record("t", [{"measure": "c", "value": 1}], "measure t", folder=tmp_path)
    after = results.read("t", folder=tmp_path)
    assert list(after.measure) == ["µ", "b", "c"] and list(after)[: len(results.COLUMNS)] == results.COLUMNS
    assert ("mine" in after) == ("own" in how)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a first line with measure, value, .*, got nothing"),
        (b"name,value\na,1\n", "expected a first line with measure, value"),
        ("measure,value\nµs,1\n".encode("utf-16"), "expected UTF-8 text"),
        ("measure,value\nµs,1\n".encode("cp1252"), "expected UTF-8 text"),
        (b"measure,value,std\na,much,1\n", "expected a number as value in row 2, got 'much'"),
        (b"measure,value,std\na,1\n", "expected a cell for each column in row 2"),
        (b"measure,value,std\na,0,5,1\n", "expected a cell for each column in row 2"),
        (b"measure,value\na,1\na,2\n", "expected each measure once, got 'a' again in row 3"),
    ],
)
def test_a_table_that_makes_no_sense_says_what_is_wrong_and_stays_as_it_is(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        results.read("t", folder=tmp_path)
    with pytest.raises(ValueError, match=message):
        results.record("t", [{"measure": "b", "value": 1}], "measure t", folder=tmp_path)
    assert path.read_bytes() == content


def record_many(folder, name: str) -> None:
    for i in range(20):
        results.record("t", [{"measure": f"{name} {i}", "value": i}], "measure t", folder=folder)


def test_processes_that_record_at_once_keep_every_row(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=record_many, args=(tmp_path, name)) for name in ("a", "b", "c")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    table = results.read("t", folder=tmp_path)
    assert len(table) == 60 and not list(tmp_path.glob("*.tmp"))


def test_a_comparison_is_recorded_with_its_standard_error():
    a, b = np.random.default_rng(0).normal(size=(2, 30))
    row = results.difference("gain", compare(a, b))
    assert row["value"] == pytest.approx((a - b).mean(), abs=1e-4)
    assert row["standard_error"] == pytest.approx((a - b).std(ddof=1) / 30**0.5, abs=1e-4) and "std" not in row
