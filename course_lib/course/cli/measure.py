"""`measure`: repeat a recorded run of `course_lib/course/experiments`."""

import argparse
import shlex
import sys

from course_lib.course.experiments import experiments, load


def measure(arguments: argparse.Namespace) -> int:
    """List the recorded runs, or hand the rest of the command line to the one that was named."""
    if arguments.name is None:
        for name, line in experiments().items():
            print(f"{name:<24} {line}")
        return 0
    try:
        experiment = load(arguments.name)
    except KeyError as error:
        print(error.args[0], file=sys.stderr)
        return 1
    prog = f"python -m course_lib measure {arguments.name}"
    parser = argparse.ArgumentParser(prog=prog, description=experiment.__doc__)
    if hasattr(experiment, "add_arguments"):
        experiment.add_arguments(parser)
    options = parser.parse_args(arguments.options)
    options.command = shlex.join([*prog.split(), *arguments.options])
    experiment.run(options)
    return 0
