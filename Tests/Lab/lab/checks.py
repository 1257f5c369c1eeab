"""What must hold between two sites, whatever joins them.

A check is a coroutine that takes a running `Federation`, brings its own users, and raises `CheckFailed` with what it
expected and what it saw. Checks do not depend on each other and leave the federation as they found it; after one that
failed, `Federation.restore` sees to that.
"""

import asyncio
import base64
import time

from .client import Client, CheckFailed, PATIENCE
from .federation import Federation, Site
from .servers import Prosody

CHECKS: dict[str, "Check"] = {}


class Check:
    def __init__(self, run, needs_bridge: bool = False, needs_recorder: bool = False, profile: str = "",
                 limit: float = 120, over_radio: bool = False, dialect: str = "", on_cable: bool = False,
                 is_possible=lambda: True):
        self.run, self.needs_bridge, self.needs_recorder, self.profile = run, needs_bridge, needs_recorder, profile
        self.limit = limit  # seconds
        self.over_radio, self.dialect, self.on_cable = over_radio, dialect, on_cable
        self.is_possible = is_possible  # whether what it needs beyond the set-up is installed
        self.name = run.__name__
        self.summary = run.__doc__.strip().splitlines()[0]

    def applies(self, federation: Federation) -> bool:
        variant = federation.variant
        if variant.profile != self.profile or bool(variant.radio) != self.over_radio:
            return False
        if self.dialect and variant.dialect != self.dialect or self.on_cable and not variant.radio.startswith("hf-lab-"):
            return False
        if not self.is_possible():
            return False
        return (variant.is_bridged or not self.needs_bridge) and (variant.is_recorded or not self.needs_recorder)


def check(run):
    CHECKS[run.__name__] = Check(run)
    return run


def bridge_check(run):
    CHECKS[run.__name__] = Check(run, needs_bridge=True)
    return run


def recorder_check(run):
    CHECKS[run.__name__] = Check(run, needs_recorder=True)
    return run


def hf_check(run):
    CHECKS[run.__name__] = Check(run, needs_bridge=True, profile="hf", limit=240)
    return run


def expect(condition, what: str):
    if not condition:
        raise CheckFailed(what)


def expect_equal(actual, expected, what: str):
    """Like `expect`, and names the first place where two sequences differ."""
    if actual == expected:
        return
    if isinstance(actual, list) and isinstance(expected, list):
        place = next((i for i, (a, e) in enumerate(zip(actual, expected)) if a != e), min(len(actual), len(expected)))
        raise CheckFailed(
            f"{what}: {len(actual)} instead of {len(expected)} items, first difference at {place}: "
            f"{actual[place:place + 2]!r} instead of {expected[place:place + 2]!r}")
    raise CheckFailed(f"{what}: {actual!r} instead of {expected!r}")


# Conversation

TEXTS = ["plain", "Grüße, Æøå", "Привет, мир", "日本語の本文", "🛰️ 👩‍🚀", "<b>&amp; 'quoted' \"text\"</b>", "two\nlines\tand tab",
         "e\u0301 decomposed", "]]> not CDATA", "  spaces kept  ", "مرحبا"]


@check
async def messages(federation: Federation):
    """100 messages each way, many alphabets: all arrive once, unchanged and in order."""
    async with federation.users() as (romeo, juliet):
        # Prosody 0.12 sends what comes right after SASL EXTERNAL before what it queued until then, so the streams are
        # opened first; without a bridge it is the same.
        await talk(romeo, juliet, "first words")
        count = 100
        sent = {romeo: [], juliet: []}
        for number in range(count):
            for sender, receiver in ((romeo, juliet), (juliet, romeo)):
                body = f"{number}: {TEXTS[number % len(TEXTS)]}"
                sent[sender].append((sender.send(receiver.full, body), body))
            await asyncio.sleep(0)
        for sender, receiver in ((romeo, juliet), (juliet, romeo)):
            await receiver.until(f"{count} messages from {sender.bare}",
                                 lambda: len(receiver.from_user(sender.bare)) > count)
        await asyncio.sleep(0.3)  # a duplicate would come right behind
        for sender, receiver in ((romeo, juliet), (juliet, romeo)):
            arrived = [(m.id, m.body) for m in receiver.from_user(sender.bare)[1:]]
            expect_equal(arrived, sent[sender], f"messages from {sender.bare}")
            expect_equal({m.sender for m in receiver.from_user(sender.bare)}, {sender.full}, "senders")


