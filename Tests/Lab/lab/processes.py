"""Daemons under test: started with their own log file, ended with their whole process group."""

import asyncio
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Awaitable, Callable

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """The lab itself failed: a daemon did not start, or ended by itself."""


def run_until_signalled(main: Callable[[], Awaitable[int]]) -> int:
    """Runs a program of the lab; its exit status. SIGTERM and SIGINT cancel it, so that it stops what it started."""
    # A test runner may have blocked SIGTERM, and what is blocked here stays blocked in every daemon.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])

    async def interruptible() -> int:
        task = asyncio.current_task()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await main()

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        return 130


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Daemon:
    """One process that belongs to the lab. Its output goes to `log`, appended over restarts.

    Unless `outlives_lab` is set, the kernel kills it when this process dies without having stopped it.
    """

    outlives_lab = False

    def __init__(self, name: str, command: list[str], directory: Path, environment: dict[str, str] | None = None):
        self.name, self.command, self.directory = name, command, directory
        self.environment = os.environ | (environment or {})
        self.log = directory / f"{name}.log"
        self.process: subprocess.Popen | None = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=None if self.outlives_lab else _die_with_parent)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def ready(self, condition: Callable[[], Awaitable[bool]], limit: float = 30):
        """Waits for `condition`, and fails at once when the process ends before."""
        deadline = time.monotonic() + limit
        while not await condition():
            if not self.is_running:
                raise LabError(f"{self.name} ended with status {self.process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} was not ready within {limit:.0f} s:\n{self.tail()}")
            await asyncio.sleep(0.05)

    async def stop(self, limit: float = 10) -> int | None:
        """SIGTERM, then SIGKILL after `limit` seconds. Returns the exit status, None when it had to be killed."""
        if self.process is None:
            return None
        graceful = True
        if self.is_running:
            self.signal(signal.SIGTERM)
            deadline = time.monotonic() + limit
            while self.is_running and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            graceful = not self.is_running
        self.kill()
        return self.process.returncode if graceful else None

    def kill(self):
        """SIGKILL to the whole group; returns when the process is gone."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()

    def signal(self, number: int):
        """To the whole group."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def tail(self, lines: int = 25) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"
