"""A search finds what is best, and goes on after it was interrupted."""

import itertools
import os
import subprocess
import sys
import textwrap
import time

import pytest

from course_lib.training import TensorBoardTracker
from course_lib.training.search import search

GRID = {"decay": [0.5, 0.9, 0.99], "width": [8, 32]}


def score(settings):
    return -((settings["decay"] - 0.9) ** 2) + settings["width"] / 1000


class Killed(BaseException):
    """Not an Exception: optuna records those as failed trials; a kill leaves no word behind."""


def test_a_grid_tries_every_combination_once(tmp_path):
    study = search(score, GRID, tmp_path / "new folder" / "journal", method="grid")
    tried = [(t.params["decay"], t.params["width"]) for t in study.trials]
    assert sorted(tried) == sorted(itertools.product(*GRID.values()))
    assert study.best_params == {"decay": 0.9, "width": 32} and study.best_value == pytest.approx(0.032)


@pytest.mark.parametrize("method", ["grid", "bayes"])
def test_a_killed_search_goes_on(tmp_path, method):
    tried = []

    def killed_at_the_fourth(settings):
        if len(tried) == 3:
            raise Killed
        tried.append(settings)
        return score(settings)

    def goes_on(settings):
        tried.append(settings)
        return score(settings)

    with pytest.raises(Killed):
        search(killed_at_the_fourth, GRID, tmp_path / "journal", method=method, trials=6)
    study = search(goes_on, GRID, tmp_path / "journal", method=method, trials=6)
    assert len(tried) == 6
    if method == "grid":
        assert len({tuple(s.items()) for s in tried}) == 6
    assert study.best_value == max(map(score, tried))
    search(goes_on, GRID, tmp_path / "journal", method=method, trials=6)  # nothing is left to do
    assert len(tried) == 6


def test_bayesian_search_beats_its_random_start(tmp_path):
    space = {"decay": (0.0, 1.0), "width": (8, 128, "log"), "kind": ["fixed", "learned"]}

    def bumpy(settings):
        return -((settings["decay"] - 0.7) ** 2) - (settings["width"] - 40) ** 2 / 1e4 - (settings["kind"] == "fixed")

    study = search(bumpy, space, tmp_path / "journal", trials=40)
    values = study.trials_dataframe()["value"]
    assert values[20:].median() > values[:10].median() and study.best_params["kind"] == "learned"
    assert all(isinstance(t.params["width"], int) for t in study.trials)


def test_it_minimises_too_and_two_searches_share_a_journal(tmp_path):
    lowest = search(score, GRID, tmp_path / "journal", method="grid", maximise=False, name="lowest")
    highest = search(score, GRID, tmp_path / "journal", method="grid", name="highest")
    assert lowest.best_value < highest.best_value
    with pytest.raises(ValueError, match="direction"):
        search(score, GRID, tmp_path / "journal", method="grid", name="lowest")


def test_a_tracker_is_told_of_every_trial(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = TensorBoardTracker("search", directory=tmp_path)
    study = search(score, GRID, tmp_path / "journal", method="grid", tracker=tracker)
    tracker.close()
    events = EventAccumulator(str(tmp_path / "search"))
    events.Reload()
    assert [e.step for e in events.Scalars("score")] == list(range(6))
    assert [e.value for e in events.Scalars("decay")] == pytest.approx([t.params["decay"] for t in study.trials])


def test_what_cannot_be_searched_is_refused(tmp_path):
    with pytest.raises(ValueError, match="method: .*'random'"):
        search(score, GRID, tmp_path / "journal", method="random")
    with pytest.raises(ValueError, match=r"range for \['decay'\]"):
        search(score, {"decay": (0.0, 1.0)}, tmp_path / "journal", method="grid")
    for values in ((1.0, 0.0), (0.5,), (), [], (0.1, 1.0, "linear")):
        with pytest.raises(ValueError, match="space: expected 'decay' as a list.*got"):
            search(score, {"decay": values}, tmp_path / "journal")
    with pytest.raises(ValueError, match="space: expected factors above 0 for 'decay'"):
        search(score, {"decay": (0.0, 1.0, "log")}, tmp_path / "journal")


def done(study):
    return [trial.params for trial in study.trials if trial.state.name == "COMPLETE"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, Killed])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_grid_point_that_was_interrupted_or_failed_is_tried_again(tmp_path, stop, at):
    calls = []

    def objective(settings):
        calls.append(settings)
        if len(calls) == at:
            raise stop
        return score(settings)

    with pytest.raises(stop):
        search(objective, GRID, tmp_path / "journal", method="grid")
    study = search(objective, GRID, tmp_path / "journal", method="grid")
    assert len(done(study)) == 6 and len(calls) == 7
    assert sorted(p["decay"] for p in done(study)) == sorted(decay for decay in GRID["decay"] for _ in GRID["width"])


