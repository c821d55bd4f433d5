"""For long runs: `--modules`, a table of what passed and failed in each module, as text and in the HTML report;
`--warm-kernels`, notebooks in kernels that need not import; `--whole-copies`, learners' copies with the cells that no
blank reaches; the longest tests first."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from html import escape
from pathlib import Path

COLUMNS = ("passed", "failed", "error", "skipped", "seconds")
KERNELS = Path(__file__).with_name("jupyter")


def pytest_addoption(parser):
    parser.addoption("--modules", action="store_true", help="end with a table: passed and failed in each module")
    parser.addoption("--whole-copies", action="store_true", help="run all cells of learners' copies, reached or not")
    parser.addoption("--warm-kernels", action="store_true", help="fork notebooks' kernels after the imports (Linux)")


def pytest_configure(config):
    if config.getoption("--modules"):
        config.pluginmanager.register(ModuleTable(), "module-table")
    if config.getoption("--warm-kernels") and sys.platform == "linux":
        if not hasattr(config, "workerinput"):  # one server for all workers, which inherit its address
            folder = tempfile.TemporaryDirectory(prefix="warm-")
            config.add_cleanup(folder.cleanup)
            os.environ["COURSE_WARM_KERNELS"] = f"{folder.name}/socket"
            os.environ["JUPYTER_PATH"] = str(KERNELS)
            script = KERNELS / "kernels" / "warm" / "warm.py"
            command = [sys.executable, str(script), "--serve", os.environ["COURSE_WARM_KERNELS"]]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            config.add_cleanup(server.kill)
        config.option.nbmake_kernel = "warm"


def pytest_collection_modifyitems(items):
    """Whole notebooks first, dealt in turns to the two halves that xdist gives to two workers: both end together.

    The second half begins with the last notebooks, which are short: `make test` still reads types beside them.
    """
    browser = [item for item in items if "test_browser" in item.nodeid]  # one worker's, which starts one JupyterLab
    long = [item for item in items if item.nodeid.endswith(".ipynb")]
    others = [item for item in items if item not in {*browser, *long}]  # those of a file share its fixtures
    first = [*browser, *long[::3]]
    rest = len(items) // 2 - len(first)
    items[:] = [*first, *others[:rest], *reversed(long[1::3]), *long[2::3], *others[rest:]]


class ModuleTable:
    """Counts reports as they come in, also from the workers of xdist."""

    def __init__(self):
        self.modules: dict[str, Counter] = {}

    def pytest_runtest_logreport(self, report):
        row = self.modules.setdefault(report.nodeid.split("::")[0], Counter())
        row["seconds"] += report.duration
        if report.when == "call" or report.outcome != "passed":
            row["error" if report.failed and report.when != "call" else report.outcome] += 1

    def pytest_collectreport(self, report):
        if report.failed:
            self.modules.setdefault(report.nodeid, Counter())["error"] += 1

    def rows(self) -> list[tuple[str, ...]]:
        return [
            (module, *(f"{row[name]:.0f}" if row[name] else "·" for name in COLUMNS))
            for module, row in sorted(self.modules.items())
        ]

    def pytest_terminal_summary(self, terminalreporter):
        width = max(map(len, self.modules), default=0)
        terminalreporter.section("passed and failed in each module")
        for name, *numbers in [("module", *COLUMNS), *self.rows()]:
            terminalreporter.write_line(f"{name:<{width}}" + "".join(f"{number:>9}" for number in numbers))

    def pytest_html_results_summary(self, prefix):
        lines = ["<tr>" + "".join(f"<th>{name}</th>" for name in ("module", *COLUMNS)) + "</tr>"]
        lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows()]
        prefix.append(f"<table>{''.join(lines)}</table>")