@check
async def bounce(federation: Federation):
    """A message to a user who does not exist comes back as one error, in both directions."""
    async with federation.users() as (romeo, juliet):
        for client, far in ((romeo, federation.right), (juliet, federation.left)):
            ident = client.send(f"nobody-here@{far.domain}", "is anybody there?")
            errors = await client.until("the error for a message to an unknown user", lambda: client.errors(ident))
            await asyncio.sleep(0.2)
            expect_equal(len(client.errors(ident)), 1, "errors for one message")
            expect(errors[0].condition in ("service-unavailable", "item-not-found"),
                   f"unexpected condition {errors[0].condition}")
            expect_equal(errors[0].sender, f"nobody-here@{far.domain}", "sender of the error")


# Presence

async def befriend(asker: Client, asked: Client, patience: float = PATIENCE):
    """Both ask and accept, as two people do who add each other."""
    for one, other in ((asker, asked), (asked, asker)):
        one.presence(to=other.bare, kind="subscribe")
        await other.until(f"the request of {one.bare}",
                          lambda: any(p.type == "subscribe" for p in other.presence_of(one.bare)), patience)
        other.presence(to=one.bare, kind="subscribed")
        await one.until(f"the acceptance of {other.bare}",
                        lambda: any(p.type == "subscribed" for p in one.presence_of(other.bare)), patience)
    for one, other in ((asker, asked), (asked, asker)):
        deadline = time.monotonic() + PATIENCE
        while (state := await one.subscription(other.bare)) != "both":
            expect(time.monotonic() < deadline, f"{one.bare} has {state} to {other.bare} instead of both")
            await asyncio.sleep(0.1)


@check
async def presence(federation: Federation):
    """Subscription to both; presence follows; a new login learns who is there by probes; offline arrives."""
    left, right = federation.left, federation.right
    account = left.account()
    romeo = await left.client(*account).login()
    juliet = await federation.login(right)
    try:
        await befriend(romeo, juliet)
        await romeo.until("juliet's presence after the subscription",
                          lambda: any(p.type == "" for p in romeo.presence_of(juliet.bare)))
        romeo.presence(show="away", status="auf der Brücke – ждите")
        await juliet.until("romeo away, with his status", lambda: any(
            p.body == "auf der Brücke – ждите" and p.stanza["show"] == "away" and p.sender == romeo.full
            for p in juliet.presence_of(romeo.bare)))
        juliet.presence(show="dnd", status="busy")
        await romeo.until("juliet busy", lambda: any(p.body == "busy" for p in romeo.presence_of(juliet.bare)))

        gone = len(juliet.presences)
        await romeo.logout()
        await juliet.until("romeo offline", lambda: any(
            p.type == "unavailable" for p in juliet.presences[gone:] if p.sender.split("/")[0] == romeo.bare))

        back = len(juliet.presences)
        romeo = await left.client(*account).login()
        await romeo.until("juliet's presence as the answer to the probe of a new login", lambda: any(
            p.type == "" and p.body == "busy" and p.sender == juliet.full for p in romeo.presence_of(juliet.bare)))
        await juliet.until("romeo online again", lambda: any(
            p.type == "" and p.sender == romeo.full for p in juliet.presences[back:]))

        romeo.presence(to=juliet.bare, kind="unsubscribe")
        await juliet.until("romeo's unsubscribe",
                           lambda: any(p.type in ("unsubscribe", "unavailable") for p in juliet.presences[back:]))
        deadline = time.monotonic() + PATIENCE
        while (state := await juliet.subscription(romeo.bare)) != "to":
            expect(time.monotonic() < deadline, f"juliet has {state} to romeo instead of to, after his unsubscribe")
            await asyncio.sleep(0.1)
    finally:
        await romeo.logout()
        await juliet.logout()


# Rooms

