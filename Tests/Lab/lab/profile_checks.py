"""What must hold between two sites whose bridges keep to the profile `hf`: what docs/profiles.md says, and no more."""

import asyncio
import base64
import time
import uuid
from contextlib import asynccontextmanager
from xml.sax.saxutils import quoteattr

from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream import ET

from .checks import Room, expect, expect_equal, hf_check
from .client import Client, PATIENCE, Received
from .federation import CREW, Federation, Site

RECEIPTS, CORRECTION, REPLY = "urn:xmpp:receipts", "urn:xmpp:message-correct:0", "urn:xmpp:reply:0"
RETRACTION, REACTIONS, SID = "urn:xmpp:message-retract:1", "urn:xmpp:reactions:0", "urn:xmpp:sid:0"


# Requests

class Ledger:
    """Every request of a client and every answer that it got, read from its stream."""

    def __init__(self, client: Client):
        self.asked: dict[str, str] = {}
        self.answers: dict[str, list] = {}
        client.xmpp.add_filter("out", self._sent)
        client.xmpp.add_filter("in", self._came)

    def _sent(self, stanza):
        if stanza.xml.tag == "{jabber:client}iq" and stanza.xml.get("type") in ("get", "set"):
            payload = next(iter(stanza.xml), None)
            self.asked[stanza.xml.get("id")] = f"{stanza.xml.get('to')} {payload.tag if payload is not None else ''}"
        return stanza

    def _came(self, stanza):
        if stanza.xml.tag == "{jabber:client}iq" and stanza.xml.get("type") in ("result", "error"):
            self.answers.setdefault(stanza.xml.get("id"), []).append(stanza)
        return stanza

    def is_square(self):
        """Each request has one answer, from whom it went to."""
        for ident, what in self.asked.items():
            answers = self.answers.get(ident, [])
            expect_equal(len(answers), 1, f"answers to {what}")


async def ask(client: Client, to: str, payload: str, kind: str = "get",
              patience: float = PATIENCE) -> tuple[str, str, object]:
    """Sends a request as it is written; (type, condition or empty, stanza) of the answer."""
    iq = client.xmpp.make_iq(ito=to, itype=kind)
    iq.append(ET.fromstring(payload))
    try:
        answer = await iq.send(timeout=patience)
    except IqError as error:
        answer = error.iq
    except IqTimeout:
        expect(False, f"{client.bare}: no answer from {to} to {payload}")
    expect_equal(answer["from"].full, to, f"sender of the answer to {payload}")
    condition = answer["error"]["condition"] if answer["type"] == "error" else ""
    return answer["type"], condition, answer


@asynccontextmanager
async def able_users(federation: Federation):
    """A user at each site whose client answers what clients answer today, and keeps a ledger."""
    clients = []
    try:
        for site in federation.sites:
            client = site.client(*site.account())
            for plugin in ("xep_0092", "xep_0202", "xep_0012", "xep_0115"):
                client.xmpp.register_plugin(plugin)
            client.ledger = Ledger(client)
            clients.append(await client.login())
        yield clients
        await asyncio.sleep(0.5)
        for client in clients:
            client.ledger.is_square()
    finally:
        for client in clients:
            await client.logout()


REFUSED = "service-unavailable"


def count(site: Site, event: str) -> int:
    """How often the site's bridge noted an event, named as in its status."""
    return site.bridge.peer()["events"].get(event, 0)


