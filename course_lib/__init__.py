"""Signals from Scratch: the small, tested library that the course's notebooks build towards and lean on.

Rooms: `sequence`, `layers`, `models`, `losses`, `data`, `events`, `training`, `plots`, `estimator`, `export`; `course`
holds the machinery of the course itself, which no other room imports. Each is imported by name (`from course_lib.models
import AudioCNN`); this file imports nothing, so that `import course_lib` costs nothing.
"""

__version__ = "0.2.0"
