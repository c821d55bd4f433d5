"""What a learner has passed so far: one small JSON file in the learner's own folder."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from course_lib.files import replacing
from course_lib.paths import work_dir

LONGEST_WAIT = 10  # seconds for another kernel to finish its entry; then this one is left out, and the notebook goes on
_unsaved: Counter[str] = Counter()  # hints shown in this kernel where the folder cannot be written


def progress_file() -> Path:
    """`progress.json` in the learner's folder."""
    return work_dir() / "progress.json"


def read() -> dict[str, dict[str, Any]]:
    """Name of the exercise → {"passed": bool, "attempts": int, "hints": int, "last": ISO time}.

    A missing or damaged file reads as empty, a damaged entry as none.
    """
    return _read()[0]


def record(name: str, status: str) -> None:
    """Note one run of a check: what was passed stays passed, and a blank is no attempt."""
    if status in ("passed", "hint"):
        _change(name, attempts=1, passed=status == "passed")


def hints_taken(name: str) -> int:
    """How many steps of the ladder of hints were shown."""
    return _number(read().get(name, {}), "hints") + _unsaved[name]


def take_hint(name: str) -> None:
    """Note that one more hint was shown."""
    _change(name, hints=1)


def record_prediction(notebook: str, question: str, **fields: str) -> None:
    """Keep what was predicted and what came, under "predictions 01"; that is no entry of an exercise."""

    def put(entries: dict[str, dict[str, Any]]) -> None:
        entries.setdefault(f"predictions {notebook}", {})[question] = fields

    _write(put)


def _change(name: str, *, attempts: int = 0, hints: int = 0, passed: bool = False) -> None:
    """Add to an exercise's entry."""

    def add(entries: dict[str, dict[str, Any]]) -> None:
        entry = entries.get(name, {})
        entries[name] = {
            "passed": passed or entry.get("passed") is True,
            "attempts": _number(entry, "attempts") + attempts,
            "hints": _number(entry, "hints") + hints,
            "last": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    if not _write(add):
        _unsaved[name] += hints


def _write(change: Callable[[dict[str, dict[str, Any]]], None]) -> bool:
    """Change the file's entries; returns whether that could be written.

    Several kernels may record at once: each waits for its turn. A file that cannot be read, wholly or in part, is kept
    beside the new one as `progress-damaged-1.json` and so on. A folder that cannot be written is no error: the notebook
    goes on.
    """
    file = progress_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(".progress.lock"), timeout=LONGEST_WAIT):
            entries, whole = _read()
            if not whole:
                _set_aside(file)
            change(entries)
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError:
        return False
    return True


def _number(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name, 0)
    return value if isinstance(value, int) else 0


def _read() -> tuple[dict[str, dict[str, Any]], bool]:
    """The entries that can be read, and whether that is all that the file holds; no file holds nothing."""
    try:
        content = json.loads(progress_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, True
    except (OSError, ValueError, RecursionError):
        return {}, False
    if not isinstance(content, dict):
        return {}, False
    entries = {name: entry for name, entry in content.items() if isinstance(entry, dict)}
    return entries, len(entries) == len(content)


def _set_aside(file: Path) -> None:
    """Give `file` a name of its own beside where it was; an earlier one keeps its name."""
    number = 1
    while (kept := file.with_name(f"{file.stem}-damaged-{number}{file.suffix}")).exists():
        number += 1
    file.rename(kept)