@hf_check
async def requests_of_clients(federation: Federation):
    """Each request has exactly one answer: what the profile lets cross its result, all else the documented error."""
    async with able_users(federation) as (romeo, juliet):
        await exchange(romeo, juliet, "first words")
        answered = count(federation.left, "request answered without the link")
        for client, other, far in ((romeo, juliet, federation.right), (juliet, romeo, federation.left)):
            info = '<query xmlns="http://jabber.org/protocol/disco#info"/>'
            items = '<query xmlns="http://jabber.org/protocol/disco#items"/>'
            rows = [
                # answered by the bridge: the server and the account are there as far as it can know
                (far.domain, '<ping xmlns="urn:xmpp:ping"/>', "get", ""),
                (other.bare, '<ping xmlns="urn:xmpp:ping"/>', "get", ""),
                # whether another's client is there is not known
                (other.full, '<ping xmlns="urn:xmpp:ping"/>', "get", REFUSED),
                (far.domain, info, "get", ""), (far.room_domain, info, "get", ""), (other.full, info, "get", ""),
                (far.domain, items, "get", ""), (far.room_domain, items, "get", ""),
                (other.bare, '<vCard xmlns="vcard-temp"/>', "get", "item-not-found"),
                (other.full, '<query xmlns="jabber:iq:version"/>', "get", REFUSED),
                (far.domain, '<query xmlns="jabber:iq:version"/>', "get", REFUSED),
                (other.full, '<time xmlns="urn:xmpp:time"/>', "get", REFUSED),
                (other.bare, '<query xmlns="jabber:iq:last"/>', "get", REFUSED),
                (far.domain, '<query xmlns="jabber:iq:last"/>', "get", REFUSED),
                (other.full, '<query xmlns="urn:xmpp:mam:2"/>', "set", REFUSED),
                (far.room_domain, '<query xmlns="urn:xmpp:mam:2"/>', "set", REFUSED),
                (other.full, '<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" sid="s1"/>', "set", REFUSED),
                (other.full, '<open xmlns="http://jabber.org/protocol/ibb" sid="i1" block-size="99"/>', "set", REFUSED),
                (other.bare, '<pubsub xmlns="http://jabber.org/protocol/pubsub"><items node="x"/></pubsub>', "get",
                 REFUSED),
                (other.bare, '<query xmlns="urn:example:unheard-of"/>', "get", REFUSED),
            ]
            for to, payload, kind, condition in rows:
                got = await ask(client, to, payload, kind)
                expect_equal(got[:2], ("error" if condition else "result", condition), f"{to} {payload}")
        here = count(federation.left, "request answered without the link") - answered
        expect_equal(here, 2, "requests that alpha's bridge answered itself")


@hf_check
async def cards(federation: Federation):
    """A vCard crosses once, without its photo; the next reader at the site has it from his bridge."""
    async with able_users(federation) as (romeo, juliet):
        second = await federation.login(federation.left)
        try:
            card = ('<vCard xmlns="vcard-temp"><FN>Капитан Æ</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>'
                    + base64.b64encode(bytes(9000)).decode() + "</BINVAL></PHOTO></vCard>")
            iq = juliet.xmpp.make_iq(itype="set")
            iq.append(ET.fromstring(card))
            await iq.send(timeout=PATIENCE)
            sent = federation.left.bridge.peer()["sent"]["iqs"]
            for reader in (romeo, second):
                kind, condition, answer = await ask(reader, juliet.bare, '<vCard xmlns="vcard-temp"/>')
                expect_equal((kind, condition), ("result", ""), f"the card as {reader.bare} gets it")
                expect_equal(answer.xml.findtext(".//{vcard-temp}FN"), "Капитан Æ", "the name")
                expect_equal(answer.xml.find(".//{vcard-temp}BINVAL"), None, "the photo")
            expect_equal(federation.left.bridge.peer()["sent"]["iqs"] - sent, 1, "requests that crossed")
        finally:
            await second.logout()


