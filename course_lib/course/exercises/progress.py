"""What a learner has passed so far: one small JSON file in the learner's own folder."""

import json
from datetime import UTC, datetime
from pathlib import Path

from course_lib.files import replacing
from course_lib.paths import work_dir


def progress_file() -> Path:
    """`progress.json` in the learner's folder."""
    return work_dir() / "progress.json"


def read() -> dict[str, dict]:
    """Name of the exercise → {"passed": bool, "attempts": int, "last": ISO time}.

    A missing or damaged file reads as empty.
    """
    try:
        content = json.loads(progress_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: entry for name, entry in content.items() if isinstance(entry, dict)}


def record(name: str, status: str) -> None:
    """Note one run of a check: what was passed stays passed, and a blank is no attempt.

    A folder that cannot be written is no error: the notebook goes on.
    """
    if status not in ("passed", "hint"):
        return
    entries = read()
    entry = entries.get(name, {})
    attempts = entry.get("attempts", 0)
    entries[name] = {
        "passed": status == "passed" or entry.get("passed") is True,
        "attempts": (attempts if isinstance(attempts, int) else 0) + 1,
        "last": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        with replacing(progress_file()) as temporary:
            temporary.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError:
        pass
