"""The command line of the course: `python -m course_lib --help`.

Only argparse is imported here; each command imports what it needs when it runs.
Exit codes: 0 all well, 1 something is wrong and was said, 2 the command line itself, 130 interrupted.
"""

import argparse
import importlib
import sys
from pathlib import Path

from course_lib.paths import in_checkout

# What these commands take from the course's checkout, which the installed package does not carry.
NEEDS_CHECKOUT = {
    "learner:start": "the notebooks",
    "lab:lab": "the notebooks",
    "grade:grade": "the notebooks",
    "run:run": "the notebooks",
    "book:book": "the notebooks",
    "book:colab": "the notebooks",
    "figures:figures": "the recorded results",
    "measure:measure": "the recorded results",
}


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options; `command` is "module:function" below `course_lib.course.cli`."""
    parser = argparse.ArgumentParser(
        prog="python -m course_lib", description="Signals from Scratch: check the machine, start notebooks, run them."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: str, help: str, **options: object) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help, **options)
        sub.set_defaults(command=command)
        return sub

    add(
        "doctor",
        "doctor:doctor",
        "Check Python, packages, device, memory, disk and data sets; exit code 1 on a problem.",
    )

    start = add("start", "learner:start", "Write your own copy of a notebook into work/, solutions taken out.")
    which(start, "start", required=False)
    start.add_argument(
        "--build", action="store_true", help="write what passes into work/mine.py; the notebooks named use it"
    )
    start.add_argument("--update", action="store_true", help="merge newer versions into the copies that are there")

    lab = add("lab", "lab:lab", "Write the copies that are missing and open JupyterLab with the first of them.")
    lab.add_argument("options", nargs="*", metavar="-- OPTION", help="handed to JupyterLab, such as -- --no-browser")

    add(
        "progress",
        "learner:show_progress",
        "Show the map with what you have passed, which copies are behind, what comes next.",
    )

    grade = add("grade", "grade:grade", "Grade learners' copies: each exercise in a process without network or files.")
    grade.add_argument("folder", type=Path, help="where the copies are, also in sub-folders")
    grade.add_argument(
        "--out", type=Path, nargs="+", required=True, metavar="FILE", help="tables to write: .csv, .html"
    )
    grade.add_argument("--workers", type=int, default=2, metavar="N", help="copies at a time (default: %(default)s)")
    grade.add_argument(
        "--seconds", type=float, default=10, metavar="S", help="an exercise may take (default: %(default)s)"
    )
    grade.add_argument(
        "--memory", type=int, default=1024, metavar="MIB", help="an exercise may take (default: %(default)s)"
    )

    data = add("data", "data:data", "List, fetch or verify data sets.")
    data.add_argument("action", choices=("list", "fetch", "verify"), help="what to do")
    data.add_argument("name", nargs="?", help="a data set's name, as `data list` shows it")

    audio = add(
        "audio",
        "audio:audio",
        "Report on recordings of your own and train a model on them; `audio predict MODEL FILE...` uses it.",
    )
    audio.add_argument("source", help="a folder with one sub-folder per class, a CSV table, or the word predict")
    audio.add_argument("files", nargs="*", help="after predict: a saved model, and sound files")
    audio.add_argument(
        "--group", help="the table's column, or a regular expression on file names, of what must not leak"
    )
    audio.add_argument("--file", default="file", help="the table's column of files (default: %(default)s)")
    audio.add_argument("--label", default="label", help="the table's column of classes (default: %(default)s)")
    audio.add_argument("--sep", default=",", help="what separates the table's columns (default: %(default)s)")
    audio.add_argument("--rate", type=int, default=16_000, metavar="HZ", help="sample rate (default: %(default)s)")
    audio.add_argument("--duration", type=float, default=2.0, metavar="S", help="of a clip (default: %(default)s)")
    audio.add_argument(
        "--window", type=float, metavar="S", help="cut recordings into windows of that length, in place of --duration"
    )
    audio.add_argument("--epochs", type=int, default=40, help="of each training (default: %(default)s)")
    audio.add_argument("--folds", type=int, default=5, help="of the cross-validation (default: %(default)s)")
    audio.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    audio.add_argument(
        "--out", help="a folder for the report (default: report), or a CSV for predictions (default: shown)"
    )

    run = add("run", "run:run", "Execute solved notebooks headless; time, peak memory and ok for each, also as a CSV.")
    which(run, "execute")
    run.add_argument("--output", type=Path, metavar="DIR", help="where executed copies go (default: executed/)")
    run.add_argument("--workers", type=int, default=2, metavar="N", help="notebooks at a time (default: %(default)s)")
    run.add_argument(
        "--timeout", type=int, default=300, metavar="S", help="seconds a cell may take (default: %(default)s)"
    )

    book = add("book", "book:book", "Build the course as a site, executing what has changed, and serve it here.")
    book.add_argument("number", nargs="*", default=[], help="only these notebooks, such as 02 (default: all)")
    book.add_argument("--executed", type=Path, metavar="DIR", help="take outputs of `run` where the code is today's")
    book.add_argument("--workers", type=int, default=2, metavar="N", help="notebooks at a time (default: %(default)s)")
    book.add_argument("--port", type=int, default=8001, metavar="N", help="(default: %(default)s)")
    book.add_argument("--no-serve", action="store_true", help="build only")
    book.add_argument("--no-browser", action="store_true", help="serve without opening a browser")

    live = add("live", "live:live", "Serve the page that hears you on this machine: models that run in the browser.")
    live.add_argument("--port", type=int, default=8002, metavar="N", help="0 takes a free one (default: %(default)s)")
    live.add_argument("--no-browser", action="store_true", help="serve without opening a browser")

    colab = add("colab", "book:colab", "Write copies for Colab: the learner's, below a cell that installs the course.")
    colab.add_argument("folder", type=Path, help="where they go")

    serve = add(
        "serve", "serve:serve", "Serve an exported model on this machine: recordings by POST, streams by WebSocket."
    )
    serve.add_argument("model", type=Path, help="a file that course_lib.export wrote")
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="(default: %(default)s)")
    serve.add_argument("--streams", type=int, default=200, metavar="N", help="open at once (default: %(default)s)")

    figures = add("figures", "figures:figures", "Rebuild the pictures in figures/ that README shows.")
    figures.add_argument("name", nargs="*", help="which (default: all)")

    measure = add(
        "measure",
        "measure:measure",
        "Repeat a recorded run and write its result file, or check the recorded numbers.",
        epilog="see also: measure NAME --help",
    )
    measure.add_argument("name", nargs="?", help="which run; without it, the runs are listed")
    measure.add_argument("--check", action="store_true", help="measure one cell of each table again, and compare")
    measure.add_argument("--stale", action="store_true", help="list the rows that earlier code recorded")
    measure.add_argument("options", nargs=argparse.REMAINDER, help="the run's own options")
    return parser


def which(parser: argparse.ArgumentParser, verb: str, required: bool = True) -> None:
    """Add the choice of notebooks: numbers, or --all."""
    choice = parser.add_mutually_exclusive_group(required=required)
    choice.add_argument("number", nargs="*", default=[], help=f"the notebooks to {verb}, such as 02")
    choice.add_argument("--all", action="store_true", help=f"{verb} every notebook")


def main(argv: list[str] | None = None) -> int:
    """Parse `argv` (default: the command line), run the command, return its exit code."""
    arguments = build_parser().parse_args(argv)
    if arguments.command in NEEDS_CHECKOUT and not in_checkout():
        needs = NEEDS_CHECKOUT[arguments.command]
        print(f"this needs {needs}, which lie in the course's checkout: clone it and call this there", file=sys.stderr)
        return 1
    module, function = arguments.command.split(":")
    try:
        return getattr(importlib.import_module(f"course_lib.course.cli.{module}"), function)(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
