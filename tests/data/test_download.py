import contextlib
import errno
import hashlib
import http.server
import io
import multiprocessing
import os
import random
import socket
import threading
import zipfile
from pathlib import Path

import pytest

from course_lib.data import DataError, fetch_esc10
from course_lib.data.download import COMMIT, _unpack, check_members

MEMBERS = {f"001 - Dog bark/{fold}-10{fold}-A.ogg": random.Random(fold).randbytes(300) * 10 for fold in range(1, 6)}
TOP = f"ESC-10-{COMMIT}/"


def archive(members=MEMBERS, method=zipfile.ZIP_STORED, **more) -> bytes:
    """A zip as the public repository gives it: everything below one folder, README beside the classes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as content:
        content.writestr(TOP, "")
        content.writestr(TOP + "README.md", "who recorded what")
        content.writestr(TOP + ".hidden/config", "not wanted")
        for name, data in {**members, **more}.items():
            content.writestr(name if name.startswith(("/", "..", "C:", TOP)) else TOP + name, data)
    return buffer.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        body, mode = self.server.body, self.server.mode
        if mode == "missing":
            return self.send_error(404)
        self.send_response(200)
        if mode != "truncated":  # a truncated answer without a length looks complete
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if mode == "whole" else body[: len(body) // 2])

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve(body: bytes, mode: str = "whole"):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.body, server.mode, server.requests = body, mode, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def manifest(tmp_path) -> Path:
    path = tmp_path / "manifest.sha256"
    path.write_text("".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in MEMBERS.items()))
    return path


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "data" / "esc10"


def fetch(target, server_url, manifest, **options):
    return fetch_esc10(target, base_url=server_url, manifest=manifest, retries=0, progress=False, **options)


def assert_nothing_written(target):
    assert not target.exists()
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


def test_fetches_checks_and_puts_in_place(target, manifest):
    with serve(archive()) as server:
        assert fetch(target, server.url, manifest) == target
        assert server.requests == [f"/{COMMIT}.zip"]
    written = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert written == {**MEMBERS, "README.md": b"who recorded what"}
    assert list(target.parent.iterdir()) == [target]


def test_second_fetch_asks_nothing(target, manifest):
    with serve(archive()) as server:
        fetch(target, server.url, manifest)
        fetch(target, server.url, manifest)
        assert len(server.requests) == 1


@pytest.mark.parametrize("mode", ["interrupted", "truncated", "missing"])
def test_failed_transfer(target, manifest, mode):
    with serve(archive(), mode) as server, pytest.raises((ConnectionError, DataError)) as caught:
        fetch(target, server.url, manifest)
    expected = "truncated or damaged" if mode == "truncated" else str(target)
    assert expected in str(caught.value)
    assert_nothing_written(target)


def test_failed_transfer_is_tried_again(target, manifest, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with serve(archive(), "interrupted") as server:
        with pytest.raises(ConnectionError):
            fetch_esc10(target, base_url=server.url, manifest=manifest, retries=2, progress=False)
        assert len(server.requests) == 3


def test_no_network_says_where_to_put_the_files(target, manifest):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]  # bound, but nobody listens
        with pytest.raises(ConnectionError) as caught:
            fetch(target, f"http://127.0.0.1:{port}", manifest)
    assert str(target) in str(caught.value) and "github.com/karolpiczak/ESC-10" in str(caught.value)
    assert_nothing_written(target)


def test_wrong_hash_names_the_member(target, manifest):
    name = next(iter(MEMBERS))
    with serve(archive({**MEMBERS, name: b"something else"})) as server, pytest.raises(DataError) as caught:
        fetch(target, server.url, manifest)
    assert name in str(caught.value) and "changed" in str(caught.value)
    assert_nothing_written(target)


def test_missing_member_is_named(target, manifest):
    name = next(iter(MEMBERS))
    rest = {key: data for key, data in MEMBERS.items() if key != name}
    with serve(archive(rest)) as server, pytest.raises(DataError, match="missing"):
        fetch(target, server.url, manifest)
    assert_nothing_written(target)


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/outside.txt", TOP + "../../outside.txt", "C:/outside.txt", TOP + "a\\..\\outside.txt"]
)
def test_member_that_points_outside(target, manifest, tmp_path, name):
    with serve(archive(**{name: b"bad"})) as server, pytest.raises(DataError, match="points outside"):
        fetch(target, server.url, manifest)
    assert_nothing_written(target)
    assert list(tmp_path.rglob("outside.txt")) == []


def test_member_that_is_a_link(target, manifest):
    buffer = io.BytesIO(archive())
    with zipfile.ZipFile(buffer, "a") as content:
        link = zipfile.ZipInfo(TOP + "LICENSE")
        link.external_attr = 0o120777 << 16
        content.writestr(link, "/etc/hostname")
    with serve(buffer.getvalue()) as server, pytest.raises(DataError, match="points outside"):
        fetch(target, server.url, manifest)
    assert_nothing_written(target)


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("method", METHODS, ids=["stored", "deflate", "bzip2", "lzma"])
def test_a_damaged_archive_is_a_data_error(tmp_path, monkeypatch, method):
    """Every seventh byte in turn, in members, their headers and the table at the end."""
    monkeypatch.setattr(os, "fsync", lambda number: None)
    short = {name: data[:500] for name, data in list(MEMBERS.items())[:2]}
    members = {name: hashlib.sha256(data).hexdigest() for name, data in short.items()}
    whole = archive(short, method)
    for place in range(0, len(whole), 7):
        path = tmp_path / "damaged.zip"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        folder = tmp_path / f"unpacked{place}"
        try:
            _unpack(path, folder, members)
        except DataError as error:
            assert "archive: " in str(error)
        else:  # in a date, a comment, or a name, where the manifest finds it
            assert check_members(folder, members) == [] or not whole[place:].startswith(b"PK")


@pytest.mark.parametrize("method", METHODS[1:], ids=["deflate", "bzip2", "lzma"])
def test_a_damaged_download_leaves_nothing(target, manifest, method):
    whole = bytearray(archive(method=method))
    start = whole.index(b"-A.ogg") + 20
    whole[start : start + 4] = b"\xff\xfe\xfd\xfc"
    with serve(bytes(whole)) as server, pytest.raises(DataError, match="damaged|changed"):
        fetch(target, server.url, manifest)
    assert_nothing_written(target)


def test_what_a_killed_download_left_is_removed(target, manifest):
    left = target.parent / f".{target.name}.99999999-0.tmp" / "unpacked"
    left.mkdir(parents=True)
    (left / "half.ogg").write_bytes(b"half")
    with serve(archive()) as server:
        fetch(target, server.url, manifest)
    assert list(target.parent.iterdir()) == [target]


def test_member_that_is_a_bomb(target, manifest):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr(TOP + "README.md", bytes(40 * 2**20))
    with serve(buffer.getvalue()) as server, pytest.raises(DataError, match="refused"):
        fetch(target, server.url, manifest)
    assert_nothing_written(target)


@pytest.mark.parametrize("when", ["download", "unpack"])
def test_disk_full(target, manifest, monkeypatch, when):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if when == "download":
        monkeypatch.setattr("pooch.core.stream_download", full)
    else:
        monkeypatch.setattr(os, "fsync", full)
    with serve(archive()) as server, pytest.raises(OSError, match="no space left") as caught:
        fetch(target, server.url, manifest)
    assert caught.value.errno == errno.ENOSPC and str(target.parent) in str(caught.value)
    assert_nothing_written(target)


def test_something_else_in_the_way_is_left_alone(target, manifest):
    target.mkdir(parents=True)
    (target / "mine.txt").write_text("my notes")
    with serve(archive()) as server:
        with pytest.raises(FileExistsError, match="move it away"):
            fetch(target, server.url, manifest)
        assert server.requests == []
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


def test_empty_folder_is_filled(target, manifest):
    target.mkdir(parents=True)
    with serve(archive()) as server:
        fetch(target, server.url, manifest)
    assert (target / "README.md").exists()


def _fetch_in_process(barrier, results, target, url, manifest):
    barrier.wait()
    try:
        results.put(str(fetch(target, url, manifest)))
    except Exception as error:
        results.put(repr(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts its processes by fork")
def test_two_processes_at_once(target, manifest):
    context = multiprocessing.get_context("fork")
    with serve(archive()) as server:
        barrier, results = context.Barrier(3), context.Queue()
        arguments = (barrier, results, target, server.url, manifest)
        processes = [context.Process(target=_fetch_in_process, args=arguments) for _ in range(3)]
        for process in processes:
            process.start()
        said = [results.get(timeout=60) for _ in processes]
        for process in processes:
            process.join(60)
    assert said == [str(target)] * 3
    assert len(list(target.rglob("*.ogg"))) == len(MEMBERS)
    assert list(target.parent.iterdir()) == [target]
