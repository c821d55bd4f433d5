"""Executing one notebook headless: its time, peak memory and errors."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from course_lib.paths import absolute_variables


@dataclass(frozen=True)
class Execution:
    """What happened: `notebook` holds the outputs; `error` is empty where every cell ran."""

    notebook: nbformat.NotebookNode
    seconds: float
    peak_bytes: int  # resident memory of the kernel and its children, sampled every 0.2 s
    error: str

    @property
    def ok(self) -> bool:
        return not self.error

    @property
    def figures(self) -> int:
        """Number of PNG outputs."""
        return sum(
            "image/png" in output.get("data", {})
            for cell in self.notebook.cells
            if cell.cell_type == "code"
            for output in cell.outputs
        )


def execute(
    notebook: nbformat.NotebookNode,
    folder: Path,
    *,
    environment: dict[str, str] | None = None,
    timeout: int = 300,
    stop: threading.Event | None = None,
) -> Execution:
    """Run all cells of `notebook` in a fresh kernel that stands in `folder`; stops at the first error.

    environment: variables added to this process's own; OMP_NUM_THREADS is 1 unless set there, since two notebooks that
    share two cores with two threads each take ten times as long.  timeout: seconds a cell may take.
    stop: once it is set, by another thread, the kernel is killed, which is an error of the notebook.
    """
    env = os.environ | {"OMP_NUM_THREADS": "1"} | absolute_variables() | (environment or {})
    client = NotebookClient(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors only: a kernel's start is no news
    )
    watch = _Watch(client, stop or threading.Event())
    error = ""
    start = time.perf_counter()
    with watch:
        try:
            client.execute(env=env)
        except CellExecutionError as failure:
            error = f"{failure.ename}: {failure.evalue}".splitlines()[0]
        except Exception as failure:  # noqa: BLE001  a dead kernel, a time-out: one notebook's trouble, not the course's
            error = f"{type(failure).__name__}: {failure}".splitlines()[0]
    return Execution(notebook, time.perf_counter() - start, watch.peak, error)


class _Watch:
    """On a thread of its own: samples the memory of a client's kernel and its children, and kills them at `stop`."""

    def __init__(self, client: NotebookClient, stop: threading.Event, interval: float = 0.2):
        self.client, self.stop, self.interval, self.peak = client, stop, interval, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(self.interval):
            pid = getattr(getattr(self.client.km, "provisioner", None), "pid", None)
            if not pid:
                continue
            try:
                kernel = psutil.Process(pid)
                family = [kernel, *kernel.children(recursive=True)]
                self.peak = max(self.peak, sum(process.memory_info().rss for process in family))
                if self.stop.is_set():
                    for process in family:
                        process.kill()
            except psutil.Error:  # a process ended between two questions
                continue
