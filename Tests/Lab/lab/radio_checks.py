"""What must hold between two sites that only a radio joins, with the profile `hf` in force.

The nodes run many times as fast as a radio does, so that a turn takes less than a second of a test; what the bridges wait
for, they wait for in real time.
"""

import asyncio
import time

from .checks import CHECKS, DISCO, Check, CheckFailed, Room, befriend, expect, expect_equal
from .client import Client
from .dissection import CONFIRM, INDICATION, REJECTED, REQUEST, dissect, is_installed
from .federation import Federation, Site
from .profile_checks import REFUSED, ask
from .radio import ADDRESSES, PORT

PATIENCE = 60.0  # seconds; twenty minutes of a link that runs twenty times as fast
CUT = 600.0  # seconds of the radio


def radio_check(dialect: str = "", on_cable: bool = False, limit: float = 180, is_possible=lambda: True):
    """`on_cable`: only where the radio loses nothing."""
    def note(run):
        CHECKS[run.__name__] = Check(run, needs_bridge=True, profile="hf", limit=limit, over_radio=True, dialect=dialect,
                                     on_cable=on_cable, is_possible=is_possible)
        return run
    return note


def middle(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def bodies(receiver: Client, sender: Client) -> list[str]:
    return [m.body for m in receiver.from_user(sender.bare)]


async def converse(federation: Federation, one: Client, other: Client, texts: list[str]) -> list[float]:
    """In turn, each after the other's words have arrived; how long each took, in seconds of the radio."""
    took = []
    for text in texts:
        for sender, receiver in ((one, other), (other, one)):
            started, heard = time.monotonic(), len(bodies(receiver, sender))
            sender.send(receiver.full, text)
            await receiver.until(f"{text!r} from {sender.bare}", lambda: text in bodies(receiver, sender)[heard:], PATIENCE)
            if not is_doubtful(federation):
                expect_equal(bodies(receiver, sender)[heard:], [text], f"what {receiver.bare} heard")
            took.append((time.monotonic() - started) * federation.radio.speed)
    return took


async def arrived(receiver: Client, sender: Client, texts: list[str], may_double: bool = False, in_order: bool = True):
    """Waits until these texts have come; all once and in order, or with `may_double` in order at first."""
    await receiver.until(f"{len(texts)} messages from {sender.bare}", lambda: set(texts) <= set(bodies(receiver, sender)),
                         2 * PATIENCE)
    await asyncio.sleep(0.5)  # a duplicate would come right behind
    got = [body for body in bodies(receiver, sender) if body in set(texts)]
    got = list(dict.fromkeys(got)) if may_double else got
    expect_equal(got if in_order else sorted(got), texts if in_order else sorted(texts), f"what came from {sender.bare}")
    expect_equal([m.condition for m in sender.messages if m.type == "error"], [], f"errors for {sender.bare}")


def may_double(federation: Federation) -> bool:
    """In dialect xep nobody but the node says what has arrived: what it knows nothing of is sent again and may come twice."""
    return federation.variant.dialect == "xep"


def is_doubtful(federation: Federation) -> bool:
    """The same without any cut: where frames are lost a node gives links up at times, and rejects what had arrived."""
    return may_double(federation) and not federation.variant.radio.startswith("hf-lab-")


@radio_check()
async def words_by_radio(federation: Federation):
    """Two talk in turn, then both at once: all arrives, unchanged and in order."""
    async with federation.users() as (romeo, juliet):
        took = await converse(federation, romeo, juliet, ["Grüße von See, ⚓", "日本語の本文", "<b>&amp; two\nlines</b>"])
        said: dict[Client, list[str]] = {romeo: [], juliet: []}
        started = time.monotonic()
        for number in range(15):
            for sender, receiver in ((romeo, juliet), (juliet, romeo)):
                said[sender].append(f"{number}: a line of a conversation that both sides carry on at once")
                sender.send(receiver.full, said[sender][-1])
            await asyncio.sleep(0)
        for sender, receiver in ((romeo, juliet), (juliet, romeo)):
            await arrived(receiver, sender, said[sender], is_doubtful(federation))
        lasted = (time.monotonic() - started) * federation.radio.speed
        return (f"half of {len(took)} messages within {middle(took):.0f} s of the radio, the longest took {max(took):.0f} s; "
                f"30 at once took {lasted:.0f} s")


@radio_check()
async def nobody_by_radio(federation: Federation):
    """A message to a user who does not exist comes back as one error, in both directions."""
    async with federation.users() as (romeo, juliet):
        for client, far in ((romeo, federation.right), (juliet, federation.left)):
            ident = client.send(f"nobody-here@{far.domain}", "is anybody there?")
            errors = await client.until("the error for a message to an unknown user", lambda: client.errors(ident), PATIENCE)
            await asyncio.sleep(0.5)
            expect_equal(len(client.errors(ident)), 1, "errors for one message")
            expect(errors[0].condition in ("service-unavailable", "item-not-found"), f"unexpected {errors[0].condition}")


async def see_each_other(one: Client, other: Client):
    """Both subscribe, and learn that the other is there."""
    await befriend(one, other, PATIENCE)
    for client, friend in ((one, other), (other, one)):
        await client.until(f"{friend.bare} is there", lambda: any(
            p.type == "" and p.sender == friend.full for p in client.presence_of(friend.bare)), PATIENCE)


@radio_check()
async def presence_by_radio(federation: Federation):
    """Subscriptions, presence, a departure and a return cross."""
    left, right = federation.left, federation.right
    account = left.account()
    romeo = await left.client(*account).login()
    juliet = await federation.login(right)
    try:
        await see_each_other(romeo, juliet)
        gone = len(juliet.presences)
        await romeo.logout()
        await juliet.until("romeo's departure", lambda: any(
            p.type == "unavailable" and p.sender == romeo.full for p in juliet.presences[gone:]), PATIENCE)
        back = len(juliet.presences)
        romeo = await left.client(*account).login()
        await romeo.until("juliet, after a new login", lambda: any(
            p.type == "" and p.sender == juliet.full for p in romeo.presence_of(juliet.bare)), PATIENCE)
        await juliet.until("romeo's return", lambda: any(
            p.type == "" and p.sender == romeo.full for p in juliet.presences[back:]), PATIENCE)
    finally:
        await romeo.logout()
        await juliet.logout()


async def room_by_radio(federation: Federation, host: Site, guest: Site):
    async with Room(federation, host, guest, "watch", PATIENCE) as room:
        said = []
        for nick in ("guest", "owner", "local"):
            said += await room.say(nick, 4, f"Lage von {nick} ⚓")
        await room.heard(said, {"owner", "local", "guest"}, is_doubtful(federation))
        room.guest.leave(room.address, "guest")
        await room.agree({"owner", "local"})
        await room.guest.until("its own departure", lambda: "guest" not in room.guest.occupants(room.address), PATIENCE)
        room.guest.presences.clear()
        await room.guest.join(room.address, "guest", patience=PATIENCE)
        await room.agree({"owner", "local", "guest"})
        await room.guest.logout()
        await room.agree({"owner", "local"})


@radio_check()
async def room_on_the_right_by_radio(federation: Federation):
    """A room at bravo joined from alpha: join, talk, leave, rejoin, logout."""
    await room_by_radio(federation, federation.right, federation.left)


@radio_check()
async def room_on_the_left_by_radio(federation: Federation):
    """A room at alpha joined from bravo: join, talk, leave, rejoin, logout."""
    await room_by_radio(federation, federation.left, federation.right)


@radio_check()
async def requests_by_radio(federation: Federation):
    """Requests that the profile lets cross get their results, all else its error at once."""
    async with federation.users() as (romeo, juliet):
        for client, other, far in ((romeo, juliet, federation.right), (juliet, romeo, federation.left)):
            info, ping = f'<query xmlns="{DISCO}"/>', '<ping xmlns="urn:xmpp:ping"/>'
            for to, payload, condition in ((other.full, info, ""), (far.room_domain, info, ""), (far.domain, ping, ""),
                                           (other.full, ping, REFUSED)):
                got = await ask(client, to, payload, patience=PATIENCE)
                expect_equal(got[:2], ("error" if condition else "result", condition), f"{to} {payload}")


@radio_check(limit=240)
async def cut_of_the_radio(federation: Federation):
    """The radio is cut for ten minutes: words, presence and what a room says meanwhile arrive after; nobody leaves it."""
    async with Room(federation, federation.right, federation.left, "cut", PATIENCE) as room:
        romeo, juliet = room.guest, room.owner
        await see_each_other(romeo, juliet)
        arriving, leaving = romeo.another(), await juliet.another().login()
        try:
            await romeo.until(f"{leaving.full} is there",
                              lambda: any(p.sender == leaving.full for p in romeo.presences), PATIENCE)
            await converse(federation, romeo, juliet, ["before the cut"])
            return await cut_of_the_radio_around(federation, room, arriving, leaving)
        finally:
            for client in (arriving, leaving):
                await client.logout()


async def cut_of_the_radio_around(federation: Federation, room: Room, arriving: Client, leaving: Client) -> str:
    """While it is cut, a client of the room's guest arrives and one of its owner leaves."""
    romeo, juliet, everybody = room.guest, room.owner, set(room.members)
    ways = ((romeo, juliet), (juliet, romeo))
    in_room = await room.say("guest", 1, "before, from afar") + await room.say("owner", 1, "before, from here")
    await room.heard(in_room, everybody, is_doubtful(federation))
    before = {client: len(client.presences) for client in room.members.values()}
    said: dict[Client, list[str]] = {romeo: [], juliet: []}

    def say(text: str):
        for sender, receiver in ways:
            said[sender].append(text)
            sender.send(receiver.full, text)

    def seen(client: Client, of: Client) -> str | None:
        """The last presence of that client which has come since."""
        types = [p.type or "available" for p in client.presences[before[client]:] if p.sender == of.full]
        return types[-1] if types else None

    changes = ((juliet, arriving, "available"), (romeo, leaving, "unavailable"))

    say("as it is cut")
    await asyncio.sleep(0.2)
    federation.radio.cut()
    for number in range(6):
        say(f"{number}, while it is cut")
        for nick in room.members:
            in_room += await room.say(nick, 1, f"{number}, while it is cut, from {nick}")
        if number == 1:
            await arriving.login()
            await leaving.logout()
        await asyncio.sleep(CUT / 6 / federation.radio.speed)
    heard = [body for client, friend in ways for body in bodies(client, friend)]
    heard += [body for nick, body in romeo.room_messages(room.address) if nick != "guest"]
    heard += [body for nick, body in juliet.room_messages(room.address) if nick == "guest"]
    crossed = [body for body in heard if "while" in body]
    crossed += [f"{of.full} is {kind}" for client, of, kind in changes if seen(client, of) == kind]
    expect_equal(crossed, [], "what crossed a radio that is cut")
    federation.radio.mend()
    started = time.monotonic()
    for sender, receiver in ways:
        await arrived(receiver, sender, said[sender], may_double(federation))
    await room.heard(in_room, everybody, may_double(federation))
    for client, of, kind in changes:
        await client.until(f"{of.full} is {kind}", lambda: seen(client, of) == kind, PATIENCE)
    lasted = time.monotonic() - started
    for nick, client in room.members.items():
        expect_equal(client.occupants(room.address), everybody, f"who is in the room after the cut, as {nick} sees it")
        expect_equal([p.sender for p in client.presences[before[client]:]
                      if p.sender.split("/")[0] == room.address and p.type in ("unavailable", "error")], [],
                     f"departures from the room that {nick} saw")
        expect_equal([m.condition for m in client.messages if m.type == "error"], [], f"errors for {nick}")
    await converse(federation, romeo, juliet, ["after the cut"])
    return f"all had arrived {lasted * federation.radio.speed:.0f} s of the radio after it was whole again"


@radio_check()
async def loss_of_the_nodes(federation: Federation):
    """Both nodes lose power with all that is in them, and come back: no message is lost."""
    async with federation.users() as (romeo, juliet):
        await converse(federation, romeo, juliet, ["before the loss"])
        said: dict[Client, list[str]] = {romeo: [], juliet: []}
        for number in range(8):
            for sender, receiver in ((romeo, juliet), (juliet, romeo)):
                said[sender].append(f"{number}, around the loss of power")
                sender.send(receiver.full, said[sender][-1])
            await asyncio.sleep(0.15)
            if number == 4:
                federation.radio.kill()
        await asyncio.sleep(1)
        await federation.radio.start()
        for sender, receiver in ((romeo, juliet), (juliet, romeo)):
            # In dialect xep what one node rejects alone, while the other has no client yet, goes again behind the rest.
            await arrived(receiver, sender, said[sender], may_double(federation), in_order=not may_double(federation))
        await converse(federation, romeo, juliet, ["after the loss"])


@radio_check(dialect="skywave")
async def loss_of_a_bridge(federation: Federation):
    """A bridge is killed with messages on their way: after its restart all have arrived, once and in order."""
    async with federation.users() as (romeo, juliet):
        for site in federation.sites:
            await converse(federation, romeo, juliet, [f"before {site.name} loses its bridge"])
            said: dict[Client, list[str]] = {romeo: [], juliet: []}
            near, far = (romeo, juliet) if site is federation.right else (juliet, romeo)
            for number in range(8):
                # only towards the site that loses its bridge: what its own server had not handed over is the server's
                said[near].append(f"{number}, around the loss of {site.name}")
                near.send(far.full, said[near][-1])
                await asyncio.sleep(0.15)
                if number == 4:
                    site.bridge.daemon.kill()
            await asyncio.sleep(1)
            await site.bridge.start()
            # What the bridge had given to a server that had not acknowledged it is given once more.
            await arrived(far, near, said[near], may_double=True)
            await converse(federation, romeo, juliet, [f"after {site.name} lost its bridge"])


@radio_check(on_cable=True)
async def operator_tools(federation: Federation):
    """`skywave sis`: a node says what it takes, and single units cross, while the bridges hold their own SAP."""
    left, right = (site.bridge.setup.node for site in federation.sites)

    async def sis(*arguments: str, limit: float = PATIENCE) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            str(federation.left.bridge.executable), "sis", *arguments, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        try:
            output, _ = await asyncio.wait_for(process.communicate(), limit)
        except BaseException as error:
            process.kill()
            await process.wait()
            if isinstance(error, TimeoutError):
                raise CheckFailed(f"skywave sis {' '.join(arguments)} did not end within {limit:.0f} s") from error
            raise
        return process.returncode, output.decode()

    status, said = await sis("ping", "--node", left, "--sap", "3")
    expect(status == 0 and "SAP 3 bound in" in said and "MTU 2048 bytes" in said, f"sis ping ended with {status}: {said}")
    pinged = said.splitlines()[0]
    status, said = await sis("ping", "--node", left, "--sap", "6", "--timeout", "10s")
    expect(status != 0 and said.strip(), f"sis ping of the SAP that the bridge holds ended with {status}: {said}")
    status, said = await sis("ping", "--node", f"{federation.block[23]}:{PORT}", "--timeout", "10s")
    expect(status != 0 and said.strip(), f"sis ping where no node is ended with {status}: {said}")

    text = "Grüße ⚓"
    before = federation.radio.daemon.log.stat().st_size
    listener = asyncio.create_task(sis("listen", "--node", right, "--sap", "3", "--count", "2"))
    try:
        # The far client has to be there for its confirmation.
        deadline = time.monotonic() + PATIENCE
        while b"node 2 binds a client to SAP 3" not in federation.radio.daemon.log.read_bytes()[before:]:
            expect(time.monotonic() < deadline and not listener.done(), "sis listen did not bind")
            await asyncio.sleep(0.1)
        status, sent = await sis("send", "--node", left, "--sap", "3", "--to", ADDRESSES[1], "--count", "2", text)
        status_of_listener, heard = await listener
    finally:
        listener.cancel()
    expect(status == 0 and sent.count("confirmed by the far client") == 2, f"sis send ended with {status}: {sent}")
    expect(status_of_listener == 0 and heard.count(f"from {ADDRESSES[0]} SAP 3") == 2 and heard.count(text) == 2,
           f"sis listen ended with {status_of_listener}: {heard}")
    _, alone = await sis("send", "--node", left, "--sap", "3", "--to", ADDRESSES[1], "--confirm", "node", "is anybody there?")
    return f"{pinged}; {sent.splitlines()[0]}; where nobody listens with confirmation by the node: {alone.splitlines()[0]}"


@radio_check()
async def radio_was_used(federation: Federation):
    """What crossed did so on the air: after an orderly end the nodes say how much."""
    async with federation.users() as (romeo, juliet):
        await converse(federation, romeo, juliet, ["before the end of the nodes"])
    await federation.radio.stop()
    summary = federation.radio.summary()
    seen = await dissect(federation.radio.capture) if is_installed() else None
    await federation.radio.start()
    expect(summary.turns > 0 and summary.utilisation > 0, f"the nodes say {summary.lines[-1]}")
    async with federation.users() as (romeo, juliet):
        await converse(federation, romeo, juliet, ["after a new start of the nodes"])
    if seen:
        # Bridges use the SAP whose confirmations Wireshark cannot read, as docs/hf-links.md says.
        expect_equal(seen.complaints, [], "complaints of Wireshark about the traffic of bridges")
        expect(seen.d_pdus > 0 and seen.primitives[INDICATION] > 1, f"Wireshark saw {seen.d_pdus} D_PDUs, {seen.primitives}")
    read = (f"Wireshark read {seen.d_pdus} D_PDUs and {seen.primitives.total()} primitives, and called {seen.echoes} of "
            "these malformed") if seen else "without tshark nobody read the capture"
    return (f"{summary.delivered} U_PDUs in {summary.turns} turns, on the air {summary.on_air} % of the time, utilisation "
            f"{summary.utilisation} % of {summary.rate} bit/s; {read}")


@radio_check(is_possible=is_installed)
async def capture_of_a_selftest(federation: Federation):
    """Wireshark reads the capture of a self-test without a complaint."""
    expect(is_installed(), "tshark is not installed, which reads captures")
    sample = await dissect(await federation.radio.selftest())
    expect_equal(sample.complaints, [], "complaints about the self-test")
    expect_equal(sample.echoes, 0, "complaints about confirmations in the self-test, which uses another SAP")
    requests, indications, *answers = (sample.primitives[kind] for kind in (REQUEST, INDICATION, CONFIRM, REJECTED))
    expect(requests >= 40 and indications >= 40 and sum(answers) == requests, f"the self-test has {sample.primitives}")
    expect(sample.d_pdus > 0 and sample.checked > sample.d_pdus, f"{sample.checked} checksums of {sample.d_pdus} D_PDUs")
    return f"{sample.d_pdus} D_PDUs and {sample.primitives.total()} primitives of a self-test without a complaint"
