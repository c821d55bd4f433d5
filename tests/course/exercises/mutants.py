"""How many wrong answers pass: the notebooks' solutions, each with one thing changed, put to the checks.

    python -m tests.course.exercises.mutants                 all exercises
    python -m tests.course.exercises.mutants 03 lstm_step    those of notebook 03, and one more
    python -m tests.course.exercises.mutants --sample 200 --seed 1
    python -m tests.course.exercises.mutants --hints 60      what learners would read

A mutant counts if it differs from the solution on a valid input: on one that the reference's maker gives for other
seeds than the check's. Each exercise runs in a process of its own, each mutant within a time limit.
"""

import argparse
import ast
import multiprocessing
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from course_lib.course.exercises import Exercise, exercises, run_check, trial
from course_lib.course.exercises.compare import equal
from course_lib.course.exercises.deadline import OutOfTime, deadline
from course_lib.course.exercises.learner import BEGIN
from course_lib.course.exercises.mutants import compiled, mutants
from tests.course.exercises.conftest import NOTEBOOK_EXERCISES

SEEDS = range(1, 13)  # the check itself uses 0
PATIENCE = 30.0  # seconds for one mutant, before its process is ended


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant: whether it differs from the solution, and what the check said."""

    change: str
    code: str
    differs: bool
    status: str = ""
    message: str = ""


def answers(exercise: Exercise) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """(what was changed, the code, the function or class): mutants of the solution, and answers by rote."""
    notebook = NOTEBOOK_EXERCISES[exercise.notebook]
    source, names = notebook.solution(exercise.name), notebook.namespace(exercise.name, solved=True)
    lines = [line.strip() for line in source.splitlines()]
    for change, module in mutants(source, lines.index(BEGIN) + 1, len(lines)):
        try:
            yield change, _inner(module), compiled(module, names)
        except (SyntaxError, ValueError, TypeError, NameError):  # no valid Python, such as a swapped `a = b` target
            continue
    (solution,) = notebook.arguments(exercise.name, solved=True)
    if not isinstance(solution, type):
        yield "the first answer for ever", "", _memorised(solution)
        yield from _fixed(exercise, solution)


@cache
def listed(name: str) -> list[tuple[str, str, Callable[..., Any]]]:
    """`answers` to an exercise, made once: the processes that judge them inherit it."""
    return list(answers(exercises()[name]))


def _inner(module: ast.Module) -> str:
    """The mutant's body, without the definition's line and docstring."""
    text = ast.unparse(module).splitlines()[1:]
    return "\n".join(line for line in text if '"""' not in line)


def _memorised(solution: Callable[..., Any]) -> Callable[..., Any]:
    kept: list[Any] = []

    def answer(*args: Any) -> Any:
        if not kept:
            kept.append(solution(*args))
        return kept[0]

    return answer


def _fixed(exercise: Exercise, solution: Callable[..., Any]) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Answers that take one parameter from one of the check's first inputs, whatever they are given."""
    calls: list[tuple[Any, ...]] = []

    def recorded(*args: Any) -> Any:
        calls.append(args)
        return solution(*args)

    for case in list(exercise.cases(0))[:4]:
        exercise.apply(recorded, trial.copied(exercise, case.args, False))
    for call in calls[:4]:
        for i in range(len(call)):

            def answer(*args: Any, i: int = i, value: Any = call[i]) -> Any:
                return solution(*args[:i], value, *args[i + 1 :])

            yield f"parameter {i} fixed", "", answer


def _differs(exercise: Exercise, answer: Callable[..., Any]) -> bool:
    for seed in SEEDS:
        for case in exercise.cases(seed):
            expected = exercise.apply(exercise.function, trial.copied(exercise, case.args, False))
            try:
                with deadline(2.0):
                    came = exercise.apply(answer, trial.copied(exercise, case.args, False))
            except (Exception, OutOfTime):
                return True
            if not equal(came, expected, exercise.rtol):
                return True
    return False


def judge(exercise: Exercise, numbers: list[int], pipe: Connection) -> None:
    """Send the verdict on each of these mutants, in a process of its own."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    trial.SECONDS = 2.0
    for number in numbers:
        change, code, answer = listed(exercise.name)[number]
        if not _differs(exercise, answer):
            pipe.send(Verdict(change, code, False))
            continue
        again = list(answers(exercise))[number][2] if change == "the first answer for ever" else answer
        outcome = run_check(exercise.name, again)
        pipe.send(Verdict(change, code, True, outcome.status, outcome.message))
    pipe.close()


def verdicts(exercise: Exercise, numbers: list[int]) -> Iterator[Verdict]:
    """The verdict on each mutant; one that hangs or ends its process is not passed."""
    left = list(numbers)
    while left:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=judge, args=(exercise, left, theirs))
        process.start()
        theirs.close()
        try:
            while left:
                if not ours.poll(PATIENCE):
                    raise EOFError
                yield ours.recv()
                left = left[1:]
        except EOFError:
            yield Verdict("a mutant that hangs or ends its process", "", True, "ended")
            left = left[1:]
        finally:
            process.kill()
            process.join()


def chosen(names: list[str], sample: int | None, seed: int) -> list[tuple[Exercise, list[int]]]:
    """The exercises of these names or notebooks that have a reference, each with the numbers of its mutants to try."""
    found = [e for e in exercises().values() if e.inputs and (not names or e.name in names or e.notebook in names)]
    everything = [(e, n) for e in found for n in range(len(listed(e.name)))]
    if sample is not None:
        everything = random.Random(seed).sample(everything, min(sample, len(everything)))
    return [(e, sorted(n for other, n in everything if other is e)) for e in found]


def main(argv: list[str] | None = None) -> int:
    """Print a line an exercise and the sum; 1 if more than one in two hundred of those that differ pass."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="notebooks or exercises; without, all of them")
    parser.add_argument("--sample", type=int, help="so many mutants of all, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hints", type=int, default=0, help="show so many mutants with their hints")
    arguments = parser.parse_args(argv)
    shown: list[tuple[str, Verdict]] = []
    different = passed = 0
    for exercise, numbers in chosen(arguments.names, arguments.sample, arguments.seed):
        if not numbers:
            continue
        found = list(verdicts(exercise, numbers))
        counted = [v for v in found if v.differs]
        survivors = [v for v in counted if v.status == "passed"]
        different, passed = different + len(counted), passed + len(survivors)
        print(
            f"{exercise.notebook} {exercise.name:<26} {len(found):4} mutants, {len(counted):4} differ, "
            f"{len(survivors):3} pass",
            flush=True,
        )
        for survivor in survivors:
            print(f"     {survivor.change}\n{survivor.code}")
        shown += [(exercise.name, v) for v in counted if v.code and v.status != "passed"]
    print(f"{passed} of {different} mutants that differ pass ({100 * passed / max(different, 1):.2f} %)")
    for name, verdict in random.Random(arguments.seed).sample(shown, min(arguments.hints, len(shown))):
        print(f"\n{name}: {verdict.change}\n{verdict.code}\n--> {verdict.status}: {verdict.message}")
    return int(200 * passed > different)


if __name__ == "__main__":
    sys.exit(main())
