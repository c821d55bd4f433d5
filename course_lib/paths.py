"""Where things live: one place for the few folders that several rooms share.

Worked through from its checkout, the course keeps everything in there. Installed as a package it has no checkout: what
it keeps then goes to the user's own folders, as the operating system has them.
"""

import os
from pathlib import Path
from typing import Literal

PROJECT_ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = PROJECT_ROOT / "notebooks"
FIGURES = PROJECT_ROOT / "figures"
RESULTS = FIGURES / "results"


def in_checkout() -> bool:
    """Whether the library lies in the course's checkout, with notebooks and recorded results beside it."""
    return (PROJECT_ROOT / "pyproject.toml").is_file()


def data_roots() -> list[Path]:
    """Folders in which data sets are looked for, in order: $COURSE_DATA where it is set, then `data/` in the checkout.

    Without a checkout the second is the user's data folder.
    """
    chosen, here = _chosen("COURSE_DATA"), PROJECT_ROOT if in_checkout() else _users("data")
    return [*([chosen] if chosen else []), here / "data"]


def cache_dir() -> Path:
    """Where decoded and generated signals are kept: $COURSE_CACHE, or `data/cache/` in the checkout (ignored by git).

    Without a checkout it is the user's cache folder.
    """
    return _chosen("COURSE_CACHE") or (PROJECT_ROOT / "data" / "cache" if in_checkout() else _users("cache"))


def work_dir() -> Path:
    """The learner's own folder (copies of notebooks, progress): $COURSE_WORK, or `work/` in the checkout.

    Without a checkout it lies in the user's data folder.
    """
    return _chosen("COURSE_WORK") or (PROJECT_ROOT if in_checkout() else _users("data")) / "work"


def runs_dir() -> Path:
    """Where trackers write: `runs/` in the checkout (ignored by git), or in the folder that Python was started from."""
    return (PROJECT_ROOT if in_checkout() else Path.cwd()) / "runs"


def absolute_variables() -> dict[str, str]:
    """The course's variables that name folders, for a process that will stand in another folder than this one."""
    folders = {variable: _chosen(variable) for variable in ("COURSE_DATA", "COURSE_CACHE", "COURSE_WORK")}
    return {variable: str(folder.absolute()) for variable, folder in folders.items() if folder}


def _chosen(variable: str) -> Path | None:
    """The folder that an environment variable names; an empty one names none."""
    value = os.environ.get(variable)
    return Path(value).expanduser() if value else None


def _users(kind: Literal["cache", "data"]) -> Path:
    """The user's own folder of one kind, such as ~/.cache/course-lib."""
    import platformdirs  # here: in a checkout `doctor` runs before anything is installed

    return Path(getattr(platformdirs, f"user_{kind}_dir")("course-lib", appauthor=False))
