"""Tables as other programs save them: separators at the end, marks, equal names, rows of other lengths."""

import codecs

import pytest

from course_lib.data import DataError, load_event_table, load_sensor_table
from course_lib.data.tables import read_table

TEXT = "file,label\na.wav,x\nb.wav,y\n"
ROWS = [("a.wav", "x"), ("b.wav", "y")]
SAME = {
    "byte-order mark": codecs.BOM_UTF8 + TEXT.encode(),
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-32": TEXT.encode("utf-32"),
    "old Mac": TEXT.replace("\n", "\r").encode(),
    "Windows": TEXT.replace("\n", "\r\n").encode(),
    "quotes": b'"file","label"\n"a.wav","x"\n"b.wav","y"\n',
    "a separator behind each row": b"file,label\na.wav,x,\nb.wav,y,\n",
    "two behind each row": b"file,label\na.wav,x,,\nb.wav,y,,\n",
    "behind the names too": b"file,label,\na.wav,x,\nb.wav,y,\n",
    "blanks": b" file , label \n a.wav , x \n b.wav , y \n",
    "blank lines": b"\n\nfile,label\n\na.wav,x\n\nb.wav,y\n\n",
    "blank rows of a spreadsheet": b"file,label\na.wav,x\nb.wav,y\n,\n,\n",
    "a column numbered by hand": b"file,label,label.2\na.wav,x,1\nb.wav,y,2\n",
}


@pytest.mark.parametrize("name", SAME)
def test_one_table_however_it_was_saved(tmp_path, name):
    (tmp_path / "t.csv").write_bytes(SAME[name])
    table = read_table(tmp_path / "t.csv", {"file": "file", "label": "label"})
    assert list(zip(table["file"], table["label"], strict=True)) == ROWS


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,label\na.wav,x,z\nb.wav,y,z\n", "rows have 3 cells, and there are 2 names"),
        ("file,label\na.wav,x\nb.wav,y,z\n", "not a table"),
        ("file,label,label\na.wav,x,1\n", "label: several columns are named 'label'"),
        ("file,label, label\na.wav,x,1\n", "expected another name for each column|several columns"),
        ("", "not a table"),
        ("file,label\n", "at least one row"),
    ],
)
def test_what_is_no_such_table_is_named(tmp_path, text, complaint):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=complaint):
        read_table(tmp_path / "t.csv", {"file": "file", "label": "label"})


def test_readings_and_events_stay_in_their_columns_where_rows_end_with_a_separator(tmp_path):
    (tmp_path / "t.csv").write_text("time,x\n0,1,\n1,2,\n2,3,\n", encoding="utf-8")
    table = load_sensor_table(tmp_path / "t.csv")
    assert table.data.ravel().tolist() == [1, 2, 3] and table.columns == ("x",) and table.sample_rate == 1
    (tmp_path / "e.csv").write_text("time;type\n1.5;a;\n2.5;b;\n", encoding="utf-8")
    assert load_event_table(tmp_path / "e.csv", sep=";") == [("a", 1.5), ("b", 2.5)]


def test_nanoseconds_from_1970_keep_their_steps(tmp_path):
    for step, unit, rate in ((10**6, 1e-9, 1000.0), (1, 1e-9, 1e9)):
        rows = "\n".join(f"{1_700_000_000_000_000_000 + i * step},{i}" for i in range(50))
        (tmp_path / "t.csv").write_text(f"time,x\n{rows}\n", encoding="utf-8")
        table = load_sensor_table(tmp_path / "t.csv", unit=unit)
        assert table.sample_rate == rate and not table.gaps and table.jitter < 1e-9


@pytest.mark.parametrize("cell", ["1e39", "-1e39", "inf", "1_0"])
def test_a_reading_is_a_number_that_float32_holds(tmp_path, cell):
    (tmp_path / "t.csv").write_text(f"time,x\n0,1\n1,{cell}\n2,3\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"row 3, column x: expected a number, got '{cell}'"):
        load_sensor_table(tmp_path / "t.csv")
    (tmp_path / "e.csv").write_text("time,type\n1_0,a\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 2: expected a time and a type, got '1_0'"):
        load_event_table(tmp_path / "e.csv")
