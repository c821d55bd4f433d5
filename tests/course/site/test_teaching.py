"""Pages for teachers and slides: the plans hold the course, and what they say comes from the notebooks."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib.course.exercises.learner import solved_notebooks
from course_lib.course.exercises.registry import exercises
from course_lib.course.site import front, teaching
from course_lib.course.site.ideas import Declared
from course_lib.course.site.slides import slides
from course_lib.course.syllabus import SYLLABUS

NUMBERS = [number for part in SYLLABUS for number, _ in part.notebooks]
PATHS = {path.name[:2]: path for path in solved_notebooks()}


def test_fourteen_weeks_hold_every_notebook_once_and_in_order():
    plans = teaching.plans()
    inside = [number for week in plans["weeks"] for number in week["notebooks"]]
    assert len(plans["weeks"]) == 14 and inside == sorted(set(inside))
    assert set(NUMBERS) <= {*inside, *plans["projects"]["notebooks"]} and not set(inside) & {
        *plans["projects"]["notebooks"]
    }


def test_there_is_a_question_for_every_notebook():
    questions = teaching.plans()["questions"]
    assert set(NUMBERS) <= set(questions)
    assert all(question.endswith("?") or "?" in question for question in questions.values())


def test_two_days_fit_into_two_days():
    assert sum(plan["minutes"] for plan in teaching.plans()["days"]) <= 2 * 6 * 60


@pytest.mark.parametrize(
    ("said", "minutes"),
    [
        ("**Time:** about 80 minutes of reading and exercises; the code runs in 45 seconds.", 80),
        ("**Time:** about 2 hours of reading and exercises", 120),
        ("| under 1 minute to run, 90 minutes to read and work |", 90),
        ("nothing of the kind", None),
    ],
)
def test_minutes_are_those_of_the_title(said, minutes):
    assert teaching.minutes(new_notebook(cells=[new_markdown_cell(f"# 77 X\n\n{said}")])) == minutes


def test_what_a_path_leaves_out_is_named():
    said = {n: Declared() for n in PATHS} | {"00": Declared(introduces=("RMS",)), "01": Declared(uses=("RMS",))}
    text = teaching.schedules({}, said, {})
    assert "| First day, morning | 01 | 150 | RMS (00) |" in text


def test_the_guide_has_the_checks_own_words_and_the_predictions():
    notebook = nbformat.read(PATHS["05"], as_version=4)
    said = {number: Declared() for number in PATHS}
    text = teaching.guide({"05": notebook}, said, {"05": "05_rotary_embeddings"})
    tasks = [one for one in exercises().values() if one.notebook == "05"]
    assert all(f"{one.title} ({one.minutes})" in text for one in tasks)
    assert teaching.plans()["questions"]["05"] in text
    assert "are the 9 × 9 scores inside the early word equal to those inside the late one?" in text


def test_predictions_of_a_cell_are_its_boxes():
    text = "Prose.\n\n> **Predict.** Which one,\n> and why?\n\nMore prose."
    assert teaching.predictions(text) == ["Which one, and why?"]


def test_slides_have_question_figures_with_text_and_recap():
    picture = new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": "A <b> line."}})
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# 77 Things\n\n**Question:** why *so*?\n\nMore."),
            new_markdown_cell("## 1 First\n\nProse."),
            new_code_cell("plot()", id="p", outputs=[picture, picture]),
            new_markdown_cell("## Exercise 77.1"),
            new_code_cell("plot()", id="q", outputs=[picture]),
            new_markdown_cell("## Recap\n\n- One thing.\n\n**What broke, and why.** This.\n\n**References.** None."),
        ]
    )
    page = slides(notebook, "77")
    assert page.count("<section>") == 1 + 2 + 1 + 1
    assert "why <em>so</em>?" in page and "<h2>1 First</h2>" in page and "<li>One thing.</li>" in page
    assert 'src="../files/77/p-1.webp"' in page and "q-0" not in page and "References" not in page
    assert 'alt="A &lt;b&gt; line."' in page


def test_about_carries_the_version_and_the_changes():
    from course_lib import __version__

    text = front.about()
    assert f"version {__version__}" in text and f"### {__version__}" in text and "cff-version" in text