@hf_check
async def room_requests(federation: Federation):
    """A room at the other site is configured, administered and pinged over the link."""
    async with able_users(federation) as (romeo, juliet):
        room = f"bridge-{time.time_ns()}@{federation.right.room_domain}"
        await romeo.join(room, "romeo", create=True)
        await juliet.join(room, "juliet")
        kind, condition, form = await ask(romeo, room, '<query xmlns="http://jabber.org/protocol/muc#owner"/>')
        expect_equal((kind, condition), ("result", ""), "the room's configuration")
        names = {field.get("var") for field in form.xml.iter("{jabber:x:data}field")}
        expect("muc#roomconfig_roomname" in names, f"fields of the configuration: {sorted(map(str, names))}")
        submit = ('<query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit">'
                  '<field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field>'
                  '<field var="muc#roomconfig_roomname"><value>Brücke</value></field></x></query>')
        expect_equal((await ask(romeo, room, submit, "set"))[:2], ("result", ""), "changing the configuration")
        _, _, info = await ask(romeo, room, '<query xmlns="http://jabber.org/protocol/disco#info"/>')
        identity = info.xml.find(".//{http://jabber.org/protocol/disco#info}identity")
        expect_equal(identity.get("name"), "Brücke", "the room's new name")
        crossed = federation.left.bridge.peer()["sent"]["iqs"]
        kind = await ask(romeo, f"{room}/romeo", '<ping xmlns="urn:xmpp:ping"/>')
        expect_equal(kind[:2], ("result", ""), "ping of one's own place (XEP-0410)")
        expect_equal(federation.left.bridge.peer()["sent"]["iqs"], crossed, "pings that crossed")
        members = '<query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner"/></query>'
        kind, condition, answer = await ask(romeo, room, members)
        expect_equal((kind, condition), ("result", ""), "the list of owners")
        owners = [item.get("jid") for item in answer.xml.iter("{http://jabber.org/protocol/muc#admin}item")]
        expect_equal(owners, [romeo.bare], "owners")
        kick = '<query xmlns="http://jabber.org/protocol/muc#admin"><item nick="juliet" role="none"/></query>'
        expect_equal((await ask(romeo, room, kick, "set"))[:2], ("result", ""), "kicking")
        await juliet.until("being kicked", lambda: any(
            p.type == "unavailable" and p.sender == f"{room}/juliet" for p in juliet.presences))
        expect_equal((await ask(romeo, f"{room}/juliet", '<ping xmlns="urn:xmpp:ping"/>'))[0], "error",
                     "ping of a place where nobody is")


# Messages

async def exchange(one: Client, other: Client, text: str):
    """A message each way, known by its text: its id is the sender's own affair."""
    for sender, receiver in ((one, other), (other, one)):
        heard = len(receiver.from_user(sender.bare))
        sender.send(receiver.full, text)
        await receiver.until(f"{text!r} from {sender.bare}",
                             lambda: [m.body for m in receiver.from_user(sender.bare)[heard:]] == [text])


def message(client: Client, to: str, inner: str, kind: str = "chat") -> str:
    """Sends a message whose children are written out; its id, as long as clients make them."""
    ident = str(uuid.uuid4())
    client.xmpp.send_raw(f"<message to={quoteattr(to)} type='{kind}' id='{ident}'>{inner}</message>")
    return ident


def reaction(ident: str) -> str:
    return f"<reactions xmlns='{REACTIONS}' id='{ident}'><reaction>⚓</reaction></reactions>"


def child(received: Received, name: str, namespace: str):
    return received.stanza.xml.find(f"{{{namespace}}}{name}")


async def arrival(client: Client, body: str, sender: str) -> Received:
    """The message with this text; there is one."""
    found = await client.until(f"{body!r} from {sender}", lambda: [
        m for m in client.messages if m.type != "error" and m.body == body and m.sender.startswith(sender)])
    return found[0]


async def bearing(client: Client, name: str, namespace: str, sender: str, number: int = 0):
    """The payload of the message of `sender` that is the first, or another, to have it."""
    found = await client.until(f"<{name}/> from {sender}", lambda: [
        m for m in client.messages if m.sender.startswith(sender) and child(m, name, namespace) is not None][number:])
    return child(found[0], name, namespace)


@hf_check
async def references_between_two(federation: Federation):
    """Receipts, corrections, replies, reactions, retractions name what each side knows, though ids cross as tokens."""
    async with federation.users() as clients:
        for author, reader in (clients, clients[::-1]):
            body = f"course {uuid.uuid4()}"
            own = message(author, reader.full, f"<body>{body}</body><request xmlns='{RECEIPTS}'/>"
                          f"<origin-id xmlns='{SID}' id='o-{uuid.uuid4()}'/>"
                          "<markable xmlns='urn:xmpp:chat-markers:0'/>")
            came = await arrival(reader, body, author.full)
            expect(came.id != own and len(came.id) == 8, f"the id crossed as {came.id!r} instead of a token")
            expect(child(came, "request", RECEIPTS) is not None, "the request for a receipt did not cross")
            message(reader, author.full, f"<received xmlns='{RECEIPTS}' id='{came.id}'/>")
            expect_equal((await bearing(author, "received", RECEIPTS, reader.full)).get("id"), own, "receipt")
            # the reader answers and reacts
            message(reader, author.full, f"<body>&gt; {body}\naye</body><reply xmlns='{REPLY}' id='{came.id}' "
                    f"to='{author.full}'/>"
                    f"<fallback xmlns='urn:xmpp:fallback:0' for='{REPLY}'><body start='0' end='9'/></fallback>")
            expect_equal((await bearing(author, "reply", REPLY, reader.full)).get("id"), own, "reply")
            message(reader, author.full, reaction(came.id))
            expect_equal((await bearing(author, "reactions", REACTIONS, reader.full)).get("id"), own, "reaction")
            # the author corrects twice, each time naming the first, and takes it back
            for word in ("right", "left"):
                message(author, reader.full, f"<body>{body} {word}</body><replace xmlns='{CORRECTION}' id='{own}'/>")
                correction = await arrival(reader, f"{body} {word}", author.full)
                expect_equal(child(correction, "replace", CORRECTION).get("id"), came.id, "correction")
            message(author, reader.full, f"<retract xmlns='{RETRACTION}' id='{own}'/><body>gone</body>"
                    f"<fallback xmlns='urn:xmpp:fallback:0' for='{RETRACTION}'/><store xmlns='urn:xmpp:hints'/>")
            expect_equal((await bearing(reader, "retract", RETRACTION, author.full)).get("id"), came.id, "retraction")
            expect_equal([m for c in clients for m in c.messages if m.type == "error"], [], "errors")


