"""`start` and `progress`: the learner's copies, the library built from them, and what has been passed."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from course_lib.course.cli import shown
from course_lib.course.exercises import exercises, progress
from course_lib.course.exercises.learner import notebook_path, solved_notebooks, write_learner_copy
from course_lib.course.syllabus import SYLLABUS
from course_lib.paths import work_dir


def start(arguments: argparse.Namespace) -> int:
    """Write learner copies; one that is there is left alone, or gets what `--update` and `--build` are to bring it."""
    if not (arguments.all or arguments.number or arguments.build):
        print("start: which notebook? Give its number, or --all", file=sys.stderr)
        raise SystemExit(2)
    try:
        paths = solved_notebooks() if arguments.all else [notebook_path(number) for number in arguments.number]
        for path in paths:
            copy, written = write_learner_copy(path)
            state = "written" if written else "there already, left as it is"
            if arguments.update and not written:
                state = _updated(path)
            print(f"{shown(copy)}: {state}")
        if arguments.build:
            _build(paths)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot write a learner copy: {error}", file=sys.stderr)
        return 1
    return 0


def _updated(path: Path) -> str:
    from course_lib.course.workbook.update import update

    done = update(path)
    if done.state != "updated":
        return done.state
    if not done.twice:
        return f"updated, {done.changed} cells"
    return (
        f"updated, {done.changed} cells; where you and the course changed the same lines both cells stand, "
        f"the course's above yours: {', '.join(done.twice)}"
    )


def _build(paths: list[Path]) -> None:
    """Write `mine.py` out of all copies, and have the copies of `paths` use it."""
    from course_lib.course.workbook.build import add_cell, build
    from course_lib.course.workbook.counterparts import COUNTERPARTS
    from course_lib.course.workbook.mine import mine_file

    copies = [work_dir() / path.name for path in solved_notebooks() if (work_dir() / path.name).is_file()]
    done = build(copies)
    for each in done:
        if each.state not in ("as before", "not passed yet"):
            places = ", ".join(target.split(":")[1] for target, _ in COUNTERPARTS.get(each.exercise, ()))
            used = f" (later notebooks can use it for {places})" if places and each.state in ("new", "changed") else ""
            print(f"  {each.exercise}: {each.state}{used}")
    counts = Counter(each.state for each in done)
    print(f"{shown(mine_file())}: " + ", ".join(f"{number} {state}" for state, number in counts.items()))
    for path in paths:
        copy = work_dir() / path.name
        added = add_cell(copy, path.name[:2])
        print(f"{shown(copy)}: " + ("uses your functions" if added else "uses your functions already"))


def show_progress(arguments: argparse.Namespace) -> int:
    """The map with what is passed and where hints were taken, the exercises of started notebooks, what comes next."""
    entries, known = progress.read(), exercises()
    passed = {name for name in known if entries.get(name, {}).get("passed") is True}
    behind, there = _behind(), {path.name[:2] for path in solved_notebooks()}
    for part in SYLLABUS:
        print(part.title)
        for number, topic in part.notebooks:
            own = [name for name, e in known.items() if e.notebook == number]
            signs = "".join("■" if name in passed else "▪" if _tries(entries, name) else "□" for name in own)
            hints = sum(_count(entries, name, "hints") for name in own)
            notes = [f"{hints} hints" if hints > 1 else "1 hint"] if hints else []
            notes += [behind[number]] if behind.get(number) else []
            notes += ["not started" if number in there else "planned"] if number not in behind else []
            print(f"  {number} {topic:<34} {signs:<8} {', '.join(notes)}".rstrip())
            if any(name in entries for name in own):
                _show_exercises(own, entries)
    print(f"{len(passed)} of {len(known)} exercises passed  (■ passed, ▪ tried, □ not attempted yet)")
    following = next((name for name in known if name not in passed), None)
    if following:
        e = known[following]
        begin = f"; begin with: python -m course_lib start {e.notebook}" if e.notebook not in behind else ""
        print(f"next: {following} in notebook {e.notebook}: {e.title} ({e.minutes} minutes){begin}")
    return 0


def _show_exercises(names: list[str], entries: dict) -> None:
    known = exercises()
    for name in names:
        tries, hints = _tries(entries, name), _count(entries, name, "hints")
        passed = entries.get(name, {}).get("passed") is True
        state = "passed" if passed else f"tried {tries}×" if tries else "not attempted yet"
        taken = f", {hints} {'hint' if hints == 1 else 'hints'}" if hints else ""
        print(f"       {state:<18} {name}: {known[name].title} ({known[name].minutes} minutes{taken})")


def _tries(entries: dict, name: str) -> int:
    return _count(entries, name, "attempts")


def _count(entries: dict, name: str, what: str) -> int:
    value = entries.get(name, {}).get(what, 0)
    return value if isinstance(value, int) else 0


def _behind() -> dict[str, str]:
    """Number of a notebook that was started → what is to say of the learner's copy, if anything."""
    from course_lib.course.workbook.update import is_behind

    found = {}
    for path in solved_notebooks():
        number = path.name[:2]
        try:
            behind = is_behind(path)
            if behind is not None:
                found[number] = f"behind the course: start {number} --update" if behind else ""
        except ValueError:
            found[number] = "cannot be read"
    return found
