"""Where the repository and the book live, as git knows it: no address is written down anywhere."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from course_lib.paths import PROJECT_ROOT

BRANCH = "colab"  # where the book's workflow puts the copies for Colab


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub."""

    owner: str
    name: str

    @property
    def page(self) -> str:
        """Its own page."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def book(self) -> str:
        """Where GitHub Pages serves what the book's workflow publishes."""
        root = f"https://{self.owner.lower()}.github.io/"
        return root if self.name.lower() == f"{self.owner.lower()}.github.io" else f"{root}{self.name}/"

    def binder(self, notebook: str) -> str:
        """Opens the learner's copy of a notebook, such as "05_rotary_embeddings", on Binder."""
        return f"https://mybinder.org/v2/gh/{self.owner}/{self.name}/HEAD?urlpath={quote(f'lab/tree/work/{notebook}.ipynb')}"

    def codespace(self) -> str:
        """Asks for a Codespace."""
        return f"https://codespaces.new/{self.owner}/{self.name}"

    def colab(self, notebook: str) -> str:
        """Opens the learner's copy of a notebook on Colab."""
        return f"https://colab.research.google.com/github/{self.owner}/{self.name}/blob/{BRANCH}/{notebook}.ipynb"


def parse(remote: str) -> Repository | None:
    """The repository that a remote's address names; None for one that is not on GitHub."""
    match = re.fullmatch(
        r"(?:https://(?:[^@/]+@)?|ssh://git@|git@)github\.com[/:]([\w.-]+)/([\w.-]+?)(?:\.git)?/?", remote
    )
    return Repository(match[1], match[2]) if match else None


def repository(root: Path = PROJECT_ROOT) -> Repository | None:
    """What git's remote `origin` names, or None where there is none, or no git."""
    try:
        done = subprocess.run(["git", "remote", "get-url", "origin"], cwd=root, capture_output=True, text=True)
    except OSError:
        return None
    return parse(done.stdout.strip()) if done.returncode == 0 else None


def commit(root: Path = PROJECT_ROOT) -> str:
    """The commit that is checked out, or "" where git does not know."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
