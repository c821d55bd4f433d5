"""`lab`: the learner's copies, and JupyterLab with the first of them open."""

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from course_lib.course.cli.learner import start
from course_lib.course.exercises.learner import solved_notebooks
from course_lib.paths import PROJECT_ROOT, absolute_variables, work_dir

# Below it `labconfig/default_setting_overrides.json`: JupyterLab asks a newcomer nothing about news and updates.
SETTINGS = Path(__file__).parents[1] / "jupyter"


def lab(arguments: argparse.Namespace) -> int:
    """Write the copies that are missing, then run JupyterLab until it ends; returns its exit code.

    Its root is the checkout, so that the solved notebooks are in view; with COURSE_WORK, which may lie anywhere, it is
    that folder.
    """
    failed = start(argparse.Namespace(all=True, number=[], build=False, update=False))
    if failed:
        return failed
    work = work_dir().resolve()
    root = work if os.environ.get("COURSE_WORK") else PROJECT_ROOT
    first = (work / solved_notebooks()[0].name).relative_to(root).as_posix()
    command = [sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={root}"]
    if not any(re.match(r"--(ServerApp\.)?ip\b", option) for option in arguments.options):
        command.append("--ip=127.0.0.1")  # JupyterLab takes one alone: a container asks for all addresses
    command.append(f"--LabApp.default_url=/lab/tree/{quote(first)}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    settings = os.pathsep.join(filter(None, [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH")]))
    environment = os.environ | absolute_variables() | {"JUPYTER_CONFIG_PATH": settings}
    server = subprocess.Popen([*command, *arguments.options], env=environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's: it asks whether to shut down
    return server.wait()
