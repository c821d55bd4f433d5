"""`measure`: repeat a recorded run of `course_lib/course/experiments`, or ask whether its numbers still hold."""

import argparse
import sys

from course_lib.course.experiments import experiments, load


def measure(arguments: argparse.Namespace) -> int:
    """List the recorded runs; or check one or all; or hand the rest of the command line to the one that was named."""
    if arguments.name is None and not (arguments.check or arguments.stale):
        for name, line in experiments().items():
            print(f"{name:<28} {line}")
        return 0
    try:
        modules = [load(name) for name in ([arguments.name] if arguments.name else experiments())]
    except KeyError as error:
        print(error.args[0], file=sys.stderr)
        return 1
    if arguments.check:
        return max([_check(module.EXPERIMENT) for module in modules])
    if arguments.stale:
        return max([_stale(module.EXPERIMENT, each=arguments.name is not None) for module in modules])
    from course_lib.course.experiments.runner import run

    prog = f"python -m course_lib measure {arguments.name}"
    run(modules[0].EXPERIMENT, arguments.options, prog, modules[0].__doc__)
    return 0


def _check(experiment) -> int:
    from course_lib.course.experiments import check

    try:
        seconds = check.cost(experiment)
        print(f"{experiment.table}: {experiment.cheapest}, once ({seconds:.0f} s when recorded)", flush=True)
        failed = check.recheck(experiment)
    except FileNotFoundError as error:
        print(f"{experiment.table}: left out: {error}")
        return 0
    print("\n".join(failed) or f"{experiment.table}: holds", flush=True)
    return int(bool(failed))


def _stale(experiment, each: bool) -> int:
    from course_lib.course.experiments.check import stale

    found = stale(experiment)
    print(f"{experiment.table}: {len(found)} rows recorded by other code than {experiment.code}")
    for row in found.itertuples() if each else ():
        print(f"  {row.measure}: {row.why}")
    return 0
