"""The recorded runs as modules, and the rows of their tables."""

import importlib
from types import ModuleType

from course_lib.course.experiments import experiments, results

RECORDED = {name: set(results.read(name)["measure"]) for name in experiments()}


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"course_lib.course.experiments.{name}")
