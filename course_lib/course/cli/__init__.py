"""What the commands of `python -m course_lib` do, one file a command. `course_lib/__main__.py` parses and dispatches.

Each function takes the parsed arguments and returns the exit code: 0 all well, 1 something is wrong and was said.
"""

from pathlib import Path

from course_lib.paths import PROJECT_ROOT


def shown(path: Path) -> Path:
    """`path` as a reader sees it: from the project's folder where it lies inside."""
    return path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path
