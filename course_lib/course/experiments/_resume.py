"""What a stopped run has finished already."""

import json
from collections.abc import Callable
from pathlib import Path

from course_lib.files import replacing


def once(file: Path, measure: Callable[[], dict]) -> dict:
    """What `measure()` returned: read from `file` where it is there, else measured and kept in it as JSON."""
    if not file.exists():
        found = measure()
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(found), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))
