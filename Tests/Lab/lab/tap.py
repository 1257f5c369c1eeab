"""Reads along what a server and its bridge say to each other, and who of them has taken what (XEP-0198)."""

import asyncio
import re
import time
from dataclasses import dataclass, field

from .network import reset

# Streams of the lab are in the clear, and nothing in them holds one of these inside something else.
PIECES = re.compile(
    rb"<(?P<stanza>message|presence|iq)[\s/>]|<(?P<enable>enable)[\s/>]|<a\s[^>]*\bh=['\"](?P<ack>\d+)['\"]"
    rb"|soak:(?P<token>[a-z0-9:-]+);")
LONGEST = 200


@dataclass
class Seen:
    """One message on the way between a server and its bridge."""

    token: str
    at: float
    stream: "Stream"
    place: int  # among the stanzas of its direction since stream management began; 0 where there is none

    @property
    def is_acknowledged(self) -> bool:
        """The receiver said, by XEP-0198, that it is its own."""
        return 0 < self.place <= self.stream.acknowledged

    @property
    def is_open(self) -> bool:
        """Not acknowledged, and its stream is gone: nobody outside can know what became of it."""
        return not self.is_acknowledged and self.stream.ended is not None


@dataclass
class Stream:
    """One TCP connection. Stanzas are followed in the direction of whoever dialled: s2s streams carry them only so."""

    number: int
    ended: float | None = None
    is_managed: bool = False
    stanzas: int = 0
    acknowledged: int = 0
    rests: dict[bool, bytes] = field(default_factory=lambda: {True: b"", False: b""})


class Tap:
    """Stands before one listener and passes everything on, as bytes."""

    def __init__(self, listen: tuple[str, int], target: tuple[str, int]):
        self.listen, self.target = listen, target
        self.seen: dict[str, list[Seen]] = {}
        self.streams: list[Stream] = []
        self._server = None
        self._tasks: set[asyncio.Task] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self):
        self._server = await asyncio.start_server(self._accepted, *self.listen)

    async def stop(self):
        if self._server:
            self._server.close()
        for writer in list(self._writers):
            reset(writer)
        for task in list(self._tasks):
            task.cancel()

    def sightings(self, token: str) -> list[Seen]:
        return self.seen.get(token, [])

    def forget(self):
        """Forgets what was seen; streams go on."""
        self.seen.clear()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            reset(writer)
            return
        stream = Stream(len(self.streams))
        self.streams.append(stream)
        self._writers.update((writer, far_writer))
        tasks = [asyncio.create_task(self._carry(reader, far_writer, stream, True)),
                 asyncio.create_task(self._carry(far_reader, writer, stream, False))]
        self._tasks.update(tasks)
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.difference_update(tasks)
        stream.ended = time.monotonic()
        for end in (writer, far_writer):
            self._writers.discard(end)
            end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: Stream, is_outward: bool):
        try:
            while data := await reader.read(65536):
                # Noted before it is passed on, so that nothing arrives that was not seen.
                self._note(data, stream, is_outward)
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            # A process that is killed resets its connections; the other end must feel the same.
            reset(writer)

    def _note(self, data: bytes, stream: Stream, is_outward: bool):
        text = stream.rests[is_outward] + data
        # What may be cut in the middle is looked at again with the next bytes.
        cut = max(text.rfind(b"<"), text.rfind(b"soak:"))
        end = len(text)
        if cut >= 0 and len(text) - cut < LONGEST and not text[cut:].rstrip().endswith((b">", b";")):
            end = cut
        stream.rests[is_outward] = text[end:]
        for piece in PIECES.finditer(text, 0, end):
            if piece["ack"] is not None:
                if not is_outward:
                    stream.acknowledged = max(stream.acknowledged, int(piece["ack"]))
            elif not is_outward:
                continue
            elif piece["enable"]:
                stream.is_managed, stream.stanzas = True, 0
            elif piece["stanza"]:
                stream.stanzas += 1
            elif piece["token"]:
                token = piece["token"].decode()
                place = stream.stanzas if stream.is_managed else 0
                self.seen.setdefault(token, []).append(Seen(token, time.monotonic(), stream, place))