def test_settings_that_were_interrupted_come_first_in_the_next_bayesian_call(tmp_path):
    tried = []

    def objective(settings):
        tried.append(settings)
        if len(tried) == 3:
            raise KeyboardInterrupt
        return score(settings)

    space = {"decay": (0.0, 1.0), "width": [8, 32]}
    with pytest.raises(KeyboardInterrupt):
        search(objective, space, tmp_path / "journal", trials=5)
    study = search(objective, space, tmp_path / "journal", trials=5)
    assert tried[3] == tried[2] and len(done(study)) == 5


@pytest.mark.parametrize("method", ["grid", "bayes"])
def test_a_score_that_is_no_number_is_not_done(tmp_path, method):
    calls = []

    def diverges(settings):
        calls.append(settings)
        return float("nan") if settings["decay"] == 0.99 else score(settings)

    study = search(diverges, GRID, tmp_path / "journal", method=method, trials=6)
    assert len(calls) == 6 and len(done(study)) == sum(settings["decay"] != 0.99 for settings in calls)
    again = search(score, GRID, tmp_path / "journal", method=method, trials=6)
    assert len(done(again)) == 6


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_journal_line_cut_short_is_left_out(tmp_path, cut):
    journal = tmp_path / "journal"
    search(score, GRID, journal, method="grid", trials=4)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-cut])
    study = search(score, GRID, journal, method="grid")
    assert len(done(study)) == 6 and journal.read_bytes().endswith(b"\n")


def test_a_journal_damaged_before_its_end_is_named(tmp_path):
    journal = tmp_path / "journal"
    search(score, GRID, journal, method="grid", trials=4)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b'{"op_co\n', *lines[4:]]))
    with pytest.raises(ValueError, match="journal: .*damaged"):
        search(score, GRID, journal, method="grid")


@pytest.mark.parametrize("operations", range(2, 12))
def test_killed_at_any_line_of_the_journal_a_grid_is_completed(tmp_path, operations):
    """A kill between creating a trial, its suggestions and its end leaves a journal that ends after any line."""
    whole, journal = tmp_path / "whole", tmp_path / "journal"
    search(score, GRID, whole, method="grid")
    journal.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:operations]))
    text = journal.read_text().replace(f'"process":"{os.getpid()}-', '"process":"999999-')  # the writer is gone
    journal.write_text(text)
    study = search(score, GRID, journal, method="grid")
    points = [(params["decay"], params["width"]) for params in done(study)]
    assert sorted(points) == sorted(itertools.product(*GRID.values()))


def test_a_lock_that_was_left_does_not_hold_up(tmp_path):
    journal = tmp_path / "journal"
    (tmp_path / "journal.lock").symlink_to("nowhere")  # as optuna's own lock leaves it behind
    began = time.monotonic()
    search(score, GRID, journal, method="grid")
    assert time.monotonic() - began < 15


@pytest.mark.skipif(os.name != "posix", reason="one process at a time on Windows")
def test_two_processes_share_a_grid(tmp_path):
    code = f"""
        import time
        from course_lib.training.search import search
        def objective(settings):
            with open({str(tmp_path / "tried")!r}, "a") as file:
                file.write(f"{{settings['a']}}\\n")
            time.sleep(0.3)
            return settings["a"]
        search(objective, {{"a": list(range(12))}}, {str(tmp_path / "journal")!r}, method="grid")
    """
    both = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(int(line) for line in (tmp_path / "tried").read_text().split()) == list(range(12))
    assert len(done(search(lambda s: 0.0, {"a": list(range(12))}, tmp_path / "journal", method="grid"))) == 12


def test_a_folder_holds_a_journal_of_the_searchs_name(tmp_path):
    search(score, GRID, tmp_path, method="grid", name="mine", trials=1)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.journal"]
