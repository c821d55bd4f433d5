"""`grade`: many learners' copies, graded in sandboxes, as CSV or HTML."""

import argparse
import os
import sys
import time
from collections import Counter

from tqdm import tqdm

from course_lib.files import replacing


def grade(arguments: argparse.Namespace) -> int:
    """Grade the notebooks in a folder and write the table; copies that fail are no failure of the command."""
    if sys.platform != "linux":
        print("grading needs Linux: elsewhere, call it in a container, on Windows under WSL", file=sys.stderr)
        return 1
    if not arguments.folder.is_dir():
        print(f"there is no folder {arguments.folder}", file=sys.stderr)
        return 1
    strange = [str(path) for path in arguments.out if path.suffix not in (".csv", ".html")]
    if strange:
        print(f"--out: expected a name that ends in .csv or .html, got {', '.join(strange)}", file=sys.stderr)
        return 1
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: a process with one thread can be forked
    from course_lib.course.grading import report, sandbox
    from course_lib.course.grading.grade import copies, grade

    paths = copies(arguments.folder)
    if not paths:
        print(f"no notebooks in {arguments.folder}", file=sys.stderr)
        return 1
    limits = sandbox.Limits(seconds=arguments.seconds, memory=arguments.memory)
    started = time.monotonic()
    with tqdm(total=len(paths), unit="copy", disable=None) as bar:
        grades = grade(arguments.folder, limits, arguments.workers, lambda path: bar.update())
    notes = [f"{len(paths)} copies in {time.monotonic() - started:.0f} s."]
    if not sandbox.confined():
        notes.append(
            "No namespaces on this machine: the network was refused within Python only, files outside were in reach."
        )
    for path in arguments.out:
        text = report.as_csv(grades) if path.suffix == ".csv" else report.as_html(grades, notes)
        try:
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            print(f"cannot write {path}: {error}", file=sys.stderr)
            return 1
    counts = Counter(each.status for each in grades)
    print(" ".join([*notes, *(f"{status}: {count}." for status, count in counts.most_common())]))
    marked = len({each.copy for each in grades if each.marks})
    if marked:
        print(f"{marked} copies have marks: what they do beside the exercises, for you to look at")
    return 0
