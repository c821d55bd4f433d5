"""`start` and `progress`: the learner's copies, and what has been passed."""

import argparse
import sys

from course_lib.course.cli import shown
from course_lib.course.exercises import exercises, progress
from course_lib.course.exercises.learner import notebook_path, solved_notebooks, write_learner_copy


def start(arguments: argparse.Namespace) -> int:
    """Write learner copies; a file that is there is left alone."""
    try:
        paths = solved_notebooks() if arguments.all else [notebook_path(number) for number in arguments.number]
        for path in paths:
            copy, written = write_learner_copy(path)
            print(f"{shown(copy)}: " + ("written" if written else "there already, left as it is"))
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot write a learner copy: {error}", file=sys.stderr)
        return 1
    return 0


def show_progress(arguments: argparse.Namespace) -> int:
    """A line an exercise, grouped by notebook, and the sum."""
    entries, known = progress.read(), exercises()
    notebook = None
    for name, e in known.items():
        if e.notebook != notebook:
            notebook = e.notebook
            print(f"notebook {notebook}")
        entry = entries.get(name, {})
        attempts = entry.get("attempts", 0)
        state = "passed" if entry.get("passed") is True else f"tried {attempts}×" if attempts else "not attempted yet"
        print(f"  {state:<18} {name}: {e.title} ({e.minutes} minutes)")
    passed = sum(entries.get(name, {}).get("passed") is True for name in known)
    print(f"{passed} of {len(known)} exercises passed")
    return 0