@hf_check
async def references_over_a_restart(federation: Federation):
    """After both bridges restarted ids still come back to who sent them, and errors name them."""
    async with federation.users() as clients:
        pairs = [(*clients, federation.right), (*clients[::-1], federation.left)]
        known = []
        for author, reader, _ in pairs:
            body = f"before the restart {uuid.uuid4()}"
            own = message(author, reader.full, f"<body>{body}</body><request xmlns='{RECEIPTS}'/>")
            known.append((own, (await arrival(reader, body, author.full)).id))
        await asyncio.sleep(0.3)  # nothing is in flight
        for site in federation.sites:
            federation.relay.refuse()
            await site.bridge.stop_cleanly()
            await site.bridge.start()
            await federation.relay.admit()
        await exchange(*clients, "after the restart")
        for (author, reader, far), (own, token) in zip(pairs, known):
            message(reader, author.full, f"<received xmlns='{RECEIPTS}' id='{token}'/>")
            expect_equal((await bearing(author, "received", RECEIPTS, reader.full)).get("id"), own, "receipt")
            message(author, reader.full, f"<body>right {own}</body><replace xmlns='{CORRECTION}' id='{own}'/>")
            correction = await arrival(reader, f"right {own}", author.full)
            expect_equal(child(correction, "replace", CORRECTION).get("id"), token, "correction")
            lost = message(author, f"nobody-here@{far.domain}", "<body>is anybody there?</body>")
            await author.until("the error for a message to nobody", lambda: author.errors(lost))


@hf_check
async def references_in_rooms(federation: Federation):
    """The room's copy brings each speaker his own id; corrections and reactions mean the same to all."""
    for host, guest in (federation.sites[::-1], federation.sites):
        async with Room(federation, host, guest, "ids") as room:
            reacted: dict[str, int] = {}
            for nick in ("guest", "owner"):
                speaker, others = room.members[nick], [n for n in room.members if n != nick]
                body = f"from {nick} {uuid.uuid4()}"
                origin = f"<origin-id xmlns='{SID}' id='{uuid.uuid4()}'/>"
                own = message(speaker, room.address, f"<body>{body}</body>{origin}", "groupchat")
                place = f"{room.address}/{nick}"
                expect_equal((await arrival(speaker, body, place)).id, own, f"the id of {nick}'s own copy")
                known = {other: (await arrival(room.members[other], body, place)).id for other in others}
                # those who sit together see the same
                for other in others:
                    message(room.members[other], room.address, reaction(known[other]), "groupchat")
                    got = await bearing(speaker, "reactions", REACTIONS, f"{room.address}/{other}",
                                        reacted.get(other, 0))
                    expect_equal(got.get("id"), own, f"{other}'s reaction as {nick} sees it")
                    for third in others:
                        got = await bearing(room.members[third], "reactions", REACTIONS, f"{room.address}/{other}",
                                            reacted.get(other, 0))
                        expect_equal(got.get("id"), known[third], f"{other}'s reaction as {third} sees it")
                    reacted[other] = reacted.get(other, 0) + 1
                message(speaker, room.address, f"<body>{body}!</body><replace xmlns='{CORRECTION}' id='{own}'/>",
                        "groupchat")
                for other in room.members:
                    came = await arrival(room.members[other], f"{body}!", place)
                    expect_equal(child(came, "replace", CORRECTION).get("id"), own if other == nick else known[other],
                                 f"the correction as {other} sees it")


