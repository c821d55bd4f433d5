"""Grading is for Linux."""

import sys

collect_ignore_glob = ["test_*.py"] if sys.platform != "linux" else []
