"""The package: what it imports is what it declares, and the wheel works away from its checkout."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import course_lib
from course_lib.paths import PROJECT_ROOT

PROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = importlib.metadata.packages_distributions()
ROOMS = [path for path in PROJECT_ROOT.glob("course_lib/**/*.py") if "course_lib/course" not in path.as_posix()]
COURSE = list(PROJECT_ROOT.glob("course_lib/course/**/*.py"))
NOTEBOOKS = list(PROJECT_ROOT.glob("notebooks/*.ipynb"))
TESTS = list(PROJECT_ROOT.glob("tests/**/*.py"))


def declared(*extras: str) -> dict[str, Requirement]:
    """The dependencies, and those of the extras with the extras that they name: {name: requirement}."""
    lines = [*PROJECT["dependencies"]]
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    found = {}
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            found |= declared(*requirement.extras)
        else:
            found[canonicalize_name(requirement.name)] = requirement
    return found


def code(path: Path) -> str:
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def imported(paths: list[Path], *, at_once: bool = False) -> dict[str, str]:
    """{distribution: a file that imports it}.  at_once: only what importing the file itself imports."""
    own = {path.stem for path in TESTS} | {"course_lib", "tests"}
    found = {}
    for path in paths:
        tree = ast.parse(code(path))
        for node in tree.body if at_once else ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            for module in {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - own:
                names_of_it = DISTRIBUTIONS.get(module, [module])
                found[canonicalize_name(names_of_it[0])] = path.relative_to(PROJECT_ROOT).as_posix()
    return found


@pytest.mark.parametrize(
    ("paths", "at_once", "extras"),
    [
        pytest.param(ROOMS, True, [], id="rooms, at import"),
        pytest.param(ROOMS, False, ["series", "track", "search", "serve", "ecg", "live"], id="rooms"),
        pytest.param(COURSE, False, ["notebooks", "book"], id="course"),
        pytest.param(NOTEBOOKS, False, ["notebooks"], id="notebooks"),
        pytest.param(TESTS, False, ["dev"], id="tests"),
    ],
)
def test_what_is_imported_is_declared(paths, at_once, extras):
    undeclared = {
        name: path for name, path in imported(paths, at_once=at_once).items() if name not in declared(*extras)
    }
    assert not undeclared


def test_what_is_declared_is_imported():
    everywhere = imported(ROOMS + COURSE + NOTEBOOKS)
    for name in declared("series", "track", "search").keys() - {"tensorboard"}:  # torch.utils.tensorboard needs it
        assert name in everywhere, f"nothing imports {name}"


def test_the_lock_pins_what_is_declared_within_its_range():
    lines = (PROJECT_ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    wanted = declared("dev")
    assert sorted(pins) == sorted(wanted), "make lock writes requirements.txt from pyproject.toml"
    for name, version in pins.items():
        assert Version(version) in wanted[name].specifier, f"{name}=={version} is outside of {wanted[name]}"


def test_no_range_is_open_to_a_python_that_a_dependency_refuses():
    ours = Requirement(f"python{PROJECT['requires-python']}").specifier
    for name in declared("notebooks"):
        try:
            theirs = importlib.metadata.metadata(name).get("Requires-Python", "")
        except importlib.metadata.PackageNotFoundError:
            continue
        refused = [
            minor
            for minor in range(8, 30)
            if f"3.{minor}" in ours and f"3.{minor}.9" not in Requirement(f"python{theirs}").specifier
        ]
        assert not refused, f"{name} wants Python {theirs}"


def test_version_stands_in_one_place():
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    changes = (PROJECT_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] == course_lib.__version__
    citation = (PROJECT_ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'\nversion: "{course_lib.__version__}"\n' in citation


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Run Python in an environment that has the built wheel and the installed packages, away from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy: building leaves files beside what it builds
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT_ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("the wheel is built from a git checkout")
    for name in tracked.stdout.splitlines():
        if name.startswith("course_lib/") or name in ("pyproject.toml", "README.md", "LICENSE"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((PROJECT_ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    scheme = "nt" if sys.platform == "win32" else "posix_prefix"
    base = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    own = Path(sysconfig.get_path("purelib", scheme, base))
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(own), str(wheel)], check=True)
    (own / "installed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    python = Path(sysconfig.get_path("scripts", scheme, base)) / ("python.exe" if sys.platform == "win32" else "python")
    (folder / "away").mkdir()
    home = {"HOME": str(folder / "home"), "LOCALAPPDATA": str(folder / "home"), "USERPROFILE": str(folder / "home")}

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        unset = ("PYTHONPATH", "COURSE_DATA", "COURSE_CACHE", "COURSE_WORK", "XDG_CACHE_HOME", "XDG_DATA_HOME")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        return subprocess.run(
            [str(python), *arguments],
            cwd=folder / "away",
            env=kept | home | environment,
            capture_output=True,
            text=True,
        )

    run.folder = folder
    return run


ROOMS_AND_A_FIT = """
import importlib, os, pathlib, pkgutil
import course_lib
names = [m.name for m in pkgutil.walk_packages(course_lib.__path__, "course_lib.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
assert "course_lib.layers" in names and "course_lib.course.cli.doctor" in names
print(pathlib.Path(course_lib.__file__).parent)

import numpy as np
from course_lib.estimator import SignalClassifier
x = np.random.default_rng(0).standard_normal((12, 64)).astype("float32")
y = np.repeat(["low", "high"], 6)
x[:6] += np.sin(np.arange(64))
model = SignalClassifier(epochs=1, random_state=0).fit(x, y)
assert model.predict(x).shape == (12,)

if "COURSE_DATA" in os.environ:
    from course_lib.data import load_esc10
    print(load_esc10(progress=False).describe())
"""


@pytest.mark.slow
class TestWheel:
    def test_every_room_a_fit_and_the_data_set(self, elsewhere):
        roots = (PROJECT_ROOT / "data", PROJECT_ROOT.parent / "shared" / "data")
        found = [str(root) for root in roots if (root / "esc10").is_dir()]
        real = {"COURSE_DATA": found[0]} if found else {}
        done = elsewhere("-c", ROOMS_AND_A_FIT, **real)
        assert done.returncode == 0, done.stderr
        assert str(elsewhere.folder) in done.stdout
        assert ("ESC-10: 400" in done.stdout) == bool(real)
        caches = list((elsewhere.folder / "home").rglob("*.npy"))
        assert len(caches) == len(real) and all("course-lib" in path.parts for path in caches)

    def test_doctor(self, elsewhere):
        done = elsewhere("-m", "course_lib", "doctor")
        print(done.stdout)
        assert "all" in done.stdout and "checkout" in done.stdout and "Traceback" not in done.stderr
        assert not re.search(r"^problem +(Python|packages|checkout|folder|data)", done.stdout, re.MULTILINE), (
            done.stdout
        )

    @pytest.mark.parametrize("command", [["start", "00"], ["run", "00"], ["figures"], ["measure"]], ids=" ".join)
    def test_what_needs_the_checkout_says_so(self, elsewhere, command):
        done = elsewhere("-m", "course_lib", *command)
        assert done.returncode == 1
        assert "checkout" in done.stderr and done.stderr.count("\n") == 1
