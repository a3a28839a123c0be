"""A worker process that dies is an error at once, and the program can end."""

import os
import subprocess
import sys
from pathlib import Path

import hornbeam as hb

SCRIPT = """
import multiprocessing.connection, os, signal, struct, sys
from hornbeam.data import PyDataset, make_source

def send_half(self, data):
    os.write(self.fileno(), struct.pack("!i", len(data)) + bytes(data[:1]))
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(PyDataset):
    way = ""

    def __len__(self):
        return 100

    def __getitem__(self, index):
        if index == 3 and self.way == "while it works":
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 3 and self.way == "while it answers":
            multiprocessing.connection.Connection._send_bytes = send_half
        if index == 3 and self.way == "by an exit":
            os._exit(7)
        return index, index

if __name__ == "__main__":
    for way in sys.argv[1:]:
        data = Dying(workers=1, use_multiprocessing=True)
        data.way = way
        source = make_source(data)
        read = []
        try:
            for batch in source.epoch(0, 0):
                read.append(int(batch[0]))
        except RuntimeError as error:
            assert read == [0, 1, 2][: len(read)], read
            print(f"{way}:", error, flush=True)
        source.close()
"""


def test_a_worker_that_dies_is_an_error_at_once(tmp_path):
    script = tmp_path / "dying.py"
    script.write_text(SCRIPT)
    root = str(Path(hb.__file__).parent.parent)
    ways = ["while it works", "while it answers", "by an exit"]
    run = subprocess.run(
        [sys.executable, script, *ways], capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    for line, way in zip(run.stdout.splitlines(), ways, strict=True):
        assert line.startswith(f"{way}: Dying: a worker process ended unexpectedly (exit code")
        assert ("(exit code 7)" if way == ways[2] else "(exit code -9)") in line
        assert ("use fewer `workers`" in line) == (way != ways[2])
