"""Two STANAG 5066 nodes and the radio between them: `skywave-sim node`, in a multiple of real time."""

import asyncio
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from .network import answers
from .processes import Daemon, LabError

PORT = 5066
ADDRESSES = ["10.0.0.1", "10.0.0.2"]


@dataclass(frozen=True)
class RadioSummary:
    """What the nodes say of themselves when they end."""

    lines: tuple[str, ...]

    @property
    def turns(self) -> int:
        return int(self._number(r"(\d+) turns"))

    @property
    def on_air(self) -> float:
        """The share of the time from the first transmission to the end of the last, in percent."""
        return self._number(r"on the air ([\d.]+) %")

    @property
    def utilisation(self) -> float:
        """Of what the modem could have carried in that time, in percent."""
        return self._number(r"utilisation ([\d.]+) %")

    @property
    def rate(self) -> int:
        """bit/s of the modem at the start."""
        return int(self._number(r"of (\d+) bit/s"))

    @property
    def delivered(self) -> int:
        """U_PDUs that the far node gave to its client, both ways."""
        return sum(int(number) for number in re.findall(r"(\d+) delivered", "\n".join(self.lines)))

    def _number(self, pattern: str) -> float:
        found = re.search(pattern, self.lines[-1])
        if not found:
            raise LabError(f"the nodes ended with {self.lines[-1]!r}")
        return float(found[1])


class Radio:
    """Both nodes: one process, so that killing it takes both of them and all that is in them."""

    def __init__(self, executable: Path, link: str, speed: float, places: list[str], directory: Path,
                 seed: int | None = None, captures: bool = False):
        self.link, self.speed, self.places = link, speed, places
        directory.mkdir(parents=True, exist_ok=True)
        if not executable.exists():
            raise LabError(f"{executable} is not built; `swift build --product skywave-sim` does it")
        # By its path: names are looked for from the working directory.
        file = Path(__file__).resolve().parents[3] / "sim" / "links" / f"{link}.toml"
        self._nodes = [str(executable), "node", "--link", str(file)]
        command = self._nodes + ["--speed", str(speed), "--addresses", ",".join(ADDRESSES),
                                 "--listen", ",".join(f"{place}:{PORT}" for place in places)]
        command += ["--seed", str(seed)] if seed is not None else []
        self.capture = directory / "radio.pcapng"  # with `captures`, of the last run, once it has ended
        command += ["--pcap", str(self.capture)] if captures else []
        self._cut_at = 0.0
        self.daemon = Daemon("nodes", command, directory)

    async def start(self):
        self.daemon.start()

        async def ready() -> bool:
            return all([await answers(place, PORT) for place in self.places])

        await self.daemon.ready(ready)

    async def stop(self):
        await self.daemon.stop()

    async def selftest(self) -> Path:
        """The capture of two further nodes on such a link, whose built-in clients exchange sample traffic."""
        capture = self.capture.with_name("selftest.pcapng")
        process = await asyncio.create_subprocess_exec(
            *self._nodes, "--selftest", "--ports", "0,0", "--pcap", str(capture), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        try:
            output, _ = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise LabError(f"the self-test of the nodes ended with {process.returncode}:\n{output.decode()[-2000:]}")
        return capture

    def kill(self):
        """As by a loss of power at both nodes."""
        self.daemon.kill()

    def cut(self):
        """Nothing crosses the air any more, what is on it included."""
        self.daemon.signal(signal.SIGUSR1)
        self._cut_at = time.monotonic()

    def mend(self):
        # Two signals that are pending at once have no order.
        time.sleep(max(0, self._cut_at + 0.1 - time.monotonic()))
        self.daemon.signal(signal.SIGUSR2)

    def summary(self) -> RadioSummary:
        """Of the last run, once it has ended."""
        lines = self.daemon.tail(3).splitlines()
        if len(lines) < 3 or not lines[-1].startswith("link: "):
            raise LabError(f"the nodes ended without a summary:\n{self.daemon.tail()}")
        return RadioSummary(tuple(lines))
