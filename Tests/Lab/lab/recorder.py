"""`skywave record` between two servers that find each other through it."""

import stat
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from .network import answers
from .processes import Daemon, LabError

PORT = 5269
TRAFFIC = "{urn:x-traffic:0}"


@dataclass
class Entry:
    """One stanza of the file."""

    time: float
    site: str
    stanza: ElementTree.Element


class Recorder:
    """`ways`: where a server looks for the other, and where that one is."""

    def __init__(self, executable: Path, ways: list[tuple[str, str]], site_a: str, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self.ways, self.file = ways, directory / "traffic.xml"
        command = [str(executable), "record", "--site-a", site_a, "--out", str(self.file), "--force"]
        for listen, upstream in ways:
            command += ["--listen", f"{listen}:{PORT}", "--upstream", f"{upstream}:{PORT}"]
        self.daemon = Daemon("skywave-record", command, directory)

    async def start(self):
        """Begins a new file."""
        self.daemon.start()

        async def ready() -> bool:
            return all([await answers(listen, PORT) for listen, _ in self.ways])

        await self.daemon.ready(ready)

    async def stop(self) -> int | None:
        return await self.daemon.stop()

    def entries(self) -> list[Entry]:
        """What a reader of another make finds in the file."""
        mode = stat.S_IMODE(self.file.stat().st_mode)
        if mode != 0o600:
            raise LabError(f"{self.file} has mode {mode:o}")
        root = ElementTree.parse(self.file).getroot()
        if root.tag != TRAFFIC + "traffic":
            raise LabError(f"the root of {self.file} is {root.tag}")
        return [Entry(float(entry.get("t")), entry.get("from"), stanza) for entry in root for stanza in entry]
