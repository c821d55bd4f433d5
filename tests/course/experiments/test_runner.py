"""The runner, on a made-up experiment: cells, what is kept and found again, rows, checks, where numbers are from."""

import importlib
import json
import multiprocessing
import os
import re
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import course_lib
from course_lib.course.experiments import check, experiments, load, multi_scale, provenance, results, runner
from course_lib.course.experiments import signal_transformer_speed as speed
from course_lib.data import AudioData
from course_lib.paths import PROJECT_ROOT

GUESS = '''
"""A guess."""
import random
from pathlib import Path
from course_lib.course.experiments.runner import Experiment
from course_lib.training.rng import isolated

def measure(seed, base, slope):
    with open({log!r}, "a") as file:
        file.write(f"{{base}} {{seed}}\\n")
    return {{"score": base + slope * seed, "parameters": 7, "curve": [1, 2]}}

EXPERIMENT = Experiment(
    measure,
    {{"low": {{"base": 1.0}}, "high": {{"base": 2.0}}, "fixed": {{"base": 3.0}}}},
    cheapest="low",
    seeds=(0, 1, 2),
    once=["fixed"],
    options={{"slope": (0.1, "a step from seed to seed")}},
)
'''


@pytest.fixture
def guess(tmp_path, monkeypatch):
    """load(source=GUESS): the made-up experiment, imported anew; its cells and tables lie in a folder of their own."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.syspath_prepend(tmp_path)

    def made(*changes: tuple[str, str]):
        source = GUESS.format(log=str(tmp_path / "log"))
        for old, new in changes:
            assert old in source
            source = source.replace(old, new)
        (tmp_path / "guess.py").write_text(source)
        sys.modules.pop("guess", None)
        importlib.invalidate_caches()
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        return importlib.import_module("guess").EXPERIMENT

    made.log = lambda: (tmp_path / "log").read_text().split("\n")[:-1]
    yield made
    sys.modules.pop("guess", None)


def table() -> pd.DataFrame:
    return results.read("guess").set_index("measure")


def test_a_run_measures_each_setting_with_each_seed_and_records_means(guess):
    runner.run(guess(), ["--slope", "0.5"], "python -m course_lib measure guess")
    found = table()
    assert list(found.index) == [f"{s}: {what}" for s in ("low", "high", "fixed") for what in ("score", "parameters")]
    assert found.loc["high: score", ["value", "std", "seeds"]].tolist() == [2.5, 0.5, 3]
    assert found.loc["fixed: score", "value"] == 3.0 and found.loc["fixed: score", "seeds"] == 1
    assert found.loc["low: parameters", "value"] == 7 and pd.isna(found.loc["low: parameters", "std"])
    assert set(found.command) == {"python -m course_lib measure guess --slope 0.5"} and set(found.data) == {"generated"}
    assert set(found.code) == {guess().code}


def test_only_and_seeds_choose_cells_and_other_rows_stay(guess):
    runner.run(guess())
    runner.run(guess(), ["--only", "h*", "--seeds", "5"])
    assert table().loc["high: score", ["value", "seeds"]].tolist() == [2.5, 1]
    assert table().loc["low: score", "seeds"] == 3 and len(table()) == 6
    with pytest.raises(SystemExit):
        runner.run(guess(), ["--only", "nothing"])


def test_finished_cells_are_found_again_until_code_or_arguments_change(guess):
    runner.run(guess())
    assert len(guess.log()) == 7
    first = table()
    runner.run(
        guess(
            ("A guess.", "Another word."),
            ("def measure(seed, base, slope):", "def measure(seed: int, base, slope):  # x"),
        )
    )
    assert len(guess.log()) == 7 and table().equals(first)  # words and types are no code
    runner.run(guess(), ["--slope", "0.2"])
    assert len(guess.log()) == 14
    changed = guess(("base + slope", "base - slope"))
    runner.run(changed)
    assert len(guess.log()) == 21 and table().loc["low: score", "value"] == pytest.approx(0.9)
    assert set(table().code) == {changed.code} != {first.code.iloc[0]}
    runner.run(changed, ["--again", "--only", "fixed"])
    assert len(guess.log()) == 22


def test_a_stopped_run_goes_on_and_leaves_nothing_half_written(guess, tmp_path):
    stop = (
        "    return {",
        '    if seed == 1 and not Path(__file__ + ".on").exists(): raise KeyboardInterrupt\n    return {',
    )
    with pytest.raises(KeyboardInterrupt):
        runner.run(guess(stop))
    kept = list((tmp_path / "cache").rglob("*"))
    assert [json.loads(p.read_text())["score"] for p in kept if p.is_file()] == [1.0] and not (
        tmp_path / "results"
    ).exists()
    (tmp_path / "guess.py.on").touch()
    runner.run(guess(stop))
    assert guess.log().count("1.0 0") == 1 and guess.log().count("1.0 1") == 2 and len(table()) == 6


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_processes_at_once_and_a_kill_in_the_middle(guess, tmp_path):
    experiment = guess(("import random\n", "import time\n"), ("    return {", "    time.sleep(0.1)\n    return {"))
    context = multiprocessing.get_context("fork")

    def start() -> multiprocessing.Process:
        process = context.Process(target=runner.run, args=(experiment,))
        process.start()
        return process

    victim = start()
    while not (tmp_path / "log").exists() and victim.is_alive():
        time.sleep(0.02)
    victim.kill()
    victim.join()
    both = [start(), start()]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert len(table()) == 6 and not list(tmp_path.rglob("*.tmp"))
    assert all(json.loads(file.read_text())["parameters"] == 7 for file in (tmp_path / "cache").rglob("*.json"))


def test_other_data_are_measured_anew_and_a_setting_without_its_data_is_left_out(guess, capsys):
    import dataclasses

    experiment = dataclasses.replace(guess(), source="made up", load=lambda: np.arange(3))
    runner.run(experiment, ["--only", "low"])
    runner.run(dataclasses.replace(experiment, load=lambda: np.arange(4)), ["--only", "low"])
    assert len(guess.log()) == 6 and table().data.iloc[0] == f"made up {provenance.fingerprint(np.arange(4))}"

    def measure(seed, base, slope):
        if base == 1.0:
            raise runner.NotHere("no walk on this disk")
        return {"score": base}

    measure.__module__ = "guess"
    runner.run(dataclasses.replace(experiment, measure=measure), ["--slope", "9"])
    assert "low: left out: no walk on this disk" in capsys.readouterr().err and table().loc["high: score", "value"] == 2


class TestCheck:
    def test_holds_within_the_spread_and_finds_a_planted_number(self, guess, tmp_path):
        experiment = guess()
        runner.run(experiment)
        assert check.recheck(experiment) == []
        path = tmp_path / "results" / "guess.csv"
        text = path.read_text()
        for planted in ("low: score,1.1,", "low: parameters,7,"):
            assert planted in text
            path.write_text(text.replace(planted, planted[:-2] + "9,"))
            (line,) = check.recheck(experiment)
            assert planted.split(",")[0] in line and "recorded" in line and "now" in line

    def test_one_in_the_last_digit_that_is_kept_is_rounding(self, guess, tmp_path):
        runner.run(guess())
        path = tmp_path / "results" / "guess.csv"
        assert "low: score,1.1,0.1," in (text := path.read_text())
        for written, lines in (("0.0001", 0), ("0.0003", 1)):
            path.write_text(text.replace("low: score,1.1,0.1,", f"low: score,{written},0.0,"))
            assert len(check.recheck(guess(("base + slope * seed", "2e-5")))) == lines

    def test_a_cell_is_measured_with_the_threads_of_its_experiment(self, guess):
        """By a check too: several threads add in another order, and a training goes elsewhere."""
        before = torch.get_num_threads()
        asked = guess(
            ('"parameters": 7', '"parameters": torch.get_num_threads()'),
            ("import random", "import torch"),
            ('cheapest="low"', 'cheapest="low", threads=3'),
        )
        assert runner.Cells(asked, {"slope": 0.1}).cell("low", 0)["parameters"] == 3
        assert torch.get_num_threads() == before

    def test_finds_a_changed_model_and_tells_which_rows_are_stale(self, guess):
        runner.run(guess())
        assert check.stale(guess()).empty
        changed = guess(("base + slope", "base + 1 + slope"))
        assert len(check.recheck(changed)) == 1
        stale = check.stale(changed)
        assert list(stale.measure) == list(table().index) and stale.why.str.contains(f"now {changed.code}").all()

    def test_rows_before_there_were_hashes_are_said_to_be(self, guess):
        runner.run(guess())
        results.record("guess", [{"measure": "low: score", "value": 1.1}], "by hand")
        results.record("guess", [{"measure": "people", "value": 1, "device": "published"}], "by hand")
        (row,) = check.stale(guess()).itertuples()
        assert row.measure == "low: score" and row.why == "recorded before there were hashes"

    def test_real_tables_hold_and_planted_changes_are_found(self, tmp_path, monkeypatch):
        monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
        for experiment, old, new in (
            (speed.EXPERIMENT, "2298758", "2298759"),
            (multi_scale.EXPERIMENT, "without dilation: accuracy,0.50", "without dilation: accuracy,0.57"),
        ):
            text = (results.RESULTS / f"{experiment.table}.csv").read_text(encoding="utf-8")
            assert old in text
            (tmp_path / f"{experiment.table}.csv").write_text(text.replace(old, new), encoding="utf-8")
            assert len(check.recheck(experiment, tmp_path)) == 1
        monkeypatch.setattr(speed, "SignalTransformerConfig", lambda **options: real(**options, num_layers=5))
        real = importlib.import_module("course_lib.models").SignalTransformerConfig
        assert len(check.recheck(speed.EXPERIMENT)) == 2  # both models have fewer parameters

    @pytest.mark.parametrize("name", experiments())
    def test_the_setting_to_check_makes_rows_that_are_recorded(self, name):
        experiment = load(name).EXPERIMENT
        assert experiment.cheapest in experiment.settings and set(experiment.once) <= set(experiment.settings)
        assert check.cost(experiment) < 700 or np.isnan(check.cost(experiment))
        if experiment.rows is None:
            setting = experiment.settings[experiment.cheapest]
            label = experiment.label.format(setting=experiment.cheapest, what="\0", **setting)
            start, _, end = label.partition("\0")
            recorded = [name for name in results.read(name).measure if not re.search(experiment.unchecked, name)]
            assert any(name.startswith(start) and name.endswith(end) for name in recorded)


class TestCode:
    @pytest.fixture
    def copy(self, tmp_path_factory):
        root = tmp_path_factory.mktemp("copy")
        shutil.copytree(
            Path(course_lib.__file__).parent, root / "course_lib", ignore=shutil.ignore_patterns("__pycache__")
        )
        return root

    @staticmethod
    def hashes(root: Path) -> dict[str, str]:
        return {name: provenance.code_hash(f"course_lib.course.experiments.{name}", root) for name in experiments()}

    def test_a_copy_has_the_same_hashes_and_each_run_its_own(self, copy):
        here = self.hashes(PROJECT_ROOT)
        assert self.hashes(copy) == here and len(set(here.values())) == len(here)

    def test_one_line_of_a_model_changes_the_runs_that_reach_it_and_words_change_none(self, copy):
        before = self.hashes(copy)
        file = copy / "course_lib" / "models" / "signal_transformer.py"
        source = file.read_text(encoding="utf-8")
        file.write_text("# a comment\n" + source.replace('"""', '"""Indeed: ', 1), encoding="utf-8")
        assert self.hashes(copy) == before
        file.write_text(source + "\nSignalTransformerConfig.__annotations__['extra'] = 1\n", encoding="utf-8")
        after = self.hashes(copy)
        changed = {name for name in before if after[name] != before[name]}
        own = {
            "burst_distance",
            "burst_field",
            "burst_order",
            "match_to_sample",
            "signal_transformer_speed",
            "signal_transformer_synthetic",
            "unseen_machines",  # by way of the estimators
        }
        own |= {"gpu_speed", "training_speed"}
        assert changed == own | {"series_classification"}
        file.write_text(source, encoding="utf-8")

    def test_a_layer_is_followed_through_a_room_and_pictures_are_not(self, copy):
        before = self.hashes(copy)
        for file, reached in (
            ("layers/rotary.py", True),
            ("plots/__init__.py", False),
            ("course/experiments/runner.py", False),
        ):
            path = copy / "course_lib" / file
            source = path.read_text(encoding="utf-8")
            path.write_text(source + "\nADDED = 1\n", encoding="utf-8")
            assert (self.hashes(copy)["positions"] != before["positions"]) == reached, file
            path.write_text(source, encoding="utf-8")

    def test_there_must_be_such_a_module(self):
        with pytest.raises(FileNotFoundError, match="no_such_run"):
            provenance.code_hash("course_lib.course.experiments.no_such_run")


def test_fingerprints_tell_contents_apart(clips: AudioData):

    data = {"x": np.arange(6.0), "y": [torch.arange(3), "a"]}
    same = {"x": np.arange(6.0), "y": [torch.arange(3), "a"]}
    assert provenance.fingerprint(data) == provenance.fingerprint(same)
    others = [data | {"x": np.arange(6.0).reshape(2, 3)}, data | {"x": np.arange(6)}, {"y": data["y"], "x": data["x"]}]
    others += [data | {"y": [torch.arange(3), "b"]}, data | {"y": [torch.tensor([0, 1, 3]), "a"]}]
    assert len({provenance.fingerprint(one) for one in (data, *others)}) == 6
    labels = clips.labels.copy()
    labels[0] = 9
    assert provenance.fingerprint(replace(clips, labels=labels)) != provenance.fingerprint(clips)
    assert provenance.fingerprint(clips.crop(1.0)) == provenance.fingerprint(clips)
