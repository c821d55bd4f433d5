"""`live`: the page that hears you, served on this machine alone."""

import argparse
import sys

from course_lib.course.cli.book import serve
from course_lib.paths import cache_dir


def live(arguments: argparse.Namespace) -> int:
    """Make the page and serve it until Ctrl-C."""
    from course_lib.course.site.live import alone
    from course_lib.course.site.vendor import VendorError

    try:
        folder = alone(cache_dir() / "live")
    except (VendorError, FileNotFoundError) as error:  # no network and no earlier copy, or no model
        print(error, file=sys.stderr)
        return 1
    return serve(folder, arguments.port, opened=not arguments.no_browser)
