"""Recorded tables: complete rows, replaced where they stand, never with a host name."""

import platform
import re

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.course.experiments import results
from course_lib.training import device_label


def test_rows_come_back_with_device_date_and_command(tmp_path):
    rows = [
        {"measure": "accuracy", "value": 0.905, "std": 0.036, "seeds": 3, "seconds": 107.0},
        {"measure": "human", "value": 0.957, "device": "people"},
    ]
    path = results.record("esc10", rows, "python -m course_lib measure esc10", folder=tmp_path)
    assert path == tmp_path / "esc10.csv"
    table = results.read("esc10", folder=tmp_path)
    assert list(table) == "measure value std seeds seconds device date command".split()
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
    assert path.read_text().splitlines()[1].startswith("a,1,,,,")
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
