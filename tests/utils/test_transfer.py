"""Downloads that are interrupted go on where they ended, and never mix two versions of a file."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from mirror import mirror_server

from hornbeam.utils import get_file, transfer

CONTENT = np.random.default_rng(0).bytes(40_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def mirror():
    with mirror_server() as mirror:
        mirror.files["a.bin"] = CONTENT
        yield mirror


def hidden(folder):
    return [path for path in Path(folder).rglob(".*") if path.is_file()]


def get(mirror, folder, **arguments):
    return Path(get_file(origin=mirror.url + "a.bin", cache_dir=folder, **arguments)).read_bytes()


def test_a_cut_download_is_continued_in_the_same_call(mirror, tmp_path):
    mirror.faults["a.bin"] = "cut"
    with pytest.raises(OSError, match=r"ended after 37500 of 40000 bytes\. Run again to continue"):
        get(mirror, tmp_path)
    # Each answer ends in the middle of what is left.
    assert [start for _, start in mirror.asked] == [0, 20000, 30000, 35000]
    assert [path.read_bytes() for path in hidden(tmp_path)] == [CONTENT[:37500]]


@pytest.mark.parametrize("proof", ["etag", "hash"])
def test_the_next_call_asks_for_the_rest(mirror, tmp_path, proof):
    mirror.faults["a.bin"] = "cut"
    mirror.etag = '"1"' if proof == "etag" else None
    arguments = {} if proof == "etag" else {"file_hash": SHA256}
    with pytest.raises(OSError, match="Run again to continue"):
        get(mirror, tmp_path, **arguments)
    del mirror.faults["a.bin"], mirror.asked[:]
    assert get(mirror, tmp_path, **arguments) == CONTENT
    assert mirror.asked == [("a.bin", 0), ("a.bin", 37500)]
    assert hidden(tmp_path) == []


def test_a_part_of_another_version_is_dropped(mirror, tmp_path):
    mirror.faults["a.bin"] = "cut"
    with pytest.raises(OSError, match="Run again"):
        get(mirror, tmp_path)
    del mirror.faults["a.bin"]
    mirror.files["a.bin"], mirror.etag = CONTENT[::-1], '"2"'
    assert get(mirror, tmp_path) == CONTENT[::-1]
    assert hidden(tmp_path) == []


def test_a_server_without_ranges_sends_all_again(mirror, tmp_path):
    mirror.faults["a.bin"], mirror.ranges = "cut", False
    with pytest.raises(OSError, match="ended after 20000 of 40000"):
        get(mirror, tmp_path)
    del mirror.faults["a.bin"]
    assert get(mirror, tmp_path) == CONTENT


def test_without_a_proof_nothing_is_kept(mirror, tmp_path):
    mirror.faults["a.bin"], mirror.etag = "cut", None
    with pytest.raises(OSError, match=r"ended after 20000 of 40000 bytes\. Try again"):
        get(mirror, tmp_path)
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("fault", ["wrong", "part"])
def test_bytes_that_do_not_fit_the_hash_are_dropped(mirror, tmp_path, fault):
    if fault == "wrong":
        mirror.faults["a.bin"] = "wrong"
    else:  # another program, or a crash, left a wrong part
        mirror.faults["a.bin"] = "cut"
        with pytest.raises(OSError, match="Run again"):
            get(mirror, tmp_path, file_hash=SHA256)
        (part,) = hidden(tmp_path)
        part.write_bytes(bytes(part.stat().st_size))
        del mirror.faults["a.bin"]
    with pytest.raises(ValueError, match="does not have the hash"):
        get(mirror, tmp_path, file_hash=SHA256)
    assert hidden(tmp_path) == []
    mirror.faults.clear()
    assert get(mirror, tmp_path, file_hash=SHA256) == CONTENT


def test_a_locked_part_is_left_to_the_other_process(mirror, tmp_path):
    mirror.faults["a.bin"] = "cut"
    with pytest.raises(OSError, match="Run again"):
        get(mirror, tmp_path)
    (part,) = hidden(tmp_path)
    mirror.faults["a.bin"] = "slow"
    held = transfer._lock(part)
    if held is None:
        pytest.skip("needs file locks")
    with held:
        assert get(mirror, tmp_path) == CONTENT
        assert part.read_bytes() == CONTENT[:37500]


def test_only_parts_that_nobody_writes_to_are_removed(mirror, tmp_path):
    (tmp_path / "datasets").mkdir()
    free, used = (tmp_path / "datasets" / f".a.bin.{name}.part" for name in ("0", "1"))
    for part in (free, used):
        part.write_bytes(b"the start of an earlier version")
    held = transfer._lock(used)
    if held is None:
        pytest.skip("needs file locks")
    with held:
        assert get(mirror, tmp_path) == CONTENT
        assert hidden(tmp_path) == [used]
