"""Where things live: one place for the few folders that several rooms share."""

import os
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = PROJECT_ROOT / "notebooks"
FIGURES = PROJECT_ROOT / "figures"
RESULTS = FIGURES / "results"


def data_roots() -> list[Path]:
    """Folders in which data sets are looked for, in order: $COURSE_DATA where it is set, then `data/` here."""
    roots = [PROJECT_ROOT / "data"]
    if os.environ.get("COURSE_DATA"):
        roots.insert(0, Path(os.environ["COURSE_DATA"]).expanduser())
    return roots


def cache_dir() -> Path:
    """Where decoded and generated signals are kept: $COURSE_CACHE, or `data/cache/` (ignored by git)."""
    return Path(os.environ.get("COURSE_CACHE") or PROJECT_ROOT / "data" / "cache").expanduser()


def work_dir() -> Path:
    """The learner's own folder (copies of notebooks, progress): $COURSE_WORK, or `work/` (ignored by git)."""
    return Path(os.environ.get("COURSE_WORK") or PROJECT_ROOT / "work").expanduser()
