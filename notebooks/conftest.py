"""Judges the run that nbmake makes of a notebook: numbers in prose without a source, figures without alternative text.

Prints a line for each notebook; those that have `facts` in their metadata fail where something is found.
"""

import pytest
from nbmake import pytest_items
from nbmake.nb_result import NotebookError

from course_lib.course.sources import figures_without_text, is_held, unsourced

PROPERTY = "executed notebook"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, pytest_items.NotebookItem):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytest_items, "NotebookRun", judged_run(item))
        return (yield)


def judged_run(item):
    """nbmake's run of one notebook, and what it leaves unproved."""

    class JudgedRun(pytest_items.NotebookRun):
        def execute(self):
            result = super().execute()
            if result.error is None:
                missing, count = unsourced(result.nb)
                bare = figures_without_text(result.nb)
                summary = f"{len(missing)} of {count} numbers without a source, {len(bare)} figures without text"
                item.user_properties.append((PROPERTY, f"{self.filename.stem:<34}{summary}"))
                if (missing or bare) and is_held(result.nb):
                    lines = [f"{number.text} in cell {number.cell}" for number in missing]
                    lines += [f"a figure without text in cell {cell}" for cell in bare]
                    result.error = NotebookError(summary=summary, trace="\n".join(lines), failing_cell_index=0)
            return result

    return JudgedRun


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    lines = sorted(line for report in reports for name, line in report.user_properties if name == PROPERTY)
    if lines:
        terminalreporter.section("what executed notebooks leave unproved")
        for line in lines:
            terminalreporter.write_line(line)
