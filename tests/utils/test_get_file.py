"""`get_file`: cache names as in Keras, hashes, several processes, and untrusted archives."""

import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import keras
import pytest

import hornbeam as hb
from hornbeam.utils import get_file

ROOT = Path(__file__).resolve().parents[2]
WORDS = b"hello\n" * 1000


OK = b"HTTP/1.1 200 OK\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: "
# Answers of a server, and the error that they cause (`None`: the file is accepted).
ANSWERS = {
    "cut": (OK + b"Content-Length: 5000000\r\n\r\n" + WORDS, "ended after 6000 of 5000000 bytes"),
    "cut_in_pieces": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "IncompleteRead"),
    "vast": (OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nhello", "ended after 5 of 999"),
    "no_length": (OK + b"Content-Length: abc\r\n\r\nhello", None),
    "long_length": (OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nhello", None),
    "garbage": (b"garbage\r\n\r\n", "BadStatusLine"),
    "long_line": (OK + b"X: " + b"a" * 70_000 + b"\r\n\r\nhello", "LineTooLong"),
    "many_lines": (OK + b"X: a\r\n" * 200 + b"\r\nhello", "headers"),
    "to_a_file": (MOVED + b"file:///etc/passwd\r\n\r\n", "not allowed"),
    "to_data": (MOVED + b"data:,hello\r\n\r\n", "not allowed"),
    "to_itself": (MOVED + b"/to_itself\r\n\r\n", "infinite loop"),
    "to_another": (MOVED + b"/a.txt\r\n\r\n", None),
}


@pytest.fixture
def served(tmp_path):
    """A folder and the URL under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.txt").write_bytes(WORDS)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def do_GET(self):
            name = self.path.strip("/")
            if name not in ANSWERS:
                return super().do_GET()
            self.close_connection = True
            self.wfile.write(ANSWERS[name][0])

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def tar(path, *members, mode="w:gz"):
    """Write a tar file of (name, bytes or TarInfo type, target of a link)."""
    with tarfile.open(path, mode) as archive:
        for name, data, *link in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes) and not link:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = data, link[0]
                archive.addfile(info)


def tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*"))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"fname": "b.txt"},
        {"cache_subdir": "other"},
        {"name": "d.tar.gz", "extract": True},
        {"name": "d.tar.gz", "extract": True, "fname": "n.tar.gz"},
        {"name": "d.zip", "extract": True, "fname": "folder"},
        {"name": "d.tar.gz", "untar": True, "fname": "folder"},
        {"name": "d.zip", "extract": True, "fname": "n.zip", "archive_format": ["tar", "zip"]},
    ],
    ids=str,
)
def test_places_are_those_of_keras(served, tmp_path, arguments, monkeypatch):
    folder, url = served
    tar(folder / "d.tar.gz", ("d/x.txt", b"x"))
    with zipfile.ZipFile(folder / "d.zip", "w") as archive:
        archive.writestr("d/x.txt", "x")
    arguments = dict(arguments)
    origin = url + arguments.pop("name", "a.txt")
    places = []
    for lib in (hb, keras):
        cache = tmp_path / lib.__name__
        cache.mkdir()
        place = Path(lib.utils.get_file(origin=origin, cache_dir=str(cache), **arguments))
        places.append((place.relative_to(cache), tree(cache)))
    assert places[0] == places[1]


def test_hashes(served, tmp_path, capsys):
    _, url = served
    right = hashlib.sha256(WORDS).hexdigest()
    for wrong in ("0" * 64, "0" * 32):
        with pytest.raises(ValueError, match="hash"):
            get_file(origin=url + "a.txt", cache_dir=tmp_path / "c", file_hash=wrong)
        assert tree(tmp_path / "c") == ["datasets"]
    path = Path(get_file(origin=url + "a.txt", cache_dir=tmp_path / "c", file_hash=right.upper()))
    md5 = hashlib.md5(WORDS).hexdigest()
    assert get_file(origin=url + "a.txt", cache_dir=tmp_path / "c", md5_hash=md5) == str(path)
    path.write_bytes(b"changed")
    assert Path(get_file(origin=url + "a.txt", cache_dir=tmp_path / "c")).read_bytes() == b"changed"
    with pytest.warns(UserWarning, match="downloaded again"):
        get_file(origin=url + "a.txt", cache_dir=tmp_path / "c", file_hash=right)
    assert path.read_bytes() == WORDS
    path.write_bytes(b"changed")
    get_file(origin=url + "a.txt", cache_dir=tmp_path / "c", force_download=True)
    assert path.read_bytes() == WORDS


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "origin"),
        ({"origin": "http://127.0.0.1/"}, "fname"),
        ({"origin": "data:,x", "fname": "x"}, "URL of https"),
        ({"origin": "http://127.0.0.1/x", "fname": "../x"}, "without a path"),
        ({"origin": "http://127.0.0.1/x", "fname": "/tmp/x"}, "without a path"),
        ({"origin": "http://127.0.0.1/..%2fx", "fname": None}, "."),
        ({"origin": "http://127.0.0.1/x", "hash_algorithm": "crc"}, "hash_algorithm"),
        ({"origin": "http://127.0.0.1/x", "file_hash": "zz"}, "hexadecimal"),
        ({"origin": "http://127.0.0.1/x", "file_hash": 5}, "hexadecimal"),
        ({"origin": "http://127.0.0.1/\u00fc", "fname": "x"}, "ASCII"),
        ({"origin": Path("/etc/hostname")}, "must be a URL"),
        ({"origin": "local_file:///etc/passwd"}, "URL of https"),
        ({"origin": "http://127.0.0.1/x", "fname": "x\0"}, "without a path"),
        ({"origin": "http://127.0.0.1/%2e%2e"}, "names no file"),
    ],
)
def test_arguments_are_checked(tmp_path, arguments, match):
    with pytest.raises((ValueError, OSError), match=match):
        get_file(cache_dir=tmp_path, **arguments)
    assert [p for p in tree(tmp_path) if p != "datasets"] == []


def test_what_cannot_be_fetched_leaves_nothing(served, tmp_path):
    _, url = served
    with pytest.raises(OSError, match="404"):
        get_file(origin=url + "nothing", cache_dir=tmp_path / "c")
    assert tree(tmp_path / "c") == []
    (served[0] / "a.txt").with_name("b.zip").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="no archive"):
        get_file(origin=url + "b.zip", extract=True, cache_dir=tmp_path / "c")


@pytest.mark.parametrize("name", ANSWERS)
def test_odd_answers(served, tmp_path, name):
    _, url = served
    _, match = ANSWERS[name]
    if match is None:
        assert Path(get_file("x", url + name, cache_dir=tmp_path / "c")).read_bytes() in (
            b"hello",
            WORDS,
        )
        return
    with pytest.raises(OSError, match=match):
        get_file("x", url + name, cache_dir=tmp_path / "c")
    assert [p for p in tree(tmp_path / "c") if p != "datasets"] == []


@pytest.mark.parametrize(
    ("origin", "place", "match"),
    [
        ("https://a/x", "ftp://a/x", "redirects to ftp"),
        ("http://a/x", "ftp://a/x", "redirects to ftp"),
        ("https://a/x", "http://a/x", "file_hash"),
        ("https://a/x", "https://b/x", None),
        ("http://a/x", "https://a/x", None),
    ],
)
def test_where_an_answer_comes_from(tmp_path, monkeypatch, origin, place, match):
    class Answer(io.BytesIO):
        url, headers = place, {}

    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **kwargs: Answer(WORDS))
    if match is None:
        assert Path(get_file(origin=origin, cache_dir=tmp_path)).read_bytes() == WORDS
    elif match == "file_hash":
        with pytest.warns(UserWarning, match=match):
            get_file(origin=origin, cache_dir=tmp_path)
        get_file(
            origin=origin,
            cache_dir=tmp_path,
            file_hash=hashlib.md5(WORDS).hexdigest(),
            force_download=True,
        )
    else:
        with pytest.raises(OSError, match=match):
            get_file(origin=origin, cache_dir=tmp_path)
        assert tree(tmp_path) == []


def test_a_cache_that_cannot_be_written(served, tmp_path, monkeypatch):
    """Another folder is used instead, but never one that another user created."""
    _, url = served
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(shared))
    monkeypatch.setattr("os.access", lambda path, mode: False)
    path = Path(get_file(origin=url + "a.txt", cache_dir=tmp_path / "c"))
    assert path.read_bytes() == WORDS
    (own,) = shared.iterdir()
    assert own in path.parents
    assert own.stat().st_mode & 0o777 == 0o700
    own.rename(shared / "moved")
    own.symlink_to(shared / "moved")
    with pytest.raises(OSError, match="Pass `cache_dir`"):
        get_file(origin=url + "a.txt", cache_dir=tmp_path / "c")


def test_several_processes(served, tmp_path):
    folder, url = served
    tar(folder / "d.tar.gz", *((f"d/{i}.txt", WORDS) for i in range(50)))
    code = (
        "import sys; from hornbeam.utils import get_file\nfor i in range(5): print(get_file('d',"
        " sys.argv[1], extract=True, cache_dir=sys.argv[2], force_download=i % 2 == 1))"
    )
    command = [sys.executable, "-c", code, url + "d.tar.gz", str(tmp_path / "c")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    children = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for child in children:
        output, _ = child.communicate(timeout=120)
        assert child.returncode == 0
        assert str(tmp_path / "c/datasets/d") in output
    assert len(list((tmp_path / "c/datasets/d/d").iterdir())) == 50
    assert tree(tmp_path / "c/datasets")[:2] == ["d", "d/d"]
    assert [p.name for p in (tmp_path / "c/datasets").iterdir() if p.name.startswith(".")] == []


CONFLICTS = {
    "file then folder": (("a", "a/b"), "both as a file and as a folder"),
    "folder then file": (("a/b", "a"), "both as a file and as a folder"),
    "folder itself": (("a", "."), "both as a file and as a folder"),
    "long name": (("a" * 256,), "longer or deeper"),
    "deep name": (("d/" * 400 + "x",), "longer or deeper"),
}


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("conflict", CONFLICTS)
def test_members_that_cannot_be(tmp_path, conflict, kind):
    names, match = CONFLICTS[conflict]
    if kind == "tar":
        tar(tmp_path / "a.tar", *((name, b"x") for name in names), mode="w")
    else:
        with zipfile.ZipFile(tmp_path / "a.tar", "w") as archive:
            for name in names:
                archive.writestr(name, "x")
    refused(tmp_path, "a.tar", match)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_the_last_of_two_members_counts(tmp_path, kind):
    if kind == "tar":
        tar(tmp_path / "a.tar", ("x", b"long"), ("x", b"new"), mode="w")
    else:
        with zipfile.ZipFile(tmp_path / "a.tar", "w") as archive:
            archive.writestr("x", "long")
            archive.writestr("x", "new")
    place = Path(
        get_file(origin=(tmp_path / "a.tar").as_uri(), extract=True, cache_dir=tmp_path / "c")
    )
    assert (place / "x").read_bytes() == b"new"


PAX = {
    "path": ({"path": "../evil"}, "outside"),
    "vast size": ({"size": "100000000000"}, "damaged"),
    "sparse": (
        {"GNU.sparse.map": "0,1,1000000000000,1", "GNU.sparse.size": str(2**50)},
        "not a regular file",
    ),
}


@pytest.mark.parametrize("name", PAX)
def test_headers_that_say_otherwise(tmp_path, name):
    headers, match = PAX[name]
    info = tarfile.TarInfo("x")
    info.size, info.pax_headers = 512, headers
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(bytes(512)))
    refused(tmp_path, "a.tar", match)


def test_very_many_members(tmp_path):
    """Compressed names take a few bytes each, but creating each file takes milliseconds."""
    import gzip

    info = tarfile.TarInfo()
    info.type = tarfile.DIRTYPE
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        for number in range(20_000):
            info.name = f"{number % 100}"
            file.write(info.tobuf(tarfile.USTAR_FORMAT))
    refused(tmp_path, "a.tar.gz", "more members")


LINKS = [
    ("symlink", ("x", tarfile.SYMTYPE, "/etc/passwd")),
    ("symlink_inside", ("x", tarfile.SYMTYPE, "good")),
    ("symlinked_folder", ("x", tarfile.SYMTYPE, "..")),
    ("hard_link", ("x", tarfile.LNKTYPE, "/etc/passwd")),
    ("hard_link_inside", ("x", tarfile.LNKTYPE, "good")),
    ("device", ("x", tarfile.CHRTYPE, "")),
    ("fifo", ("x", tarfile.FIFOTYPE, "")),
]
NAMES = [
    "../evil",
    "/tmp/evil",
    "a/../../evil",
    "..\\evil",
    "\\evil",
    "C:\\evil",
    "C:evil",
    "a/..",
    "./../evil",
]


@pytest.mark.parametrize("member", [m for _, m in LINKS], ids=[n for n, _ in LINKS])
def test_links_and_devices_in_tar_files(tmp_path, member):
    tar(tmp_path / "a.tar.gz", ("good", b"x"), member)
    refused(tmp_path, "a.tar.gz", r"a link|not a regular file")


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", NAMES)
def test_members_outside(tmp_path, name, kind):
    if kind == "tar":
        tar(tmp_path / "a.tar", ("good", b"x"), (name, b"evil"), mode="w")
    else:
        with zipfile.ZipFile(tmp_path / "a.tar", "w") as archive:
            archive.writestr("good", "x")
            archive.writestr(name, "evil")
    refused(tmp_path, "a.tar", "outside")


def refused(folder, name, match):
    with pytest.raises(hb.saving.FileError, match=match):
        get_file(origin=(folder / name).as_uri(), extract=True, cache_dir=folder / "c")
    assert tree(folder / "c/datasets") == [f"{name}_archive"]
    assert not Path("/tmp/evil").exists()
    assert sorted(p.name for p in folder.iterdir()) == sorted([name, "c"])


def test_a_link_in_a_zip_file(tmp_path):
    link = zipfile.ZipInfo("x")
    link.external_attr, link.create_system = 0o120777 << 16, 3
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(tmp_path, "a.zip", "a link")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "zip"])
def test_bombs(tmp_path, kind):
    name = f"a.{kind}"
    zeros = bytes(100 * 2**20)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x", zeros)
    else:
        tar(tmp_path / name, ("x", zeros), mode=f"w:{kind[4:]}")
    refused(tmp_path, name, "bombs")


def test_a_long_header(tmp_path):
    """A member whose name claims gigabytes."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**33
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(20 * 512))
    refused_as_damaged(tmp_path)


