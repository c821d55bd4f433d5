"""`doctor`: whether this machine is ready for the course, line by line, with what to do where it is not."""

import argparse
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course_lib.course.cli import shown
from course_lib.paths import PROJECT_ROOT, cache_dir, in_checkout, work_dir

INSTALL = "python -m pip install -r requirements.txt"
MEMORY_GIB, DISK_GIB = 3, 2  # a notebook stays below the one; the caches and the learner's copies below the other


@dataclass(frozen=True)
class Finding:
    """One line.  state: "ok"; "note" (works, but worth knowing); "problem" (exit code 1)."""

    subject: str
    state: str
    text: str


def doctor(arguments: argparse.Namespace) -> int:
    """Print every finding; 1 where one of them is a problem."""
    problems = 0
    for check in (python, packages, checkout, device, cores, memory, disk, folders, data_sets):
        try:
            findings = list(check())
        except Exception as error:  # noqa: BLE001  a doctor that falls ill over one question still asks the others
            findings = [Finding(check.__name__.replace("_", " "), "problem", f"{type(error).__name__}: {error}")]
        for finding in findings:
            print(f"{finding.state:<8} {finding.subject:<10} {finding.text}")
            problems += finding.state == "problem"
    print("ready" if problems == 0 else f"{problems} to mend; then run doctor again")
    return 1 if problems else 0


def python() -> Iterator[Finding]:
    """The interpreter against requires-python."""
    if in_checkout():
        project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        declared = project["requires-python"]
    else:
        declared = importlib.metadata.metadata("course-lib")["Requires-Python"]
    here = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    bounds = {sign: tuple(map(int, version.split("."))) for sign, version in re.findall(r"(>=|<)([\d.]+)", declared)}
    if bounds[">="] <= sys.version_info[:2] and ("<" not in bounds or sys.version_info[:2] < bounds["<"]):
        yield Finding("Python", "ok", here)
    else:
        yield Finding("Python", "problem", f"{here}: the course needs {declared}")


def packages() -> Iterator[Finding]:
    """What is installed against the pins of requirements.txt; without a checkout, against what the package asks for.

    What tests and the book alone need is no problem where it is missing: `uv sync --extra notebooks` leaves it out.
    """
    tools = set()
    if in_checkout():
        project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        lines = [line for extra in ("book", "dev") for line in project["optional-dependencies"][extra]]
        tools = {re.split(r"[^\w.-]", line)[0].lower() for line in lines} - {"ipykernel"}
        source = "requirements.txt"
        wanted = (PROJECT_ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    else:
        source = "the library's dependencies"
        wanted = [line for line in importlib.metadata.requires("course-lib") or () if "extra ==" not in line]
    missing, unused, other, count = [], [], [], 0
    for line in wanted:
        pin = re.match(r"([\w.-]+)(?:==([\w.]+))?", line)
        if not pin:
            continue
        count += 1
        name, version = pin.groups()
        try:
            found = importlib.metadata.version(name).partition("+")[0]  # torch says 2.13.0+cpu
        except importlib.metadata.PackageNotFoundError:
            (unused if name.lower() in tools else missing).append(name)
        else:
            if version not in (None, found):
                other.append(f"{name} {found} (tested with {version})")
    if missing:
        remedy = INSTALL if in_checkout() else f"python -m pip install {' '.join(missing)}"
        yield Finding("packages", "problem", f"missing: {', '.join(missing)}; {remedy}")
    if other:
        yield Finding("packages", "note", f"{', '.join(other)}; where something fails: {INSTALL}")
    if unused:
        yield Finding(
            "packages", "note", f"missing, for `make test` and `make book` alone: {', '.join(unused)}; {INSTALL}"
        )
    if not missing and not unused and not other:
        yield Finding("packages", "ok", f"all {count} of {source}")


def checkout() -> Iterator[Finding]:
    """Whether notebooks and recorded results lie beside the library."""
    if not in_checkout():
        yield Finding("checkout", "note", "none: the library is here, notebooks and recorded results are not")


def device() -> Iterator[Finding]:
    """Where training runs, and whether bfloat16 pays."""
    import torch

    from course_lib.training.device import device_label, resolve_device

    kind = resolve_device("auto").type
    yield Finding("device", "ok", f"{kind}: {device_label()}, torch {torch.__version__}")
    if kind == "cuda":
        answer = "yes" if torch.cuda.is_bf16_supported() else "no: amp=True takes float16"
    elif kind == "cpu":
        flags = _cpu_flags()
        if "amx_bf16" in flags:
            answer = "yes (amx_bf16): amp=True pays on this CPU"
        else:
            answer = "no amx_bf16 was found: float32, the default, is the faster choice on this CPU"
    else:
        answer = "not needed: float32 is the default"
    yield Finding("bfloat16", "ok", answer)


def _cpu_flags() -> set[str]:
    """Linux tells them; elsewhere none are known."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return set(next((line for line in file if line.startswith("flags")), "").split())
    except OSError:
        return set()


def cores() -> Iterator[Finding]:
    """Cores this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count >= 2:
        yield Finding("cores", "ok", f"{count}")
    else:
        yield Finding("cores", "note", "1: notebooks take about twice the minutes they name")


def memory() -> Iterator[Finding]:
    """Free memory against what a notebook takes."""
    import psutil

    total, free = (value / 2**30 for value in psutil.virtual_memory()[:2])
    text = f"{free:.1f} of {total:.1f} GiB free"
    if free >= MEMORY_GIB:
        yield Finding("memory", "ok", text)
    else:
        yield Finding("memory", "note", f"{text}: a notebook takes up to {MEMORY_GIB}; close what you do not need")


def disk() -> Iterator[Finding]:
    """Free disk for caches and copies."""
    free = shutil.disk_usage(_nearest(cache_dir())).free / 2**30
    if free >= DISK_GIB:
        yield Finding("disk", "ok", f"{free:.0f} GiB free")
    else:
        yield Finding("disk", "problem", f"{free:.1f} GiB free: make room for {DISK_GIB} GiB")


def folders() -> Iterator[Finding]:
    """Whether the learner's folder and the cache can be written."""
    for variable, folder in (("COURSE_WORK", work_dir()), ("COURSE_CACHE", cache_dir())):
        nearest = _nearest(folder)
        if nearest.is_dir() and os.access(nearest, os.W_OK):
            yield Finding("folder", "ok", f"{shown(folder)} can be written")
        else:
            yield Finding(
                "folder", "problem", f"{shown(folder)} cannot be written: set {variable} to a folder of yours"
            )


def _nearest(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def data_sets() -> Iterator[Finding]:
    """Which sets are here. None is needed: generated sound stands in for ESC-10."""
    from course_lib.data.catalogue import list_datasets

    for info in list_datasets():
        if info.status == "ready":
            yield Finding("data", "ok", f"{info.name}: {info.description}")
        else:
            yield Finding("data", "note", f"{info.name} is not here (no need); to get it: {info.how_to_get}")
