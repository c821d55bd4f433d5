"""Which cells of a copy count as reached by a blank: planted readers, changes and needs are found, the rest is not."""

import nbformat
import pytest

from course_lib.course.exercises.learner import BEGIN, END, blank
from tests.reached import reached

BLANK = f"def answer(x):\n    {BEGIN}\n    return 2 * x\n    {END}"


def cells_of(*sources):
    """Numbers of the cells that are reached, of a notebook with these cells."""
    solved, copy = (nbformat.v4.new_notebook() for _ in range(2))
    for number, source in enumerate(sources):
        solved.cells.append(nbformat.v4.new_code_cell(source, id=f"c{number}"))
        copy.cells.append(nbformat.v4.new_code_cell(blank(source), id=f"c{number}"))
    return sorted(int(identity[1:]) for identity in reached(copy, solved))


def test_the_blank_its_check_and_their_imports_alone():
    sources = [
        "from course_lib.course import check\nimport math",
        "a = math.pi",
        BLANK,
        "check.answer(answer)",
        "b = a",
    ]
    assert cells_of(*sources) == [0, 2, 3]


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        (["y = answer(3)", "print(y)", "print(4)"], [0, 1, 2]),
        (["def use(x):\n    return answer(x)", "def more(x):\n    return use(x)", "print(4)", "more(1)"], [0, 1, 2, 4]),
        (["class Use:\n    def __call__(self):\n        return answer(1)", "it = Use()", "it()"], [0, 1, 2, 3]),
        (["all_of = {}", "all_of[0] = answer", "list(all_of)"], [0, 1, 2, 3]),
        (["all_of = []", "all_of.append(answer)", "print(all_of)"], [0, 1, 2, 3]),
        (["if answer(1):\n    z = 1", "print(z)"], [0, 1, 2]),
        (["z = answer(1)", "z = 5", "print(z)"], [0, 1]),
        (["z = 5", "if 1:\n    z = answer(1)", "if []:\n    z = 6", "print(z)"], [0, 1, 2, 3, 4]),
    ],
    ids=["value", "function of functions", "class", "item", "method", "condition", "bound anew", "perhaps bound anew"],
)
def test_what_reads_it_is_reached(sources, found):
    assert cells_of(BLANK, *sources) == found


def test_what_was_defined_before_and_calls_it_later():
    assert cells_of("def use(x):\n    return answer(x)", "print(1)", BLANK, "use(2)") == [0, 2, 3]


@pytest.mark.parametrize(
    "need", ["x = [1]", "x = []\nx.append(1)", "x, _ = [1], 0", "for x in [[1]]:\n    pass", "from here import x"]
)
def test_what_a_reached_cell_needs_runs_before_it(need):
    assert cells_of("other = 3", need, BLANK, "answer(x)") == [1, 2, 3]


def test_what_may_change_a_need_runs_too():
    assert cells_of("x = [1]", "print(x)", "def grow():\n    x.append(2)", "grow()", BLANK, "answer(x)") == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]


def test_what_python_cannot_read_is_reached():
    assert cells_of("%matplotlib inline", "x = 1", "!ls {x}", BLANK) == [0, 2, 3]
