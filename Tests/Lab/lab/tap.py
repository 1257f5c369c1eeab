"""Reads along what a server and its bridge say to each other, and who of them has taken what (XEP-0198)."""

import asyncio
import re
import time
from dataclasses import dataclass, field

from .network import reset

# Without XEP-0198 nobody says what he has taken: what passed this short a time before its stream broke is in doubt.
DOUBT_SECONDS = 0.5

# Streams of the lab are in the clear, and nothing in them holds one of these inside something else.
PIECES = re.compile(
    rb"<(?P<stanza>message|presence|iq)\b(?P<attributes>[^<>]*)>|<(?P<enable>enable)[\s/>]"
    rb"|<a\s[^>]*\bh=['\"](?P<ack>\d+)['\"]|soak:(?P<token>[a-z0-9:-]+);|<(?P<delay>delay)[\s/>]"
    rb"|<(?P<subject>subject)[\s/>]|<x\s[^>]*(?P<join>['\"]http://jabber\.org/protocol/muc['\"])"
    rb"|<history\s(?P<history>[^>]*)>|<status\s[^>]*\bcode=['\"](?P<code>\d+)['\"]")
ATTRIBUTE = re.compile(rb"([\w:]+)=(?:'([^']*)'|\"([^\"]*)\")")
LONGEST = 600


@dataclass
class Seen:
    """One stanza on the way between a server and its bridge."""

    kind: str
    sender: str
    to: str
    type: str
    at: float
    stream: "Stream"
    place: int  # among the stanzas of its direction since stream management began; 0 where there is none
    token: str = ""
    is_delayed: bool = False
    is_join: bool = False
    is_subject: bool = False
    history: dict[str, str] = field(default_factory=dict)  # what a join asks for
    codes: set[int] = field(default_factory=set)

    @property
    def is_acknowledged(self) -> bool:
        """The receiver said, by XEP-0198, that it is its own."""
        return 0 < self.place <= self.stream.acknowledged

    @property
    def is_doubtful(self) -> bool:
        """Its stream is gone, and nobody outside can know what became of it."""
        if self.stream.ended is None:
            return False
        if self.place > 0:
            return not self.is_acknowledged
        return self.stream.ended - self.at < DOUBT_SECONDS


@dataclass
class Stream:
    """One TCP connection. Stanzas are followed in the direction of whoever dialled: s2s streams carry them only so."""

    number: int
    ended: float | None = None
    is_managed: bool = False
    stanzas: int = 0
    acknowledged: int = 0
    senders: set[str] = field(default_factory=set)  # the domains that spoke on it
    current: Seen | None = None
    rests: dict[bool, bytes] = field(default_factory=lambda: {True: b"", False: b""})


class Tap:
    """Stands before one listener and passes everything on, as bytes."""

    def __init__(self, listen: tuple[str, int], target: tuple[str, int]):
        self.listen, self.target = listen, target
        self.seen: dict[str, list[Seen]] = {}
        self.signs: list[Seen] = []  # presence, and subjects of rooms, which end the answer to a join
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
        """Forgets the signs; messages are asked for in later rounds too, and streams go on."""
        self.signs.clear()

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
                self._begin(piece, stream)
            elif stream.current:
                self._add(piece, stream.current)

    def _begin(self, piece: re.Match, stream: Stream):
        stream.stanzas += 1
        values = attributes(piece["attributes"])
        sender = values.get("from", "")
        stream.senders.add(domain_of(sender))
        stream.current = Seen(
            piece["stanza"].decode(), sender, values.get("to", ""), values.get("type", ""), time.monotonic(), stream,
            stream.stanzas if stream.is_managed else 0)
        if stream.current.kind == "presence":
            self.signs.append(stream.current)

    def _add(self, piece: re.Match, seen: Seen):
        if piece["token"]:
            # An error is not the message that it answers.
            if seen.type != "error":
                seen.token = piece["token"].decode()
                self.seen.setdefault(seen.token, []).append(seen)
        elif piece["delay"]:
            seen.is_delayed = True
        elif piece["subject"]:
            seen.is_subject = True
            self.signs.append(seen)
        elif piece["join"]:
            seen.is_join = True
        elif piece["history"] is not None:
            seen.history = attributes(piece["history"])
        elif piece["code"]:
            seen.codes.add(int(piece["code"]))


def attributes(text: bytes) -> dict[str, str]:
    return {name.decode(): (one or other).decode() for name, one, other in ATTRIBUTE.findall(text)}


def domain_of(address: str) -> str:
    return address.split("/")[0].rpartition("@")[2]
