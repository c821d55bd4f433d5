"""`python -m course_lib`: what each command prints, writes and returns."""

import csv
import signal
import subprocess
import sys
import time

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course_lib import __main__ as command_line
from course_lib.course.cli.execute import execute
from course_lib.course.exercises import exercises, learner, progress


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No test touches the reader's own files."""
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "nothing here"))


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """A course of two notebooks: `02_works`, with one figure, and `03_breaks`."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    works = ["import os\nassert os.environ['COURSE_CHECK'] == 'raise'", "x = bytearray(300 * 2**20)", "len(x)"]
    works += ["import time\ntime.sleep(1)\ndisplay({'image/png': 'AA=='}, raw=True)"]
    for name, sources in (("02_works", works), ("03_breaks", ["1 + 1", "raise ValueError('for a reason')", "2"])):
        cells = [new_code_cell(source) for source in sources]
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    monkeypatch.setattr(learner, "NOTEBOOKS", folder)
    return folder


def run(*arguments: str) -> int:
    return command_line.main(list(arguments))


@pytest.mark.parametrize(
    "command", ["doctor", "start", "lab", "progress", "grade", "data", "run", "serve", "figures", "measure"]
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    assert stop.value.code == 0
    assert f"python -m course_lib {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["start"], ["run"], ["start", "00", "--all"], ["data", "burn"]]
)
def test_wrong_command_lines_exit_with_2(arguments):
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2


def test_help_imports_nothing_heavy():
    code = "import sys; from course_lib.__main__ import build_parser; build_parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "matplotlib", "nbformat", "pandas"} & set(done.stdout.split())


def test_as_a_module_from_any_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "course_lib", "start", "77"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith("there is no notebook '77'; there are: 00")


@pytest.mark.parametrize("arguments", [["start", "--all"], ["run", "00"], ["figures"], ["measure"]], ids=" ".join)
def test_what_needs_the_checkout_says_so_without_one(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("course_lib.paths.PROJECT_ROOT", tmp_path)
    assert run(*arguments) == 1
    error = capsys.readouterr().err
    assert "which lie in the course's checkout" in error and error.count("\n") == 1


class TestStart:
    def test_writes_once_and_leaves_the_learners_file(self, tmp_path, capsys):
        assert run("start", "0") == 0
        copy = next((tmp_path / "work").glob("00_*.ipynb"))
        assert copy.name in capsys.readouterr().out
        copy.write_text("mine")
        assert run("start", "--all") == 0
        assert "left as it is" in capsys.readouterr().out and copy.read_text() == "mine"

    def test_folder_that_cannot_be_written(self, tmp_path, monkeypatch, capsys):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("COURSE_WORK", str(tmp_path / "file" / "work"))
        assert run("start", "00") == 1
        assert "cannot write" in capsys.readouterr().err


def test_progress_counts_what_was_passed(capsys):
    assert run("progress") == 0
    assert f"0 of {len(exercises())} exercises passed" in capsys.readouterr().out
    progress.record("rms", "hint")
    progress.record("rms", "passed")
    progress.record("cut", "hint")
    assert run("progress") == 0
    out = capsys.readouterr().out
    assert f"1 of {len(exercises())} exercises passed" in out
    assert "passed             rms" in out and "tried 1×" in out


class TestRun:
    def test_good_and_broken_notebooks(self, notebooks, tmp_path, capfd):
        output = tmp_path / "out"
        assert run("run", "--all", "--output", str(output)) == 1
        out = capfd.readouterr().out
        assert "1 of 2 notebooks ok" in out and "FAILED  ValueError: for a reason" in out
        with open(output / "course.csv", newline="") as file:
            works, breaks = csv.DictReader(file)
        assert (works["notebook"], works["ok"], works["figures"], works["error"]) == ("02_works", "yes", "1", "")
        assert float(works["peak_gib"]) > 0.3 and float(works["seconds"]) > 1
        assert (breaks["ok"], breaks["error"]) == ("no", "ValueError: for a reason")
        broken = nbformat.read(output / "03_breaks.ipynb", as_version=4)
        assert broken.cells[0].outputs[0].data["text/plain"] == "2"
        assert broken.cells[1].outputs[0].output_type == "error" and broken.cells[2].outputs == []
        assert nbformat.read(notebooks / "02_works.ipynb", as_version=4).cells[2].outputs == []

    def test_one_notebook_that_works(self, notebooks, tmp_path, capsys):
        assert run("run", "2", "--output", str(tmp_path / "out")) == 0
        assert "02_works" in capsys.readouterr().out

    def test_unknown_number(self, notebooks, capsys):
        assert run("run", "2", "9") == 1
        assert "there is no notebook '9'; there are: 02, 03" in capsys.readouterr().err

    def test_runs_again_over_its_own_files(self, notebooks, tmp_path):
        output = tmp_path / "out"
        for _ in range(2):
            assert run("run", "3", "--output", str(output)) == 1
        assert {path.name for path in output.iterdir()} == {"03_breaks.ipynb", "course.csv", ".written.json"}

    @pytest.mark.parametrize("name", ["03_breaks.ipynb", "course.csv"])
    @pytest.mark.parametrize("kind", ["theirs", "changed since", "theirs, with our list", "link"])
    def test_never_writes_over_a_file_that_it_did_not_write(self, notebooks, tmp_path, capsys, name, kind):
        output = tmp_path / "out"
        mine = output / name
        if kind == "changed since":
            assert run("run", "3", "--output", str(output)) == 1
        output.mkdir(exist_ok=True)
        if kind == "theirs, with our list":
            (output / ".written.json").write_text("[1, 2")
        if kind == "link":
            mine.symlink_to(tmp_path / "elsewhere")
        else:
            mine.write_text("my notes")
        assert run("run", "3", "--output", str(output)) == 1
        assert f"{name} is there" in capsys.readouterr().err
        assert mine.is_symlink() if kind == "link" else mine.read_text() == "my notes"

    def test_file_that_comes_while_the_notebook_runs_is_left_alone(self, notebooks, tmp_path, capsys):
        notebook = nbformat.read(notebooks / "02_works.ipynb", as_version=4)
        mine = tmp_path / "out" / "02_works.ipynb"
        notebook.cells[0].source = f"import pathlib; pathlib.Path({str(mine)!r}).write_text('mine')"
        nbformat.write(notebook, notebooks / "02_works.ipynb")
        assert run("run", "2", "--output", str(tmp_path / "out")) == 1
        assert mine.read_text() == "mine" and "02_works.ipynb is there" in capsys.readouterr().err

    def test_full_disk_is_said_in_one_line(self, notebooks, tmp_path, capsys, monkeypatch):
        def full(*names):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.replace", full)
        assert run("run", "3", "--output", str(tmp_path / "out")) == 1
        assert "No space left on device" in capsys.readouterr().err
        assert list((tmp_path / "out").iterdir()) == []

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has another Ctrl-C")
    def test_interruption_stops_running_and_waiting_notebooks_and_keeps_the_table(self, notebooks, tmp_path):
        """Notebook 03 ends at once, 04 and 05 run for a minute, 06 waits."""
        (notebooks / "02_works.ipynb").unlink()
        pids = tmp_path / "pids"
        pids.mkdir()
        for number in ("04", "05", "06"):
            source = f"import os, pathlib, subprocess, time\npathlib.Path({str(pids)!r}, str(os.getpid())).touch()\n"
            source += (
                f"child = subprocess.Popen(['sleep', '60'])\npathlib.Path({str(pids)!r}, str(child.pid)).touch()\n"
            )
            notebook = new_notebook(cells=[new_code_cell(source + "time.sleep(60)")])
            nbformat.write(notebook, notebooks / f"{number}_long.ipynb")
        code = "import pathlib, sys; from course_lib.__main__ import main\n"
        code += "from course_lib.course.exercises import learner; learner.NOTEBOOKS = pathlib.Path(sys.argv[1])\n"
        code += "sys.exit(main(['run', '--all', '--output', sys.argv[2]]))"
        output = tmp_path / "out"
        command = [sys.executable, "-c", code, str(notebooks), str(output)]
        course = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        end = time.monotonic() + 60
        while len(list(pids.iterdir())) < 4 and time.monotonic() < end:
            time.sleep(0.1)
        start = time.monotonic()
        course.send_signal(signal.SIGINT)
        errors = course.communicate(timeout=50)[1]
        assert course.returncode == 130 and time.monotonic() - start < 20
        assert "1 of 4 notebooks were done" in errors and "Traceback" not in errors
        with open(output / "course.csv", newline="") as file:
            assert [row["notebook"] for row in csv.DictReader(file)] == ["03_breaks"]
        running = [int(path.name) for path in pids.iterdir() if psutil.pid_exists(int(path.name))]
        assert len(list(pids.iterdir())) == 4
        assert [pid for pid in running if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE] == []

    @pytest.mark.parametrize(
        ("source", "error"),
        [("import os; os._exit(1)", "DeadKernelError"), ("import time; time.sleep(60)", "CellTimeoutError")],
    )
    def test_dead_and_endless_kernels_are_an_error_of_the_notebook(self, tmp_path, source, error):
        start = time.monotonic()
        execution = execute(new_notebook(cells=[new_code_cell(source)]), tmp_path, timeout=5)
        assert not execution.ok and execution.error.startswith(error)
        assert time.monotonic() - start < 50

    def test_one_thread_a_kernel_unless_asked(self, tmp_path):
        cell = new_code_cell("import os; print(os.environ['OMP_NUM_THREADS'])")
        for environment, expected in (({}, "1\n"), ({"OMP_NUM_THREADS": "2"}, "2\n")):
            execution = execute(new_notebook(cells=[cell]), tmp_path, environment=environment)
            assert execution.notebook.cells[0].outputs[0].text == expected


class TestData:
    def test_list(self, capsys):
        assert run("data", "list") == 0
        out = capsys.readouterr().out
        assert "esc10" in out and "absent" in out and "synthetic" in out and "CC BY 3.0" in out

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["verify", "esc10"], 1, "was not found"),
            (["verify", "nonsense"], 1, "expected one of"),
            (["fetch", "synthetic"], 1, "nothing to fetch"),
            (["fetch"], 2, "needs a name"),
        ],
    )
    def test_errors_are_said_in_one_line(self, arguments, code, message, capsys):
        assert run("data", *arguments) == code
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1

    def test_verify_names_bad_files(self, monkeypatch, capsys):
        from course_lib.course.cli import data
        from course_lib.data import Problem

        monkeypatch.setattr(data, "verify", lambda name: [Problem("1-2-A.ogg", "wrong checksum")])
        assert run("data", "verify", "esc10") == 1
        assert "esc10: 1 problems\n  1-2-A.ogg: wrong checksum" in capsys.readouterr().out


class TestMeasure:
    @pytest.fixture
    def experiment(self, tmp_path, monkeypatch):
        """A recorded run called `guess`; the folder that its table goes to."""
        from course_lib.course import experiments
        from course_lib.course.experiments import results

        source = '''"""A guess.

