"""`data list`, `data fetch NAME`, `data verify [NAME]`."""

import argparse
import sys

from course_lib.data.catalogue import fetch, list_datasets, verify


def data(arguments: argparse.Namespace) -> int:
    """List the sets, download one, or check what is on disk (all sets that are there, where none is named)."""
    if arguments.action == "list":
        for info in list_datasets():
            print(f"{info.name:<10} {info.status:<7} {info.description} ({info.licence})")
            print(f"{'':<18} {info.where or 'to get it: ' + info.how_to_get}")
        return 0
    if arguments.action == "fetch" and arguments.name is None:
        print("data fetch needs a name; `data list` shows them", file=sys.stderr)
        return 2
    try:
        if arguments.action == "fetch":
            print(f"{arguments.name}: in {fetch(arguments.name)}")
            return 0
        named = [arguments.name] if arguments.name else [d.name for d in list_datasets() if d.status == "ready"]
        return max([_verify(name) for name in named], default=0)
    except (ValueError, OSError) as error:  # a wrong name, an absent set, no network, a file that fails its checksum
        print(error, file=sys.stderr)
        return 1


def _verify(name: str) -> int:
    problems = verify(name)
    print(f"{name}: ok" if not problems else f"{name}: {len(problems)} problems")
    for problem in problems:
        print(f"  {problem}")
    return 1 if problems else 0
