"""The data folder: one run at a time, what it remembers, and what is said when it cannot be had."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tsunagu.up.folder import DataFolder
from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_run_on_the_folder_is_refused(tmp_path: Path) -> None:
    """The message names the folder, the process that holds it, and both ways out."""
    with (
        DataFolder(tmp_path / "data"),
        pytest.raises(UpError, match=rf"in use by process {os.getpid()}: .*kill {os.getpid()}.*--data"),
        DataFolder(tmp_path / "data"),
    ):
        pass


def test_a_folder_is_free_again_after_a_run(tmp_path: Path) -> None:
    """The lock goes with the run, the lock file may stay."""
    for _ in range(2):
        with DataFolder(tmp_path / "data") as folder:
            assert (folder.path / "lock").read_text() == f"{os.getpid()}\n"
    assert (tmp_path / "data" / "lock").read_text() == ""


def test_ports_are_remembered_from_run_to_run(tmp_path: Path) -> None:
    """A server's port of the last run is known in the next, also when a run did not embed that server."""
    with DataFolder(tmp_path) as folder:
        assert folder.port_of("mongod") is None
        folder.remember_ports({"mongod": 27123, "mqtt": 1883})
    with DataFolder(tmp_path) as folder:
        folder.remember_ports({"mongod": None, "mqtt": 1884})
    with DataFolder(tmp_path) as folder:
        assert (folder.port_of("mongod"), folder.port_of("mqtt")) == (27123, 1884)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"mongod": "x"}', '{"mongod": 70000}'])
def test_a_spoiled_list_of_ports_means_no_ports(tmp_path: Path, text: str) -> None:
    """What cannot be read in ports.json is as good as absent."""
    (tmp_path / "ports.json").write_text(text)
    assert DataFolder(tmp_path).port_of("mongod") is None


def test_addresses_are_there_only_while_running(tmp_path: Path) -> None:
    """addresses.json says where the brokers are, and goes with the run."""
    with DataFolder(tmp_path) as folder:
        folder.publish_addresses({"kawakami": "http://127.0.0.1:1026"})
        assert "http://127.0.0.1:1026" in (tmp_path / "addresses.json").read_text()
    assert not (tmp_path / "addresses.json").exists()


def test_a_long_log_is_set_aside(tmp_path: Path) -> None:
    """A log over 20 MB is kept as NAME.1.log, and a new one begins."""
    with DataFolder(tmp_path) as folder:
        with folder.log("mongod").open("wb") as log:
            log.truncate(21 * 1024 * 1024)
        assert not folder.log("mongod").exists()
        assert (tmp_path / "log" / "mongod.1.log").stat().st_size == 21 * 1024 * 1024


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    """A file where the folder should be is reported in one line that names --data."""
    (tmp_path / "data").write_text("")
    with pytest.raises(UpError, match=r"cannot use the data folder .*/data .*--data"), DataFolder(tmp_path / "data"):
        pass