More."""
from course_lib.course.experiments.runner import Experiment

def measure(seed):
    return {"score": seed}

EXPERIMENT = Experiment(measure, {"luck": {}}, cheapest="luck", seeds=(1, 2))
'''
        (tmp_path / "guess.py").write_text(source)
        monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(results, "RESULTS", tmp_path)
        monkeypatch.setattr(experiments, "__file__", str(tmp_path / "__init__.py"))
        monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path)])
        yield tmp_path
        sys.modules.pop("course_lib.course.experiments.guess", None)

    def test_lists_runs_without_importing_them(self, experiment, capsys):
        assert run("measure") == 0
        assert capsys.readouterr().out.split() == ["guess", "A", "guess."]
        assert "course_lib.course.experiments.guess" not in sys.modules

    def test_hands_over_its_options_and_the_command_line(self, experiment):
        assert run("measure", "guess", "--seeds", "4") == 0
        (row,) = csv.DictReader((experiment / "guess.csv").read_text().splitlines())
        assert row["value"] == "4" and row["command"] == "python -m course_lib measure guess --seeds 4"

    def test_own_help(self, experiment, capsys):
        with pytest.raises(SystemExit) as stop:
            run("measure", "guess", "--help")
        assert stop.value.code == 0 and "--seeds" in capsys.readouterr().out

    def test_check_and_stale(self, experiment, capsys):
        assert run("measure", "guess") == 0 and run("measure", "--check") == 0
        assert "guess: holds" in capsys.readouterr().out
        table = experiment / "guess.csv"
        table.write_text(table.read_text().replace("luck: score,1,", "luck: score,3,"))
        assert run("measure", "--check", "guess") == 1
        assert "guess: luck: score: recorded 3, now 1; expected within 0" in capsys.readouterr().out
        assert run("measure", "--stale", "guess") == 0
        assert "guess: 0 rows recorded by other code" in capsys.readouterr().out
        table.write_text("")
        table.unlink()
        assert run("measure", "--check", "guess") == 0
        assert "left out: no recorded table 'guess'" in capsys.readouterr().out

    def test_unknown_run(self, experiment, capsys):
        assert run("measure", "luck") == 1
        assert "there are: guess" in capsys.readouterr().err


class TestFigures:
    def test_unknown_figure(self, capsys):
        assert run("figures", "nonsense") == 1
        assert "course_map" in capsys.readouterr().err

    def test_redrawn_to_the_same_bytes(self, tmp_path, monkeypatch):
        from course_lib.course.cli import figures

        monkeypatch.setattr(figures, "FIGURES", tmp_path)
        assert run("figures", "course_map") == 0
        first = (tmp_path / "course_map.png").read_bytes()
        assert run("figures", "course_map") == 0
        assert (tmp_path / "course_map.png").read_bytes() == first

    def test_pictures_of_recorded_runs(self, tmp_path, monkeypatch, capsys):
        from course_lib.course.cli import figures, pictures

        monkeypatch.setattr(figures, "FIGURES", tmp_path)
        monkeypatch.setattr(pictures, "RESULTS", tmp_path)
        names = ["cnn_baseline_curves", "log_mel_confusion"]
        assert run("figures", *names) == 0
        assert capsys.readouterr().out.count("left as it is; needs figures/results/detail/") == 2
        (tmp_path / "detail").mkdir()
        epochs = [(r, f, e) for r in ("whole clip", "loudest second") for f in (1, 2) for e in (1, 2, 3)]
        curves = pd.DataFrame(epochs, columns=["reading", "fold", "epoch"])
        curves = curves.assign(train_accuracy=curves.epoch / 3, validation_accuracy=0.3)
        curves.to_csv(tmp_path / "detail" / "audio_cnn_curves.csv", index=False)
        scores = pd.DataFrame(np.eye(10), columns=[f"logit_{i}" for i in range(10)])
        scores = scores.assign(label=range(10), variant="all parts")
        scores.to_csv(tmp_path / "detail" / "log_mel_cnn_predictions.csv", index=False)
        assert run("figures", *names) == 0
        assert sorted(path.stem for path in tmp_path.glob("*.png")) == names

    def test_every_picture_of_recorded_runs_is_drawn_from_the_committed_tables(self, tmp_path, monkeypatch, capsys):
        from course_lib.course.cli import figures

        monkeypatch.setattr(figures, "FIGURES", tmp_path)
        names = ["longer_than_trained", "encoder_repairs", "esc10_models", "series_sets", "accumulator_memory"]
        names.append("event_detectors")
        assert run("figures", *names) == 0
        assert sorted(path.stem for path in tmp_path.glob("*.png")) == sorted(names), capsys.readouterr().out

    def test_picture_of_data_that_is_not_here_is_left(self, tmp_path, monkeypatch, capsys):
        from course_lib.course.cli import figures

        monkeypatch.setattr(figures, "FIGURES", tmp_path)
        assert run("figures", "log_mel_grid") == 0
        assert "left as it is; needs ESC-10" in capsys.readouterr().out
        assert list(tmp_path.glob("*.png")) == []


@pytest.mark.parametrize("options", [[], ["--no-browser"], ["--ip=0.0.0.0", "--port=8888"], ["--ServerApp.ip=::"]])
def test_lab_listens_on_this_machine_alone_unless_told_otherwise(options, tmp_path, monkeypatch):
    """The container's last line asks for all addresses; JupyterLab refuses to be given two."""
    seen = []

    class Server:
        def __init__(self, command, env):
            seen.extend(command)

        def wait(self):
            return 0

    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    monkeypatch.setattr("course_lib.course.cli.lab.subprocess.Popen", Server)
    monkeypatch.setattr("course_lib.course.cli.lab.signal.signal", lambda *_: None)
    assert command_line.main(["lab", "--", *options]) == 0
    asked = [option for option in options if "ip=" in option]
    assert [option for option in seen if "ip=" in option] == (asked or ["--ip=127.0.0.1"])
