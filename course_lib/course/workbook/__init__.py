"""The learner's own files: what a copy of a notebook holds, the library built from it, and newer versions merged in."""