@hf_check
async def what_stays(federation: Federation):
    """Encrypted and too long messages come back with a reason; typing notices go without a word."""
    async with federation.users() as (romeo, juliet):
        await exchange(romeo, juliet, "first words")
        for author, reader in ((romeo, juliet), (juliet, romeo)):
            before = len(reader.messages)
            omemo = ("<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'><key rid='2'>AAAA</key>"
                     "<iv>AAAA</iv></header><payload>AAAA</payload></encrypted><encryption xmlns='urn:xmpp:eme:0' name='OMEMO' "
                     "namespace='eu.siacs.conversations.axolotl'/><body>I sent you an OMEMO encrypted message</body>")
            rows = [
                (omemo, "not-acceptable", "this link carries no messages encrypted with OMEMO"),
                (f"<body>{'x' * 2001}</body>", "policy-violation", ""),
                ("<propose xmlns='urn:xmpp:jingle-message:0' id='call-1'/>", REFUSED, ""),
                ("<alien xmlns='urn:example:alien'/>", "not-acceptable", ""),
            ]
            for inner, condition, text in rows:
                ident = message(author, reader.full, inner)
                errors = await author.until(f"the error for {inner[:40]}", lambda: author.errors(ident))
                conditions = [part.tag for part in errors[0].stanza.xml.find("{jabber:client}error")]
                expect(f"{{urn:ietf:params:xml:ns:xmpp-stanzas}}{condition}" in conditions,
                       f"the error for {inner[:40]} is {conditions}, not {condition}")
                expect_equal(errors[0].sender, reader.full, f"sender of the error for {inner[:40]}")
                expect(text in errors[0].text, f"the error for {inner[:40]} says {errors[0].text!r}")
            quiet = [message(author, reader.full, f"<{state} xmlns='http://jabber.org/protocol/chatstates'/>")
                     for state in ("composing", "paused")]
            await exchange(author, reader, "after all that")
            await asyncio.sleep(0.3)
            expect_equal([author.errors(ident) for ident in quiet], [[], []], "errors for typing notices")
            expect_equal(len(reader.messages) - before, 1, "messages that crossed")
            expect_equal(len([m for m in author.messages if m.type == "error"]), len(rows), "errors")


# Presence

def probes(site: Site) -> list:
    """Probes that the bridge has given to this site's server."""
    return [seen for seen in site.tap.signs if seen.kind == "presence" and seen.type == "probe"]


