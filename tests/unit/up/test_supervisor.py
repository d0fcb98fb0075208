"""Processes: they die with their parent, come back after a pause, and end in the reverse order of their stages."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tsunagu.up.child import Child, Program
from tsunagu.up.problem import UpError
from tsunagu.up.supervisor import Job, Stage, Supervisor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SLEEP = "import time; time.sleep(60)"


def _program(folder: Path, script: str, *, name: str = "worker", grace: float = 5.0) -> Program:
    return Program(name, (sys.executable, "-c", script), folder / f"{name}.log", grace=grace)


async def _at_once(child: Child) -> None:
    """Ready as soon as it was started."""


async def _never(child: Child) -> None:
    await asyncio.Event().wait()


def _job(program: Program, ready: Callable[[Child], Awaitable[object]] = _at_once, **rest) -> Job:
    return Job(program, rest.pop("stage", Stage.BROKER), ready, lambda child: f"it said: {child.last_words()}", **rest)


def _last_words(child: Child) -> str:
    return child.last_words()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_process_that_dies_comes_back_after_longer_and_longer_pauses(tmp_path: Path) -> None:
    """Each end is told with its signal and the pause before the next start; pauses double."""
    said: list[str] = []
    supervisor = Supervisor(said.append, first_pause=0.05)
    child = await supervisor.start(_job(_program(tmp_path, SLEEP)))
    try:
        for _ in range(2):
            before = child.pid
            child.signal(signal.SIGKILL)
            await _until(lambda before=before: child.pid not in (None, before))
        assert [line.split(", log")[0] for line in said if "ended" in line] == [
            "worker ended (by SIGKILL); starting it again in 0.05 s",
            "worker ended (by SIGKILL); starting it again in 0.1 s",
        ]
        await _until(lambda: said.count("worker is back") == 2)
    finally:
        await supervisor.stop()


async def test_stages_stop_in_reverse_order(tmp_path: Path) -> None:
    """A process of a later stage has ended before one of an earlier stage is asked to end."""
    order = tmp_path / "order"
    script = (
        "import signal,sys,time\n"
        "def end(*_):\n time.sleep(0.2); open({!r},'a').write({!r}+' '); sys.exit()\n"
        "signal.signal(signal.SIGTERM,end); print('ready', flush=True); time.sleep(60)"
    )
    supervisor = Supervisor(print)
    for stage in (Stage.STORE, Stage.MQTT, Stage.BROKER, Stage.STORY):
        program = _program(tmp_path, script.format(str(order), stage.name), name=stage.name)
        await supervisor.start(_job(program, stage=stage))
        await _until(lambda program=program: program.log.read_text() == "ready\n")
    await supervisor.stop()
    assert order.read_text().split() == ["STORY", "BROKER", "MQTT", "STORE"]


async def test_one_that_will_not_end_is_killed_after_its_grace(tmp_path: Path) -> None:
    """SIGTERM is ignored by the process: it is killed when its grace is over."""
    script = (
        "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    program = _program(tmp_path, script, grace=0.3)
    supervisor = Supervisor(print)
    child = await supervisor.start(_job(program))
    await _until(lambda: program.log.read_text() == "ready\n")
    await supervisor.stop()
    assert child.exit_code == -signal.SIGKILL


async def test_the_end_before_it_is_ready_is_explained(tmp_path: Path) -> None:
    """A program that ends at once is explained from its log, not waited for."""
    supervisor = Supervisor(print)
    with pytest.raises(UpError, match="it said: no luck today"):
        await supervisor.start(_job(_program(tmp_path, "import sys; sys.exit('no luck today')"), _never))
    await supervisor.stop()


async def test_one_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    """The patience of a job is bounded; the message names its log, and stop() ends the process."""
    supervisor = Supervisor(print)
    with pytest.raises(UpError, match=r"worker was not ready within 0 s: see .*worker\.log"):
        await supervisor.start(_job(_program(tmp_path, SLEEP), _never, patience=0.2))
    await supervisor.stop()
    assert all(child.exit_code == -signal.SIGTERM for _, child in supervisor._children)


async def test_a_start_that_goes_on_is_waited_for(tmp_path: Path) -> None:
    """While a process makes progress its patience begins anew; when it makes none, it is told of as not ready."""
    supervisor = Supervisor(lambda _: None)
    script = "import time\nfor n in range(16):\n print(n, flush=True); time.sleep(0.2)\ntime.sleep(60)"
    try:
        with pytest.raises(UpError, match="which ends: 15"):
            await supervisor.start(_job(_program(tmp_path, script), _never, patience=2.0, progress=_last_words))
    finally:
        await supervisor.stop()


async def test_stopping_while_a_process_starts_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C during the start: the process that was not ready yet ends too."""
    supervisor = Supervisor(print)
    starting = asyncio.create_task(supervisor.start(_job(_program(tmp_path, SLEEP), _never)))
    await _until(lambda: bool(supervisor._children))
    pid = supervisor._children[0][1].pid
    assert pid is not None
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await supervisor.stop()
    assert not _alive(pid)


async def test_a_child_dies_with_its_parent_even_by_kill_9(tmp_path: Path) -> None:
    """Kill -9 of the parent ends its child: no process is left behind."""
    parent_script = (
        "import pathlib,sys,time\n"
        "from tsunagu.up.child import Child, Program\n"
        f"c = Child(Program('child', (sys.executable, '-c', {SLEEP!r}), pathlib.Path({str(tmp_path / 'log')!r})))\n"
        "c.start(); print(c.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent_script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert _alive(child)
        parent.kill()
    await _until(lambda: not _alive(child))


async def test_ctrl_c_reaches_the_parent_alone(tmp_path: Path) -> None:
    """A child has a session of its own, so that the terminal's signals do not end it before its turn."""
    child = Child(_program(tmp_path, SLEEP))
    child.start()
    try:
        assert child.pid is not None
        assert os.getsid(child.pid) == child.pid
    finally:
        await child.stop()


async def test_a_variable_set_to_none_is_taken_out_of_the_environment(tmp_path: Path, monkeypatch) -> None:
    """A program's environment is the parent's with its own variables added, and those set to None left out."""
    monkeypatch.setenv("MQTT_URL", "mqtt://elsewhere")
    words = (sys.executable, "-c", "import os; print(os.environ.get('MQTT_URL'), os.environ['TSUNAGU_NAME'])")
    environment = {"MQTT_URL": None, "TSUNAGU_NAME": "kawashimo"}
    child = Child(Program("worker", words, tmp_path / "log", environment=environment))
    child.start()
    assert await child.wait() == 0
    assert child.last_words() == "None kawashimo"


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """A binary that cannot be started is reported in one line."""
    with pytest.raises(UpError, match=r"cannot start mosquitto \(/nowhere\): No such file"):
        Child(Program("mosquitto", ("/nowhere",), tmp_path / "log")).start()


async def test_last_words_are_those_of_the_last_run(tmp_path: Path) -> None:
    """The log keeps what earlier runs said, but a silent end is not explained with their words."""
    log = tmp_path / "worker.log"
    log.write_text("yesterday's trouble\n")
    child = Child(Program("worker", (sys.executable, "-c", ""), log))
    child.start()
    await child.wait()
    assert child.last_words() == "it said nothing"
    assert log.read_text() == "yesterday's trouble\n"
