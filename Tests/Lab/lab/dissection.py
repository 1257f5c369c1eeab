"""What Wireshark makes of a capture of the nodes: read by its `tshark`, where that is installed."""

import asyncio
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .processes import LabError

TSHARK = "tshark"
WARNING = 0x600000  # severity; what is below it remarks on openings and ends of TCP connections

# SIS primitives, STANAG 5066 Annex A
REQUEST, INDICATION, CONFIRM, REJECTED = 20, 21, 22, 23
# What Wireshark calls malformed through a fault of its own, as docs/hf-links.md says; and nothing behind it is read.
ECHOES = {CONFIRM, REJECTED}


@dataclass
class Dissection:
    primitives: Counter[int] = field(default_factory=Counter)  # by type
    d_pdus: int = 0
    checked: int = 0  # checksums of D_PDUs that are right
    echoes: int = 0  # frames with the complaint that is known
    complaints: list[str] = field(default_factory=list)


def is_installed() -> bool:
    return shutil.which(TSHARK) is not None


async def dissect(capture: Path) -> Dissection:
    """Reads all of it, TCP port 5066 as SIS."""
    fields = ["frame.number", "frame.protocols", "s5066sis.type", "_ws.expert.severity", "_ws.expert.message"]
    found = Dissection()
    rows = await tshark(capture, "-T", "fields", *(word for name in fields for word in ("-e", name)))
    for row in rows.splitlines():
        number, protocols, types, severities, messages = row.split("\t")
        primitives = [int(kind, 0) for kind in types.split(",") if kind]
        found.primitives.update(primitives)
        found.d_pdus += "s5066dts" in protocols.split(":")
        if all(int(severity, 0) < WARNING for severity in severities.split(",") if severity):
            continue
        if messages.startswith("Malformed Packet") and primitives and primitives[-1] in ECHOES:
            found.echoes += 1
        else:
            found.complaints.append(f"frame {number}, {protocols}: {messages}")
    for line in (await tshark(capture, "-O", "s5066dts")).splitlines():
        if re.match(r"\s*CRC on ", line):
            found.checked += "(Correct)" in line
            if "(Correct)" not in line:
                found.complaints.append(line.strip())
    return found


async def tshark(capture: Path, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        TSHARK, "-n", "-r", str(capture), "-d", "tcp.port==5066,s5066sis", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        output, errors = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise LabError(f"tshark ended with {process.returncode}: {errors.decode()}")
    return output.decode()