def test_a_negative_size(tmp_path):
    """A header with a negative size sends the reader back to its start."""
    info = tarfile.TarInfo("x")
    first = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    first[124:136] = b"\xff" * 12  # -1 in base 256
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first[:512])
    (tmp_path / "a.tar").write_bytes(bytes(first) + bytes(20 * 512))
    refused_as_damaged(tmp_path)


def refused_as_damaged(folder):
    # A damaged header means that the file is no tar file; a damaged member stops the extraction.
    with pytest.raises(ValueError, match="archive"):
        get_file(origin=(folder / "a.tar").as_uri(), extract=True, cache_dir=folder / "c")
    assert tree(folder / "c/datasets") == ["a.tar_archive"]


def test_damaged_archives(tmp_path):
    tar(tmp_path / "a.tar.gz", *((f"d/{i}", os.urandom(300)) for i in range(20)))
    whole = (tmp_path / "a.tar.gz").read_bytes()
    for size in range(0, len(whole) - 20, len(whole) // 10):
        (tmp_path / "cut.tar.gz").write_bytes(whole[:size])
        with pytest.raises(ValueError, match="archive"):
            get_file(
                origin=(tmp_path / "cut.tar.gz").as_uri(),
                extract=True,
                cache_dir=tmp_path / "c",
                force_download=True,
            )
        assert tree(tmp_path / "c/datasets") == ["cut.tar.gz_archive"]


def test_modes_and_folders(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, mode in (("run", 0o4777), ("plain", 0o600)):
            info = tarfile.TarInfo(name)
            info.mode = mode
            archive.addfile(info)
        info = tarfile.TarInfo("empty")
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    folder = Path(
        get_file(
            origin=(tmp_path / "a.tar").as_uri(), fname="f", extract=True, cache_dir=tmp_path / "c"
        )
    )
    assert tree(folder) == ["empty", "plain", "run"]
    assert (folder / "run").stat().st_mode & 0o7777 == 0o755
    assert (folder / "plain").stat().st_mode & 0o7777 == 0o644
