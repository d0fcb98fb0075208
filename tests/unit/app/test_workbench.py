"""The operator's tools: `tsunagu index …` and `tsunagu explain`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from tsunagu.cli import main


@pytest.fixture
def database(mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the prefix of a broker's databases, named in the environment and dropped afterwards."""
    prefix = "b" + secrets.token_hex(5)
    monkeypatch.setenv("MONGODB_URI", mongo_uri)
    monkeypatch.setenv("TSUNAGU_DATABASE_PREFIX", prefix)
    yield prefix
    with pymongo.MongoClient(mongo_uri) as client:
        for name in client.list_database_names():
            if name.startswith(prefix):
                client.drop_database(name)


def test_an_index_is_declared_listed_used_and_dropped(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What `index add` declares, `index list` shows, `explain` uses and `index drop` removes."""
    assert database
    assert main(["index", "add", "RiverLevelObserved", "waterLevel"]) == 0
    assert main(["index", "list"]) == 0
    assert "RiverLevelObserved.waterLevel (value)" in capsys.readouterr().out
    assert main(["explain", "type=RiverLevelObserved&q=waterLevel>2"]) == 0
    assert "keysExamined" in capsys.readouterr().out
    assert main(["index", "drop", "RiverLevelObserved", "waterLevel"]) == 0
    assert main(["index", "list"]) == 0
    assert "no index is declared" in capsys.readouterr().out


def test_a_wrong_query_is_explained_in_one_line(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A query that is no query, and an index that is not there, give one line on stderr and exit code 1."""
    assert database
    assert main(["explain", "type=RiverLevelObserved&q=waterLevel>>2"]) == 1
    assert "position" in capsys.readouterr().err
    assert main(["index", "drop", "No", "such"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_without_a_broker_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without MONGODB_URI and without a data folder the message says what to set."""
    monkeypatch.delenv("MONGODB_URI", raising=False)
    assert main(["index", "list", "--data", str(tmp_path / "none")]) == 1
    assert "MONGODB_URI" in capsys.readouterr().err
