"""An XMPP client that records what it receives, in order and with the time."""

import asyncio
import time
from dataclasses import dataclass, field

import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

PATIENCE = 20.0  # seconds that something may take which has to happen


class CheckFailed(AssertionError):
    """What a check expected did not happen."""


@dataclass(frozen=True)
class Received:
    """One message or presence as the client got it."""

    at: float  # time.monotonic()
    sender: str  # full JID
    type: str
    id: str
    body: str
    condition: str  # of an error, else empty
    text: str  # of an error: what it says in words, else empty
    stanza: object = field(repr=False, compare=False)


class Client:
    """A logged-in user. `messages` and `presences` grow with everything that arrives, errors included."""

    def __init__(self, address: str, jid: str, password: str):
        self.messages: list[Received] = []
        self.presences: list[Received] = []
        self.sent: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._address = address
        self._is_open = True
        xmpp = slixmpp.ClientXMPP(jid, password)
        xmpp.enable_starttls, xmpp.enable_direct_tls, xmpp.enable_plaintext = False, False, True
        xmpp["feature_mechanisms"].unencrypted_plain = True
        xmpp.auto_authorize, xmpp.auto_subscribe = None, False
        for plugin in ("xep_0030", "xep_0045", "xep_0054", "xep_0199"):
            xmpp.register_plugin(plugin)
        xmpp.register_handler(Callback("messages", MatchXPath("{jabber:client}message"), self._message))
        xmpp.register_handler(Callback("presences", MatchXPath("{jabber:client}presence"), self._presence))
        self.xmpp = xmpp

    def another(self) -> "Client":
        """A further client of the same account."""
        return Client(self._address, self.bare, self.xmpp.password)

    # Login

    async def login(self, announce: bool = True) -> "Client":
        started = self.xmpp.wait_until("session_start", PATIENCE)
        self.xmpp.connect(self._address, 5222)
        try:
            await started
        except asyncio.TimeoutError:
            raise CheckFailed(f"{self.xmpp.boundjid} could not log in at {self._address}") from None
        await self.xmpp.get_roster(timeout=PATIENCE)
        if announce:
            self.xmpp.send_presence()
        return self

    async def logout(self):
        if not self._is_open:
            return
        self._is_open = False
        try:
            await self.xmpp.disconnect(wait=2.0, ignore_send_queue=False)
        except (asyncio.TimeoutError, asyncio.CancelledError):
            self.xmpp.abort()

    @property
    def bare(self) -> str:
        return self.xmpp.boundjid.bare

    @property
    def full(self) -> str:
        return self.xmpp.boundjid.full

    # Recording

    def _message(self, stanza):
        body = stanza["body"]
        self.messages.append(self._received(stanza, body))
        self._changed.set()

    def _presence(self, stanza):
        self.presences.append(self._received(stanza, stanza["status"]))
        self._changed.set()

    @staticmethod
    def _received(stanza, body: str) -> Received:
        kind = stanza.xml.get("type", "")
        condition = stanza["error"]["condition"] if kind == "error" else ""
        text = stanza["error"]["text"] if kind == "error" else ""
        return Received(time.monotonic(), stanza["from"].full, kind, stanza["id"], body, condition, text, stanza)

    async def until(self, what: str, condition, patience: float = PATIENCE):
        """Waits until `condition()` gives something true, and returns that."""
        deadline = time.monotonic() + patience
        while not (result := condition()):
            left = deadline - time.monotonic()
            if left <= 0:
                raise CheckFailed(f"{self.bare}: within {patience:.0f} s not seen: {what}\n{self.account()}")
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), min(left, 0.1))
            except asyncio.TimeoutError:
                pass
        return result

    def account(self, last: int = 8) -> str:
        """What arrived most recently, for a failure report."""
        lines = [f"  the last messages of {self.bare} ({len(self.messages)} in all):"]
        lines += [f"    {m.sender} {m.type} {m.condition} {m.body[:60]!r}" for m in self.messages[-last:]]
        lines += [f"  the last presences of {self.bare} ({len(self.presences)} in all):"]
        lines += [f"    {p.sender} {p.type or 'available'} {p.condition} {p.body[:60]!r}"
                  for p in self.presences[-last:]]
        return "\n".join(lines)

    # Messages

    def send(self, to: str, body: str, kind: str = "chat") -> str:
        message = self.xmpp.make_message(mto=to, mbody=body, mtype=kind)
        message["id"] = self.xmpp.new_id()
        self.sent[message["id"]] = time.monotonic()
        message.send()
        return message["id"]

    def from_user(self, bare: str) -> list[Received]:
        """Messages with a body from a user (not errors)."""
        return [m for m in self.messages if m.type != "error" and m.body and m.sender.split("/")[0] == bare]

    def errors(self, ident: str) -> list[Received]:
        return [m for m in self.messages if m.type == "error" and m.id == ident]

    # Presence

    def presence_of(self, bare: str) -> list[Received]:
        return [p for p in self.presences if p.sender.split("/")[0] == bare]

    def presence(self, to: str | None = None, kind: str | None = None, show: str | None = None,
                 status: str | None = None):
        self.xmpp.make_presence(pto=to, ptype=kind, pshow=show, pstatus=status).send()

    async def subscription(self, bare: str) -> str:
        """The subscription state in the roster as the server has it now."""
        _, _, answer = await self.request(self.bare, "get", "jabber:iq:roster")
        items = answer.xml.iter("{jabber:iq:roster}item")
        return next((item.get("subscription") for item in items if item.get("jid") == bare), "absent")

    # Rooms

    async def join(self, room: str, nick: str, create: bool = False, patience: float = PATIENCE):
        try:
            await self.xmpp["xep_0045"].join_muc_wait(slixmpp.JID(room), nick, maxstanzas=0, timeout=patience)
        except asyncio.TimeoutError:
            raise CheckFailed(f"{self.bare} got no answer to joining {room}\n{self.account()}") from None
        except slixmpp.exceptions.PresenceError as error:
            raise CheckFailed(f"{self.bare} was refused by {room}: {error.condition}") from None
        if create:
            # a new room is locked until its owner takes the configuration (XEP-0045 section 10.1.2)
            iq = self.xmpp.make_iq_set(ito=room)
            query = slixmpp.xmlstream.ET.SubElement(iq.xml, "{http://jabber.org/protocol/muc#owner}query")
            slixmpp.xmlstream.ET.SubElement(query, "{jabber:x:data}x", {"type": "submit"})
            await iq.send(timeout=PATIENCE)

    def leave(self, room: str, nick: str):
        self.xmpp["xep_0045"].leave_muc(slixmpp.JID(room), nick)

    def occupants(self, room: str) -> set[str]:
        """Who is in the room, from the presences that the room sent us."""
        present: set[str] = set()
        for presence in self.presences:
            bare, _, nick = presence.sender.partition("/")
            if bare == room and nick:
                if presence.type == "":
                    present.add(nick)
                elif presence.type == "unavailable":
                    present.discard(nick)
        return present

    def room_messages(self, room: str) -> list[tuple[str, str]]:
        """(nick, body) of the room's messages in the order of arrival."""
        return [(m.sender.partition("/")[2], m.body) for m in self.messages
                if m.type == "groupchat" and m.body and m.sender.split("/")[0] == room]

    # Requests

    async def request(self, to: str, kind: str, namespace: str, name: str = "query", patience: float = PATIENCE):
        """Sends an IQ with one empty payload; returns (type, error condition or None, stanza)."""
        iq = self.xmpp.make_iq(ito=to, itype=kind)
        slixmpp.xmlstream.ET.SubElement(iq.xml, f"{{{namespace}}}{name}")
        try:
            answer = await iq.send(timeout=patience)
        except IqError as error:
            return "error", error.iq["error"]["condition"], error.iq
        except slixmpp.exceptions.IqTimeout:
            raise CheckFailed(f"{self.bare}: no answer from {to} to {kind} {namespace} in {patience:.0f} s") from None
        return answer["type"], None, answer