class Room:
    """A room at one site with three occupants: two local ones and one from the other site."""

    def __init__(self, federation: Federation, host: Site, guest: Site, name: str, patience: float = PATIENCE):
        self.federation, self.host, self.guest_site, self.patience = federation, host, guest, patience
        self.address = f"{name}-{time.time_ns()}@{host.room_domain}"

    async def __aenter__(self) -> "Room":
        self.members: dict[str, Client] = {}
        try:
            for nick, site in (("owner", self.host), ("local", self.host), ("guest", self.guest_site)):
                self.members[nick] = await self.federation.login(site)
            self.owner, self.local, self.guest = self.members.values()
            await self.owner.join(self.address, "owner", create=True)
            await self.local.join(self.address, "local")
            await self.guest.join(self.address, "guest", patience=self.patience)
            await self.agree({"owner", "local", "guest"})
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_):
        for client in self.members.values():
            await client.logout()

    async def agree(self, nicks: set[str]):
        """Waits until all who are in the room see exactly these occupants."""
        for nick in nicks:
            client = self.members[nick]
            await client.until(f"the occupants {sorted(nicks)} (now {sorted(client.occupants(self.address))})",
                               lambda: client.occupants(self.address) == nicks, self.patience)

    async def say(self, nick: str, count: int, text: str) -> list[tuple[str, str]]:
        bodies = [(nick, f"{text} {number}") for number in range(count)]
        for _, body in bodies:
            self.members[nick].send(self.address, body, "groupchat")
            await asyncio.sleep(0)
        return bodies

    async def heard(self, said: list[tuple[str, str]], by: set[str], may_double: bool = False):
        """Waits until these messages have arrived, each once and each speaker's in his order; with `may_double`, in order at first."""
        def messages(nick: str) -> list[tuple[str, str]]:
            all_of_them = self.members[nick].room_messages(self.address)
            return list(dict.fromkeys(all_of_them)) if may_double else all_of_them

        for nick in by:
            await self.members[nick].until(f"{len(said)} messages in the room", lambda: len(messages(nick)) >= len(said), self.patience)
            arrived = messages(nick)
            for speaker in {speaker for speaker, _ in said}:
                expect_equal([m for m in arrived if m[0] == speaker], [m for m in said if m[0] == speaker],
                             f"what {nick} heard from {speaker}")
            expect_equal(len(arrived), len(said), f"messages heard by {nick}")
        # A room has one order, and every occupant hears it.
        expect_equal(len({tuple(messages(nick)) for nick in by}), 1, "different orders of the same room")


async def room_at(federation: Federation, host: Site, guest: Site):
    async with Room(federation, host, guest, "meeting") as room:
        said = await room.say("guest", 20, "Funkspruch von drüben") + await room.say("owner", 20, "from the host")
        said += await room.say("local", 20, "сообщение")
        await room.heard(said, {"owner", "local", "guest"})
        # the topic crosses, and a private message to an occupant
        room.owner.xmpp["xep_0045"].set_subject(room.address, "Lage ⚓")
        await room.guest.until("the subject", lambda: any(
            m.type == "groupchat" and m.stanza["subject"] == "Lage ⚓" for m in room.guest.messages))
        ident = room.guest.send(f"{room.address}/local", "only for you")
        await room.local.until("the private message", lambda: any(
            m.id == ident and m.sender == f"{room.address}/guest" for m in room.local.messages))
        # leave, come back, be seen both times
        room.guest.leave(room.address, "guest")
        await room.agree({"owner", "local"})
        await room.guest.until("its own departure", lambda: "guest" not in room.guest.occupants(room.address))
        room.guest.presences.clear()
        await room.guest.join(room.address, "guest")
        await room.agree({"owner", "local", "guest"})
        # going offline is leaving too
        await room.guest.logout()
        await room.agree({"owner", "local"})


@check
async def room_on_the_right(federation: Federation):
    """A room at bravo joined from alpha: messages, subject, private message, leave, rejoin, logout."""
    await room_at(federation, federation.right, federation.left)


@check
async def room_on_the_left(federation: Federation):
    """A room at alpha joined from bravo: messages, subject, private message, leave, rejoin, logout."""
    await room_at(federation, federation.left, federation.right)


# Requests

DISCO = "http://jabber.org/protocol/disco#info"


@check
async def requests(federation: Federation):
    """IQ to servers, rooms and users: results where there is an answer, the right error where there is none."""
    async with federation.users() as (romeo, juliet):
        for client, other, far in ((romeo, juliet, federation.right), (juliet, romeo, federation.left)):
            for address, category in ((far.domain, "server"), (far.room_domain, "conference"), (other.full, "client")):
                kind, condition, stanza = await client.request(address, "get", DISCO)
                expect_equal((kind, condition), ("result", None), f"disco#info of {address}")
                categories = {identity.get("category") for identity in stanza.xml.iter(f"{{{DISCO}}}identity")}
                expect(category in categories, f"{address} says it is {categories}, expected {category}")
                expect_equal(stanza["from"].full, address, "sender of the answer")
            for address in (far.domain, other.full, f"nobody-here@{far.domain}"):
                kind, condition, stanza = await client.request(address, "get", "urn:example:unheard-of")
                expect_equal(kind, "error", f"answer of {address} to an unknown request")
                expect(condition in ("service-unavailable", "feature-not-implemented", "item-not-found"),
                       f"{address} answered an unknown request with {condition}")
                expect_equal(stanza["from"].full, address, "sender of the error")


