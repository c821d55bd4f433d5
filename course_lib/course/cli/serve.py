"""`serve`: one exported file as a service on this machine."""

import argparse
import sys
from dataclasses import replace


def serve(arguments: argparse.Namespace) -> int:
    """Serve until interrupted; exit code 1 where the file cannot be served."""
    try:
        import uvicorn

        from course_lib.export.serve import Limits, make_app

        limits = replace(Limits(), streams=arguments.streams)
        app = make_app(arguments.model, limits)
    except ImportError as error:
        print(f'{error}: pip install "course-lib[serve]"', file=sys.stderr)
        return 1
    except Exception as error:  # of onnxruntime's own kinds
        print(f"{arguments.model} cannot be served: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.model}, a {app.state.kind}, at http://127.0.0.1:{arguments.port}  (Ctrl+C ends it)", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", ws_max_size=limits.body)
    return 0
