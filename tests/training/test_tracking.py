"""Runs can be watched, offline and without an account; nothing is needed and nothing is sent."""

import os
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from matplotlib.figure import Figure

from course_lib.training import TensorBoardTracker, WandbTracker, fit


@pytest.fixture
def no_account(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # whoever tried to send something would fail


def test_fit_tells_the_tracker_every_row(task):
    class Log:
        def __init__(self):
            self.rows = {}

        def log(self, metrics, step):
            self.rows[step] = metrics

    t, log = task(), Log()
    history = fit(t.model, t.loader, epochs=3, validation=t.validation, tracker=log, device="cpu", progress=False)
    assert log.rows == {row["epoch"]: {k: v for k, v in row.items() if k != "epoch"} for row in history.rows}


def test_wandb_runs_offline_without_a_key(task, tmp_path, no_account, capfd):
    t = task()
    tracker = WandbTracker(group="g", name="first", config={"rate": 0.1}, directory=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()  # opened with the first entry
    fit(t.model, t.loader, epochs=2, tracker=tracker, device="cpu", progress=False)
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    tracker.figure("line", figure)
    tracker.close()
    tracker.close()
    (run,) = (tmp_path / "runs" / "wandb").glob("offline-run-*")
    assert list(run.glob("run-*.wandb"))[0].stat().st_size > 0
    assert list(run.glob("files/media/images/line_*.png"))
    assert str(tmp_path) not in "".join(capfd.readouterr())  # no paths in a notebook's output


def test_tensorboard_files_hold_curves_and_figures(task, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    t = task()
    tracker = TensorBoardTracker("first", directory=tmp_path)
    history = fit(t.model, t.loader, epochs=3, validation=t.validation, tracker=tracker, device="cpu", progress=False)
    tracker.figure("empty", Figure())
    tracker.close()
    events = EventAccumulator(str(tmp_path / "first"))
    events.Reload()
    curve = events.Scalars("validation_loss")
    assert [event.step for event in curve] == [1, 2, 3]
    assert [event.value for event in curve] == pytest.approx(list(history.table.validation_loss))
    assert events.Tags()["images"] == ["empty"]


def test_neither_tool_is_imported_before_it_is_asked_for():
    code = "import sys, course_lib.training; print({'wandb', 'tensorboard', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


TRACKERS = {
    "wandb": "WandbTracker(directory=folder)",
    "wandb that was imported before": "__import__('wandb') and WandbTracker(directory=folder)",
    "tensorboard": "TensorBoardTracker('run', directory=folder)",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "ending"),
    [(kind, "tracker.close()") for kind in TRACKERS] + [("wandb", "raise SystemExit(1)")],
)
def test_offline_no_tracker_opens_a_connection(kind, ending, tmp_path):
    """A proxy on this machine sees every attempt, error reports at the process's end included."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
    unset = ("no_proxy", "wandb_mode", "wandb_api_key", "wandb_error_reporting")
    environment = {name: value for name, value in os.environ.items() if name.lower() not in unset}
    environment |= {name: proxy for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy")}
    code = f"""
        from matplotlib.figure import Figure
        from course_lib.training import TensorBoardTracker, WandbTracker
        folder = {str(tmp_path)!r}
        tracker = {TRACKERS[kind]}
        tracker.log({{"a": 1.0}}, 1)
        tracker.figure("empty", Figure())
        {ending}
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=environment)
    seen, end = [], None
    while end is None or time.monotonic() < end:
        try:
            connection, _ = server.accept()
            seen.append(connection.recv(200))
            connection.close()
        except TimeoutError:
            pass
        if end is None and child.poll() is not None:
            end = time.monotonic() + 3
    server.close()
    assert not seen, seen
