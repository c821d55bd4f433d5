"""A search finds what is best, and goes on after it was interrupted."""

import itertools

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
    with pytest.raises(ValueError, match="'decay'.*got"):
        search(score, {"decay": (1.0, 0.0)}, tmp_path / "journal")