@hf_check
async def fifty_contacts(federation: Federation):
    """At his second login a user with 50 contacts sees all of them rightly while no probe crosses."""
    left, right = federation.sites
    crew = [right.member(number) for number in range(CREW)]
    online = crew[:30]
    skipper = left.member(0)
    try:
        await asyncio.gather(*(one.login(announce=False) for one in online))
        for number, one in enumerate(online):
            one.presence(show="away" if number % 3 == 0 else None, status=f"post {number}")

        def seen(client: Client) -> dict[str, tuple[str, str, str]]:
            """Of each contact the last state: type, show and status."""
            return {p.sender.split("/")[0]: (p.type, p.stanza["show"], p.body) for p in client.presences
                    if "/" in p.sender or p.type == "unavailable"}

        states = {one.bare: ("", "away" if n % 3 == 0 else "", f"post {n}") for n, one in enumerate(online)}
        mark = len(probes(right))
        await skipper.login()
        await skipper.until("30 contacts at the first login", lambda: {
            jid: state for jid, state in seen(skipper).items() if state[0] == "" and jid != skipper.bare} == states)
        await skipper.until("an answer for each of the others", lambda: len(seen(skipper)) >= CREW, 5)
        known_at = time.monotonic()
        expect_equal(len(probes(right)) - mark, CREW, "probes of the first login that crossed")

        # What one says twice within a minute waits, and the last word counts. Meanwhile what is known settles.
        first, second = online[1], online[2]
        for word in ("one", "two", "three"):
            first.presence(status=word)
            await asyncio.sleep(0.2)
        changed = time.monotonic()
        await skipper.until("the first change at once", lambda: seen(skipper)[first.bare][2] == "one", 5)
        await second.logout()
        await skipper.until("a departure at once", lambda: seen(skipper)[second.bare][0] == "unavailable", 5)
        states[second.bare] = ("unavailable", "", "")
        await asyncio.sleep(30)
        expect_equal(seen(skipper)[first.bare][2], "one", "what is seen of three changes in 30 s")
        await skipper.until("the last of three changes", lambda: seen(skipper)[first.bare][2] != "one", 40)
        waited = time.monotonic() - changed
        expect_equal(seen(skipper)[first.bare][2], "three", "the change that was held back")
        expect(waited > 55, f"the second change crossed after {waited:.1f} s")
        states[first.bare] = ("", "", "three")
        await asyncio.sleep(max(0, known_at + 62 - time.monotonic()))

        await skipper.logout()
        await asyncio.sleep(0.5)
        skipper = left.member(0)
        mark, answered = len(probes(right)), count(left, "probe answered without the link")
        sent, traffic = left.bridge.peer()["sent"]["presences"], federation.relay.up
        started = time.monotonic()
        await skipper.login()
        await skipper.until("all contacts at the second login", lambda: {
            jid: state for jid, state in seen(skipper).items() if state[0] == "" and jid != skipper.bare}
            == {jid: state for jid, state in states.items() if state[0] == ""})
        delay = time.monotonic() - started
        for one in (online[0], online[29]):
            await one.until("the skipper back", lambda: one.presence_of(skipper.bare)[-1].type == "")
        await asyncio.sleep(0.5)
        expect_equal(len(probes(right)) - mark, 0, "probes of the second login that crossed")
        expect_equal(count(left, "probe answered without the link") - answered, CREW, "probes that the bridge answered")
        expect_equal(left.bridge.peer()["sent"]["presences"] - sent, CREW, "presences that crossed, one for each")
        expect_equal(seen(skipper)[second.bare][0], "unavailable", "who left meanwhile")
        return (f"{CREW} contacts known after {delay:.1f} s of login, 0 probes, {federation.relay.up - traffic} bytes on "
                f"the link; a second change waited {waited:.0f} s")
    finally:
        for client in [skipper, *online]:
            await client.logout()


# Rooms

@hf_check
async def twenty_occupants(federation: Federation):
    """What a room says to twenty occupants at the other site crosses once and reaches each of them."""
    left, right = federation.sites
    occupants: list[Client] = []
    owner = await federation.login(right)
    try:
        room = f"quarterdeck-{time.time_ns()}@{right.room_domain}"
        await owner.join(room, "owner", create=True)
        occupants += await asyncio.gather(*(federation.login(left) for _ in range(20)))
        await asyncio.gather(*(one.join(room, f"hand{number}") for number, one in enumerate(occupants)))
        await owner.until("twenty occupants", lambda: len(owner.occupants(room)) == 21)
        for one in occupants:
            await one.until("all occupants", lambda: len(one.occupants(room)) == 21)
        await asyncio.sleep(0.5)
        before, carried = right.bridge.peer(), federation.relay.down
        said = 30
        for number in range(said):
            owner.send(room, f"order {number}", "groupchat")
            await asyncio.sleep(0.05)
        for one in occupants:
            await one.until("all orders", lambda: len(one.room_messages(room)) >= said)
        await asyncio.sleep(0.5)
        for one in occupants:
            expect_equal(one.room_messages(room), [("owner", f"order {n}") for n in range(said)],
                         f"what {one.bare} heard")
        after, carried = right.bridge.peer(), federation.relay.down - carried
        sent = after["sent"]["messages"] - before["sent"]["messages"]
        folded = after["link"]["folded"]["messages"] - before["link"]["folded"]["messages"]
        expect_equal(sent, 20 * said, "messages sent")
        # Prosody writes eight kilobytes at a time; copies that are read after a block was cut take one more record.
        expect(said <= sent - folded <= said + 6, f"{sent - folded} records carried {said} messages")
        return (f"{sent} copies of {said} messages took {sent - folded} records and {carried} bytes, "
                f"{carried / said:.0f} for each message")
    finally:
        for client in [owner, *occupants]:
            await client.logout()
