"""A table of what passed and failed in each module: `pytest --modules`, as text and at the top of the HTML report."""

from collections import Counter
from html import escape

COLUMNS = ("passed", "failed", "error", "skipped", "seconds")


def pytest_addoption(parser):
    parser.addoption("--modules", action="store_true", help="end with a table: passed and failed in each module")


def pytest_configure(config):
    if config.getoption("--modules"):
        config.pluginmanager.register(ModuleTable(), "module-table")


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
