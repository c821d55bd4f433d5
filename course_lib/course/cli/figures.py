"""`figures`: draw the pictures in figures/ that README shows."""

import argparse
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from course_lib import plots
from course_lib.course.cli.pictures import PICTURES, NotHere
from course_lib.paths import FIGURES


def figures(arguments: argparse.Namespace) -> int:
    """Draw the named pictures, or all, into figures/."""
    unknown = set(arguments.name) - set(PICTURES)
    if unknown:
        print(f"no figure is called {', '.join(unknown)}; there are: {', '.join(PICTURES)}", file=sys.stderr)
        return 1
    FIGURES.mkdir(exist_ok=True)
    plots.style()
    for name in arguments.name or PICTURES:
        try:
            figure = PICTURES[name]()
        except NotHere as reason:
            print(f"figures/{name}.png: left as it is; {reason}")
            continue
        # No time stamp or version in the file: the same picture is the same bytes.
        figure.savefig(FIGURES / f"{name}.png", dpi=110, metadata={"Software": None})
        plt.close(figure)
        print(f"figures/{name}.png")
    return 0
