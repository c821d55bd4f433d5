"""Notebooks 27 and 28 on a reader's signals: COURSE_OWN names a folder, a table, or one recording with its events."""

import nbformat
import numpy as np
import pandas as pd
import pytest
import soundfile

from course_lib.course.cli.execute import execute
from course_lib.course.exercises.learner import notebook_path

RATE = 8000
pytestmark = pytest.mark.slow


def run(number, own, tmp_path, request, **environment):
    """What the notebook prints and shows, as text."""
    notebook = nbformat.read(notebook_path(number), as_version=4)
    notebook.metadata.kernelspec.name = request.config.option.nbmake_kernel or "python3"
    environment |= {"COURSE_OWN": str(own), "COURSE_WORK": str(tmp_path / "work"), "COURSE_DEVICE": "cpu"}
    execution = execute(notebook, tmp_path, environment=environment)
    assert execution.ok, execution.error
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.get("text", "") for output in outputs)


def write_sounds(folder, rng):
    """32 clips of two classes by four speakers, a sub-folder a class; a table with them."""
    rows = []
    for i in range(32):
        kind = ("dull", "sharp")[i % 2]
        clock = np.arange(int(RATE * rng.uniform(0.3, 0.7))) / RATE
        sound = 0.3 * np.sin(2 * np.pi * (300, 1200)[i % 2] * rng.uniform(0.9, 1.1) * clock)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        name = f"{kind}/who{i // 8} take{i}.wav"
        soundfile.write(folder / name, sound + 0.01 * rng.standard_normal(len(clock)), RATE)
        rows.append({"file": name, "label": kind, "who": f"s{i // 8}"})
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)


def test_recordings_of_a_folder_whose_names_tell_the_speaker(tmp_path, request):
    write_sounds(tmp_path / "sounds", np.random.default_rng(0))
    printed = run("27", tmp_path / "sounds", tmp_path, request, COURSE_OWN_GROUP=r"who(\d)")
    assert "your own:" in printed and "32 clips" in printed and "4 groups" in printed
    assert "clips were cut" in printed and "split: 4 folds by who" in printed


def test_recordings_of_a_table_without_groups(tmp_path, request):
    write_sounds(tmp_path / "sounds", np.random.default_rng(1))
    printed = run("27", tmp_path / "sounds" / "table.csv", tmp_path, request)
    assert "32 groups" in printed and "no groups were given" in printed


def write_events(path, rng, seconds=40, rate=50):
    """A recording of three channels at 50 Hz with two types of event, and the table of these beside it."""
    times = np.cumsum(rng.uniform(0.8, 1.4, 2 * seconds))
    times = times[times < seconds - 1]
    kinds = rng.choice(["tick", "tock"], len(times))
    clock = np.arange(seconds * rate) / rate
    bumps = np.exp(-(((clock[:, None] - times) / 0.04) ** 2)) * np.where(kinds == "tick", 1, -1)
    data = bumps.sum(axis=1)[:, None] * [1, 0.5, -0.3] + 0.05 * rng.standard_normal((len(clock), 3))
    pd.DataFrame({"time": clock} | {f"c{i}": data[:, i] for i in range(3)}).to_csv(path, index=False)
    pd.DataFrame({"time": times, "type": kinds}).to_csv(path.with_suffix(".events.csv"), index=False)


def test_events_of_a_single_recording(tmp_path, request):
    write_events(tmp_path / "one.csv", np.random.default_rng(0))
    printed = run("28", tmp_path / "one.csv", tmp_path, request)
    assert (
        "your own: 1 recordings" in printed and "nobody marked them twice" in printed and "tolerance: 0.05 s" in printed
    )


def test_events_of_a_folder(tmp_path, request):
    (tmp_path / "days").mkdir()
    for day in range(4):
        write_events(tmp_path / "days" / f"day {day}.csv", np.random.default_rng(day), 20)
    printed = run("28", tmp_path / "days", tmp_path, request)
    assert "your own: 4 recordings" in printed and "test: day 2, day 3" in printed
