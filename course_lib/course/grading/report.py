"""The grades as a table: CSV, a row an exercise of a copy, or one HTML page, a row a copy."""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from html import escape

from course_lib.course.exercises import exercises
from course_lib.course.exercises.runner import HINT, NOT_ATTEMPTED, PASSED
from course_lib.course.grading.grade import ERROR, Grade

COLUMNS = ("copy", "notebook", "exercise", "status", "seconds", "hints", "said", "marks")
SIGNS = {PASSED: "✓", HINT: "hint", NOT_ATTEMPTED: "–", ERROR: "error"}

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; margin: 1rem 0 2rem; }
th, td { border: 1px solid #bbb; padding: .25rem .6rem; text-align: left; vertical-align: top; }
thead th { background: #f0f0f0; }
.passed { background: #d7ecd9; } .hint { background: #fdf0cf; } .error { background: #f6d5d5; }
pre { margin: 0; white-space: pre-wrap; font-size: 13px; }
"""


def as_csv(grades: Sequence[Grade]) -> str:
    """Text that begins with =, + , - or @ is led by an apostrophe, so that no spreadsheet takes it for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for g in grades:
        row = (g.copy, g.notebook, g.exercise, g.status, f"{g.seconds:.1f}", str(g.hints), g.said, "; ".join(g.marks))
        writer.writerow("'" + value if value.startswith(("=", "+", "-", "@", "\t")) else value for value in row)
    return text.getvalue()


def as_html(grades: Sequence[Grade], notes: Sequence[str] = ()) -> str:
    """One page that loads nothing: for each notebook the copies with their exercises, then what was said of them."""
    papers: dict[str, dict[str, list[Grade]]] = defaultdict(lambda: defaultdict(list))
    for grade in grades:
        papers[grade.notebook][grade.copy].append(grade)
    parts = [f"<p>{escape(note)}</p>" for note in notes]
    parts += [_paper(number, rows) for number, rows in sorted(papers.items())]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Grades</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>Grades</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _paper(number: str, rows: dict[str, list[Grade]]) -> str:
    names = [name for name, e in exercises().items() if e.notebook == number]
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("copy", *names, "passed", "seconds", "marks"))
    lines = []
    for copy, grades in rows.items():
        by_name = {grade.exercise: grade for grade in grades}
        cells = "".join(_cell(by_name[name] if name in by_name else grades[0]) for name in names)
        passed = sum(grade.status == PASSED for grade in grades)
        marked = sum(len(grade.marks) for grade in grades)
        seconds = sum(grade.seconds for grade in grades)
        numbers = f"<td>{passed} of {len(names)}</td><td>{seconds:.1f}</td><td>{marked or ''}</td>"
        lines.append(f'<tr><th scope="row">{escape(copy)}</th>{cells}{numbers}</tr>')
    said = "".join(_said(grade) for grades in rows.values() for grade in grades if grade.said or grade.marks)
    title = f"Notebook {escape(number)}" if number else "No notebook of the course"
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    detail = "<thead><tr><th>copy</th><th>exercise</th><th>hint or error</th><th>marks</th></tr></thead>"
    return f"<h2>{title}</h2>\n{table}\n" + (f"<table>{detail}<tbody>{said}</tbody></table>" if said else "")


def _cell(grade: Grade) -> str:
    kind = grade.status if grade.status in (PASSED, HINT, ERROR) else "blank"
    hints = f" ({grade.hints} hints)" if grade.hints else ""
    return f'<td class="{kind}">{escape(SIGNS[grade.status])}{hints}</td>'


def _said(grade: Grade) -> str:
    marks = "<br>".join(map(escape, grade.marks))
    cells = f"<td>{escape(grade.copy)}</td><td>{escape(grade.exercise)}</td>"
    return f"<tr>{cells}<td><pre>{escape(grade.said)}</pre></td><td>{marks}</td></tr>\n"
