"""The course's own machinery: exercises, recorded runs, the command line and the syllabus.

It stands on the library's rooms, and none of them imports it. A notebook needs one name of it::

    from course_lib.course import check

    check.conv1d_loop(conv1d_loop)      # prints one line: passed, not attempted yet, or the likely mistake
"""

from typing import Any

__all__ = ["CheckFailed", "Outcome", "check", "run_check"]


def __getattr__(name: str) -> Any:
    """Exercises are imported at first use: `doctor` must run on a machine on which nothing is installed yet."""
    if name in __all__:
        from course_lib.course import exercises

        return getattr(exercises, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
