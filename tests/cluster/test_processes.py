"""How runs stay apart: two of them side by side never get the same port."""

import socket
import subprocess
import sys

from tests.cluster.processes import BLOCK, LOOPBACK, free_port
from tests.support.paths import ROOT

PRINT = "from tests.cluster.processes import *; print(*(free_port() for _ in range(3 * BLOCK)))"


def test_another_run_gets_other_ports_however_many_either_takes() -> None:
    ours = {free_port() for _ in range(3 * BLOCK)}
    command = (sys.executable, "-c", PRINT)
    printed = subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout  # noqa: S603
    theirs = {int(word) for word in printed.split()}
    assert len(ours) > BLOCK / 2
    assert len(theirs) > BLOCK / 2
    assert not ours & theirs


def test_a_port_that_somebody_listens_on_is_left_out() -> None:
    with socket.socket() as foreign:
        foreign.bind((LOOPBACK, free_port()))
        foreign.listen()
        taken = foreign.getsockname()[1]
        assert taken not in {free_port() for _ in range(2 * BLOCK)}
