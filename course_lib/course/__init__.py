"""The course's own machinery: exercises, recorded runs, the command line and the syllabus.

It stands on the library's rooms, and none of them imports it. A notebook needs three names of it::

    from course_lib.course import check, predict, results

    check.conv1d_loop(conv1d_loop)      # prints one line: passed, not attempted yet, or the likely mistake
    rate = predict("01", "crossings per sample", answer=None)  # keeps an answer; rate.came(0.02) shows both
    recorded = results.read("audio_cnn")  # a table of measurements that take longer than a notebook

A fourth stands in the copies of those who build a library of their own: `mine.use("07")` puts their functions in the
place of the course's.
"""

import importlib
from typing import Any

__all__ = ["CheckFailed", "Outcome", "check", "mine", "predict", "results", "run_check"]


def __getattr__(name: str) -> Any:
    """Everything is imported at first use: `doctor` must run on a machine on which nothing is installed yet."""
    if name in ("mine", "results"):
        room = "workbook" if name == "mine" else "experiments"
        return importlib.import_module(f"course_lib.course.{room}.{name}")
    if name in __all__:
        from course_lib.course import exercises

        return getattr(exercises, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
