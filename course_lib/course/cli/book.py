"""`book`: the course as a site, built and served on this machine alone."""

import argparse
import functools
import sys
import webbrowser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from course_lib.course.exercises.learner import notebook_path


def book(arguments: argparse.Namespace) -> int:
    """Build the book and, unless told otherwise, serve it until Ctrl-C."""
    try:
        from course_lib.course.site.build import BookError, build
    except ImportError as error:
        print(f'the book needs {error.name}: python -m pip install -e ".[book]"', file=sys.stderr)
        return 1
    try:
        paths = [notebook_path(number) for number in arguments.number] or None
        site = build(paths, given=arguments.executed, workers=arguments.workers)
    except (BookError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if arguments.no_serve else serve(site, arguments.port, opened=not arguments.no_browser)


def serve(folder: Path, port: int, *, opened: bool) -> int:
    """Serve `folder` on loopback until Ctrl-C; port 0 takes a free one."""

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {
            ".mjs": "text/javascript",
            ".wasm": "application/wasm",
        }

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=str(folder)))
    except OSError as error:
        print(f"port {port}: {error}; try another one, --port 0 takes a free one", file=sys.stderr)
        return 1
    address = f"http://127.0.0.1:{server.server_port}/"
    print(f"{address} (Ctrl-C ends it)", flush=True)
    if opened:
        webbrowser.open(address)
    with server:
        server.serve_forever()
    return 0


def colab(arguments: argparse.Namespace) -> int:
    """Write the copies for Colab of all notebooks; git says which repository and which commit they install."""
    from course_lib.course.site.address import commit, repository
    from course_lib.course.site.colab import write_copies

    home, here = repository(), commit()
    if home is None or not here:
        print("git names no repository on GitHub as `origin`: Colab could install nothing", file=sys.stderr)
        return 1
    print(f"{len(write_copies(arguments.folder, home, here))} copies in {arguments.folder}")
    return 0