@check
async def ping(federation: Federation):
    """XEP-0199 between users and to the other server, both ways."""
    async with federation.users() as (romeo, juliet):
        for client, other, far in ((romeo, juliet, federation.right), (juliet, romeo, federation.left)):
            for address in (other.full, far.domain):
                kind, condition, _ = await client.request(address, "get", "urn:xmpp:ping", "ping")
                expect_equal((kind, condition), ("result", None), f"ping of {address}")


@check
async def vcard(federation: Federation):
    """A vCard with 200 kB of picture, set by one user and fetched by the other, both ways."""
    picture = bytes((n * n + n // 251) % 256 for n in range(150_000))  # 200 000 characters in base 64
    async with federation.users() as (romeo, juliet):
        for owner, reader in ((romeo, juliet), (juliet, romeo)):
            card = owner.xmpp["xep_0054"].make_vcard()
            card["FN"] = "Капитан Æ"
            card["PHOTO"]["TYPE"] = "image/png"
            card["PHOTO"]["BINVAL"] = picture
            await owner.xmpp["xep_0054"].publish_vcard(card, timeout=PATIENCE)
            iq = reader.xmpp.make_iq_get(ito=owner.bare)
            iq.enable("vcard_temp")
            answer = await iq.send(timeout=PATIENCE)
            text = answer.xml.findtext(".//{vcard-temp}BINVAL") or ""
            expect(len(text) >= 200_000, f"the picture arrived with {len(text)} characters")
            expect_equal(base64.b64decode(text) == picture, True, "the picture is the same")
            expect_equal(answer.xml.findtext(".//{vcard-temp}FN"), "Капитан Æ", "the name")


# Faults

async def settled(sender: Client, receiver: Client, sent: list[tuple[str, str]], patience: float = 40):
    """Waits until each message has either arrived or come back, then asserts at most one of both, and order.

    Returns how many arrived and how many came back.
    """
    wanted = [ident for ident, _ in sent]

    def done():
        arrived = {m.id for m in receiver.from_user(sender.bare)}
        returned = {m.id for m in sender.messages if m.type == "error"}
        return all(ident in arrived or ident in returned for ident in wanted)

    await receiver.until(f"each of {len(wanted)} messages from {sender.bare} arrived or returned", done, patience)
    await asyncio.sleep(0.5)
    arrived = [m.id for m in receiver.from_user(sender.bare) if m.id in set(wanted)]
    returned = [m.id for m in sender.messages if m.type == "error" and m.id in set(wanted)]
    expect_equal(len(arrived), len(set(arrived)), "duplicates among the messages that arrived")
    expect_equal(len(returned), len(set(returned)), "errors for the same message")
    expect_equal(set(arrived) & set(returned), set(), "messages that both arrived and came back as errors")
    positions = {ident: place for place, ident in enumerate(wanted)}
    places = [positions[ident] for ident in arrived]
    expect_equal(places, sorted(places), "order of arrival")
    return len(arrived), len(returned)


async def talk(one: Client, other: Client, text: str):
    """A message each way, both of which must arrive."""
    for sender, receiver in ((one, other), (other, one)):
        ident = sender.send(receiver.full, text)
        await receiver.until(f"{text!r} from {sender.bare}", lambda: any(m.id == ident for m in receiver.messages))


async def reconnected(one: Client, other: Client, patience: float = 30):
    """Waits until a message gets through in each direction; what comes back as an error is tried again."""
    for sender, receiver in ((one, other), (other, one)):
        deadline = time.monotonic() + patience
        while True:
            ident = sender.send(receiver.full, "are you there?")

            def outcome():
                return any(m.id == ident for m in receiver.messages) or bool(sender.errors(ident))

            await receiver.until(f"an end for a message from {sender.bare}", outcome, patience)
            if any(m.id == ident for m in receiver.from_user(sender.bare)):
                break
            expect(time.monotonic() < deadline, f"{sender.bare} still gets errors {patience:.0f} s after the fault")
            await asyncio.sleep(0.2)


async def restart_of_server(federation: Federation, near: Site, far: Site):
    account = far.account()
    async with federation.users(near) as (romeo,):
        juliet = await far.client(*account).login()
        await talk(romeo, juliet, "before the restart")
        await juliet.logout()
        await far.server.stop()
        sent = []
        for number in range(20):
            sent.append((romeo.send(juliet.bare, f"while your server is down {number}"), ""))
        await asyncio.sleep(1.0)
        await far.server.start()
        juliet = await far.client(*account).login()
        try:
            arrived, returned = await settled(romeo, juliet, sent)
            await reconnected(romeo, juliet)
            await talk(romeo, juliet, "after the restart")
            return f"of 20 messages sent meanwhile {arrived} arrived and {returned} came back"
        finally:
            await juliet.logout()


@check
async def restart_of_the_right_server(federation: Federation):
    """bravo's server restarts: every message sent meanwhile arrives once or comes back, in order; then all is well."""
    return await restart_of_server(federation, federation.left, federation.right)


@check
async def restart_of_the_left_server(federation: Federation):
    """alpha's server restarts: every message sent meanwhile arrives once or comes back, in order; then all is well."""
    return await restart_of_server(federation, federation.right, federation.left)


async def restart_of_bridge(federation: Federation, near: Site, far: Site):
    """`far`'s bridge is away for a second; users at both sites go on writing."""
    async with federation.users(near, far) as (romeo, juliet):
        await talk(romeo, juliet, "before the restart")
        federation.relay.refuse()  # the relay would accept where the bridge's machine refuses
        await far.bridge.stop_cleanly()
        sent = [(romeo.send(juliet.full, f"while your bridge is down {n}"), "") for n in range(20)]
        back = [(juliet.send(romeo.full, f"while my bridge is down {n}"), "") for n in range(5)]
        await asyncio.sleep(1.0)
        await far.bridge.start()
        await federation.relay.admit()
        arrived, returned = await settled(romeo, juliet, sent)
        expect_equal((arrived, returned), (20, 0), "messages that waited in the other bridge (arrived, returned)")
        here, gone = await settled(juliet, romeo, back)
        await reconnected(romeo, juliet)
        await talk(romeo, juliet, "after the restart")
        return f"20 waited and arrived; of 5 written beside the missing bridge {here} arrived and {gone} came back"


@bridge_check
async def restart_of_the_right_bridge(federation: Federation):
    """bravo's bridge restarts: what the other bridge held arrives after, once and in order."""
    return await restart_of_bridge(federation, federation.left, federation.right)


@bridge_check
async def restart_of_the_left_bridge(federation: Federation):
    """alpha's bridge, the one that dials, restarts: what the other bridge held arrives after, once and in order."""
    return await restart_of_bridge(federation, federation.right, federation.left)


@bridge_check
async def cut_of_the_link(federation: Federation):
    """The link is cut: all that is written meanwhile arrives after, once and in order; nobody leaves the room."""
    async with Room(federation, federation.right, federation.left, "cut") as room:
        romeo, juliet = room.guest, room.owner
        said = await room.say("guest", 3, "before, from afar") + await room.say("owner", 3, "before, from here")
        await room.heard(said, {"owner", "local", "guest"})
        await talk(romeo, juliet, "before the cut")
        await asyncio.sleep(0.3)  # nothing is in flight
        federation.relay.cut()
        sent = [(romeo.send(juliet.full, f"from alpha {n}"), "") for n in range(20)]
        back = [(juliet.send(romeo.full, f"from bravo {n}"), "") for n in range(20)]
        said += await room.say("owner", 10, "during the cut, from here")
        said += await room.say("guest", 10, "during the cut, from afar")
        await asyncio.sleep(1.5)
        await federation.relay.mend()
        for sender, receiver, messages in ((romeo, juliet, sent), (juliet, romeo, back)):
            expect_equal(await settled(sender, receiver, messages), (20, 0),
                         f"messages from {sender.bare} (arrived, returned)")
        await room.heard(said, {"owner", "local", "guest"})
        for client in room.members.values():
            expect_equal(client.occupants(room.address), {"owner", "local", "guest"}, "occupants after the cut")
            expect_equal([p for p in client.presences if p.type in ("unavailable", "error")], [],
                         "departures from the room")
        await talk(romeo, juliet, "after the cut")
        return "40 messages and 20 room messages written during the cut arrived"


@bridge_check
async def cuts_in_full_flow(federation: Federation):
    """The link is cut three times under load: no duplicate, order kept, and only what was on the wire is in doubt."""
    async with federation.users() as (romeo, juliet):
        await talk(romeo, juliet, "before the cuts")
        sent = {romeo: [], juliet: []}

        async def flow(sender: Client, receiver: Client):
            for number in range(300):
                sent[sender].append(sender.send(receiver.full, f"{number} in the flow"))
                await asyncio.sleep(0.005)

        flows = asyncio.gather(flow(romeo, juliet), flow(juliet, romeo))
        for _ in range(3):
            await asyncio.sleep(0.4)
            federation.relay.cut()
            await asyncio.sleep(0.2)
            await federation.relay.mend()
        await flows
        await reconnected(romeo, juliet)
        await talk(romeo, juliet, "after the cuts")
        missing = doubtful = 0
        for sender, receiver in ((romeo, juliet), (juliet, romeo)):
            wanted = set(sent[sender])
            arrived = [m.id for m in receiver.from_user(sender.bare) if m.id in wanted]
            errors = {m.id: m.text for m in sender.messages if m.type == "error" and m.id in wanted}
            returned = set(errors)
            expect_equal(len(arrived), len(set(arrived)), "duplicates")
            expect_equal(arrived, [ident for ident in sent[sender] if ident in set(arrived)], "order of arrival")
            # What was being written when the link broke comes back, and says that it may have arrived all the same.
            for ident in set(arrived) & returned:
                expect(errors[ident].startswith("delivery unknown"),
                       f"a message of {sender.bare} arrived and also came back with {errors[ident]!r}")
            doubtful += len(returned)
            lost = len(wanted - set(arrived) - returned)
            # At most what three broken connections had in flight, which on a loopback link is little.
            expect(lost <= 60, f"{lost} of 300 messages from {sender.bare} neither arrived nor came back")
            missing += lost
        return f"of 600 messages {missing} were lost on the wire when it broke, {doubtful} came back"


@bridge_check
async def silence_of_the_link(federation: Federation):
    """The link carries nothing for three seconds without breaking: all arrives after, and a request is answered."""
    async with federation.users() as (romeo, juliet):
        await talk(romeo, juliet, "before the silence")
        federation.relay.freeze()
        sent = [(romeo.send(juliet.full, f"from alpha {n}"), "") for n in range(20)]
        back = [(juliet.send(romeo.full, f"from bravo {n}"), "") for n in range(20)]
        question = asyncio.create_task(romeo.request(juliet.full, "get", "urn:xmpp:ping", "ping"))
        await asyncio.sleep(3.0)
        expect_equal((romeo.from_user(juliet.bare)[1:], juliet.from_user(romeo.bare)[1:]), ([], []),
                     "messages that crossed a silent link")
        federation.relay.thaw()
        for sender, receiver, messages in ((romeo, juliet, sent), (juliet, romeo, back)):
            expect_equal(await settled(sender, receiver, messages), (20, 0),
                         f"messages from {sender.bare} (arrived, returned)")
        kind, condition, _ = await question
        expect_equal((kind, condition), ("result", None), "the ping that was asked into the silence")


@bridge_check
async def presence_over_a_cut(federation: Federation):
    """While the link is cut presence changes and a user leaves: after it only the last state counts."""
    left, right = federation.sites
    async with federation.users(left, right) as (romeo, juliet):
        witness = await federation.login(left)
        try:
            await befriend(romeo, juliet)
            await befriend(witness, juliet)
            juliet.presence(status="before")
            await romeo.until("the presence before the cut",
                              lambda: any(p.body == "before" for p in romeo.presence_of(juliet.bare)))
            await asyncio.sleep(0.3)
            federation.relay.cut()
            seen = len(romeo.presences)
            for number in range(5):
                juliet.presence(show="away", status=f"step {number}")
                witness.presence(status=f"witness {number}")
            await witness.logout()
            await asyncio.sleep(1.0)
            expect_equal([p for p in romeo.presences[seen:] if p.type in ("error", "unavailable")
                          and p.sender.split("/")[0] == juliet.bare], [], "presence errors while the link is cut")
            await federation.relay.mend()
            await romeo.until("the last of five presences", lambda: any(
                p.body == "step 4" for p in romeo.presences[seen:]))
            steps = [p.body for p in romeo.presences[seen:] if p.body.startswith("step ")]
            expect_equal(steps, sorted(steps), "order of presences")
            expect_equal(steps[-1], "step 4", "the last presence")
            # A subscription begins with `unavailable` from the bare address; the departure is that of the full one.
            await juliet.until("the departure of a user during the cut",
                               lambda: juliet.presence_of(witness.bare)[-1].type == "unavailable")
        finally:
            await witness.logout()


@bridge_check
async def link_is_narrow(federation: Federation):
    """The bytes that the relay carried fit what the bridges say, and an idle link carries nothing."""
    async with federation.users() as (romeo, juliet):
        await talk(romeo, juliet, "wake up")
        await asyncio.sleep(0.5)
        before = (federation.relay.up, federation.relay.down)
        await asyncio.sleep(2.0)
        expect_equal((federation.relay.up, federation.relay.down), before, "bytes on an idle link")
        for number in range(50):
            romeo.send(juliet.full, f"message number {number} over the link")
        await juliet.until("50 messages", lambda: len(juliet.from_user(romeo.bare)) >= 51)
        await asyncio.sleep(0.2)
        carried = federation.relay.up - before[0]
        return f"50 messages took {carried} bytes, {carried / 50:.0f} each"


@bridge_check
async def acknowledged_streams(federation: Federation):
    """Stanzas between server and bridge are acknowledged (XEP-0198) both ways, where the server can."""
    async with federation.users() as (romeo, juliet):
        # What opens a stream may leave before acknowledgements are agreed on; these do not.
        await talk(romeo, juliet, "first words")
        await talk(romeo, juliet, "second words")
        for site in federation.sites:
            # Prosody 0.12 offers and wants it on streams that are proved by certificates only, ejabberd never.
            able = isinstance(site.server, Prosody) and federation.variant.proof == "external"
            deadline = time.monotonic() + 5
            while True:
                streams = [stream for stream in site.bridge.status()["local"]["streams"]
                           if {"remote": (federation.right if site is federation.left else federation.left).domain,
                               "local": site.domain} in stream["pairs"]]
                if not able or all(stream["unacknowledged"] == 0 for stream in streams):
                    break
                expect(time.monotonic() < deadline, f"stanzas stay unacknowledged at {site.name}: {streams}")
                await asyncio.sleep(0.1)
            directions = {stream["direction"] for stream in streams if stream["stream-management"]}
            expect_equal(directions, {"inbound", "outbound"} if able else set(), f"acknowledged streams at {site.name}")


# Recording

@recorder_check
async def recording(federation: Federation):
    """What passed is in the file of `skywave record`, word for word, with its site and in order."""
    said: dict[str, list[str]] = {"a": [], "b": []}
    async with federation.users() as (romeo, juliet):
        await talk(romeo, juliet, "first words")
        for number in range(50):
            for site, sender, receiver in (("a", romeo, juliet), ("b", juliet, romeo)):
                said[site].append(f"recorded {number}: {TEXTS[number % len(TEXTS)]}")
                sender.send(receiver.full, said[site][-1])
        for sender, receiver in ((romeo, juliet), (juliet, romeo)):
            await receiver.until("50 messages", lambda: len(receiver.from_user(sender.bare)) > 50)
        addresses = {"a": romeo.full, "b": juliet.full}
    await room_at(federation, federation.right, federation.left)
    expect_equal(await federation.recorder.stop(), 0, "exit status of the recorder")
    entries = federation.recorder.entries()
    await federation.recorder.start()
    for site, sender in addresses.items():
        bodies = [entry.stanza.findtext("{jabber:server}body") for entry in entries
                  if entry.site == site and entry.stanza.get("from") == sender]
        expect_equal([body for body in bodies if body and body.startswith("recorded ")], said[site],
                     f"recorded messages of site {site}")
    for entry in entries:
        domain = entry.stanza.get("from").split("/")[0].split("@")[-1]
        expect_equal(entry.site, "a" if domain.endswith(federation.left.domain) else "b", f"site of {domain}")
    times = [entry.time for entry in entries]
    expect_equal(times, sorted(times), "times")
    kinds = {entry.stanza.tag.split("}")[-1] for entry in entries}
    expect(kinds <= {"message", "presence", "iq"}, f"recorded elements that are no stanzas: {kinds}")
    return f"{len(entries)} stanzas in {times[-1]:.1f} s"
