"""Predict boxes: asked before, shown beside the result after, listed at the end; whoever skips them loses nothing."""

import ast

import nbformat
import pytest

from course_lib.course.exercises import exercises, progress
from course_lib.course.exercises.learner import solved_notebooks
from course_lib.course.exercises.predictions import _Predict


@pytest.fixture
def predict():
    return _Predict()


def test_answer_is_shown_beside_the_result(predict, capsys):
    tone = predict("01", "crossings per sample", answer=0.1)
    assert capsys.readouterr().out == "crossings per sample: predicted 0.1\n"
    tone.came(0.02)
    assert capsys.readouterr().out == "crossings per sample: came 0.02, predicted 0.1\n"


def test_skipping_is_quiet_and_keeps_nothing(predict, capsys):
    asked = predict("01", "which has more power?", ["a dog", "a clock"], answer=None)
    assert capsys.readouterr().out == ""
    asked.came("a dog")
    assert capsys.readouterr().out == "which has more power?: came a dog\n"
    assert progress.read() == {}


def test_recap_lists_what_was_asked(predict, capsys):
    predict("01", "the easiest", ["dog", "cat", "owl"], answer=["dog", "owl"]).came(["cat"])
    predict("01", "the share", answer=0.4)
    capsys.readouterr()
    predict.recap()
    assert capsys.readouterr().out.splitlines() == [
        "question      predicted   came",
        "the easiest   dog, owl    cat",
        "the share     0.4         –",
    ]


@pytest.mark.parametrize("answer", ["bird", ["dog", "bird"], 3])
def test_answer_that_is_no_option_is_said_and_not_kept(predict, capsys, answer):
    asked = predict("01", "who?", ["dog", "cat"], answer=answer)
    assert capsys.readouterr().out.startswith("answer: expected one of ['dog', 'cat']")
    asked.came("cat")
    assert progress.read() == {}


def test_prediction_changed_and_run_again_takes_the_place_of_the_first(predict):
    progress.record("rms", "passed")
    for answer, result in ((1, 3), (2, 4)):
        predict("01", "how many?", answer=answer).came(result)
    predict("02", "how many?", answer=5)
    kept = progress.read()
    assert kept["predictions 01"] == {"how many?": {"predicted": "2", "came": "4"}}
    assert kept["predictions 02"] == {"how many?": {"predicted": "5", "came": "–"}}
    assert kept["rms"]["passed"] and not set(kept) - {"rms"} & set(exercises())


@pytest.mark.parametrize("path", solved_notebooks(), ids=lambda path: path.stem)
def test_notebook_asks_before_it_shows(path):
    """A question is unanswered in the solved notebook, and gets its result later; a recap at the end lists all."""
    asked, came, recaps, imported = {}, {}, [], False
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    for place, node in ((i, node) for i, cell in enumerate(cells) for node in ast.walk(ast.parse(cell.source))):
        match node:
            case ast.ImportFrom(module="course_lib.course"):
                imported |= "predict" in [name.name for name in node.names]
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("predict"), args, keywords)) if imported:
                number, question = map(ast.literal_eval, args[:2])
                assert number == path.name[:2]
                assert len(question) <= 70, "a question is a line of the recap"
                assert [ast.unparse(keyword) for keyword in keywords] == ["answer=None"]
                asked[name] = place
            case ast.Call(ast.Attribute(ast.Name(name), "came")):
                came[name] = place
            case ast.Call(ast.Attribute(ast.Name("predict"), "recap")):
                recaps.append(place)
    assert set(came) == set(asked)
    assert all(asked[name] < came[name] for name in asked)
    assert len(recaps) == bool(asked) and all(place < recaps[0] for place in came.values())
