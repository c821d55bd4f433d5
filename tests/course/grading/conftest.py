"""Grading forks and sets limits as Unix has them."""

import sys

collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []
