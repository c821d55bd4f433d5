"""Files from npm that the site serves itself, fetched once at build time and checked against their sums."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import requests

from course_lib.files import replacing
from course_lib.paths import cache_dir

REGISTRY = "https://registry.npmjs.org"


class VendorError(RuntimeError):
    """A package did not come, or is another one than it should be."""


@dataclass(frozen=True)
class Package:
    """A version of an npm package, its sum as npm states it (sha512, base64), and the files that are taken."""

    name: str
    version: str
    sha512: str
    files: tuple[str, ...]

    @property
    def address(self) -> str:
        """Where npm has it."""
        return f"{REGISTRY}/{self.name}/-/{self.name}-{self.version}.tgz"


MATHJAX = Package(
    "mathjax",
    "3.2.2",
    "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
    ("es5/tex-svg-full.js", "LICENSE"),
)
ONNXRUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    ("dist/ort.wasm.min.mjs", "dist/ort-wasm-simd-threaded.mjs", "dist/ort-wasm-simd-threaded.wasm"),
)
AXE = Package(
    "axe-core",
    "4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    ("axe.min.js",),
)


def vendored(package: Package, folder: Path | None = None) -> Path:
    """The folder that holds the package's files, by their last names; fetched where it is not there.

    folder: where packages are kept (default: `npm/` in the course's cache).
    Raises VendorError where it cannot be had, or its sum is not the one that is written down here.
    """
    target = (folder or cache_dir() / "npm") / f"{package.name}-{package.version}"
    if all((target / Path(name).name).exists() for name in package.files):
        return target
    try:
        answer = requests.get(package.address, timeout=60)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise VendorError(f"{package.name} {package.version} did not come from {REGISTRY}: {error}") from error
    unpack(answer.content, package, target)
    return target


def unpack(archive: bytes, package: Package, target: Path) -> None:
    """Write the package's files into `target`. Raises VendorError for another sum, or a missing file."""
    if base64.b64encode(hashlib.sha512(archive).digest()).decode() != package.sha512:
        raise VendorError(f"{package.name} {package.version}: what came has another SHA-512 than the one expected")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for name in package.files:
            try:
                member = files.extractfile(f"package/{name}")
            except KeyError:
                member = None
            if member is None:
                raise VendorError(f"{package.name} {package.version} holds no {name}")
            with replacing(target / Path(name).name) as temporary:
                temporary.write_bytes(member.read())
