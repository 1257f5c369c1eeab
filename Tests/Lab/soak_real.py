"""Kills real servers and bridges under load, cuts their link, and counts what became of every message.

    soak_real.py --bridge .build/release/skywave --rounds 100 --seed 7
    soak_real.py --bridge … --rounds 8 --limit 60                 the short form of `make test`
    soak_real.py --bridge … --mode off --seed 7 --rounds 5        one mode: resend, bounce, off, radio or radio-xep

Two Prosody and two bridges carry conversations both ways, pings, and a room on each side with occupants from both. In
each round one of the four processes is ended with SIGKILL, or the link is cut or goes silent; what was ended starts
again, users whose server ended log in again, and when everything has come to rest the books are closed. In mode radio the link
is two STANAG 5066 nodes on a modelled radio: bridges and nodes are killed, and the radio is cut; in mode radio-xep the bridges speak
dialect xep on it. What is counted how, and what can be proved, stands in docs/soak.md.
"""

import argparse
import asyncio
import json
import logging
import random
import shutil
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import slixmpp

from lab.client import Client, CheckFailed
from lab.federation import Federation, Site
from lab.ledger import Ledger, LinkDoubt, Request, Verdict
from lab.processes import LabError, run_until_signalled
from lab.rooms import ROOM_CHARGES, Occupant, RoomLedger
from lab.tap import Tap
from lab.variants import Variant

ROOT = Path(__file__).resolve().parents[2]
USERS_PER_SIDE = 3
ROOM = "soak"
PAUSE = 0.04  # seconds between two messages of one user
RADIO_PAUSE = 0.2  # the same where a radio carries them
RADIO, RADIO_SPEED = "hf-lab-1200S", 40
REST_LIMIT = 45.0  # seconds until everything must have come to rest after a fault

# What Prosody is told of XEP-0198 between servers, by mode.
MODES = {
    "resend": ["smacks_enabled_s2s = true"],
    "bounce": ["smacks_enabled_s2s = true"],
    "off": ["smacks_enabled_s2s = false"],
    "radio": ["smacks_enabled_s2s = true"],
    "radio-xep": ["smacks_enabled_s2s = true"],
}
SERVER_LINES = [
    "muc_room_default_persistent = true", "muc_room_locking = false", "muc_room_default_history_length = 500",
    "max_history_messages = 500", "limits = {}", 'storage = "internal"',
]


class User(Client):
    """A user who writes down what he sends and gets, and stays in his rooms."""

    def __init__(self, site: Site, side: int, name: str, ledger: "Soak"):
        super().__init__(site.server_address, f"{name}@{site.domain}/desk", f"secret-of-{name}")
        self.site, self.side, self.name, self.soak = site, side, name, ledger
        self.is_online = False
        self.entered: set[str] = set()
        self.told: list[str] = []
        self.xmpp.add_event_handler("disconnected", self._disconnected)

    def _disconnected(self, _):
        self.is_online = False

    def _message(self, stanza):
        body, kind = stanza["body"], stanza.xml.get("type", "")
        if kind == "error":
            for ledger in (self.soak.ledger, self.soak.rooms):
                ledger.bounce(stanza["id"], stanza["error"]["condition"])
        elif body.startswith("soak:"):
            token = body[5:body.index(";")]
            if kind == "groupchat":
                self.soak.rooms.hear(self.name, token)
            else:
                self.soak.ledger.deliver(token)
        self._changed.set()

    def _presence(self, stanza):
        super()._presence(stanza)
        sender, kind = stanza["from"], stanza.xml.get("type", "")
        codes = {status.get("code") for status in stanza.xml.iter("{http://jabber.org/protocol/muc#user}status")}
        if kind == "unavailable" and "110" in codes and sender.bare in self.entered:
            # As clients do that are told that they left for a technical reason.
            self.told.append(sender.bare)
            self.presences = [p for p in self.presences if p.sender.split("/")[0] != sender.bare]
            self.enter(sender.bare, is_told=True)

    async def come_online(self):
        await self.login()
        self.is_online = True
        for site in self.soak.federation.sites:
            self.enter(f"{ROOM}@{site.room_domain}")

    def enter(self, room: str, is_told: bool = False):
        self.entered.add(room)
        self.soak.rooms.enter(self.name, room, is_told)
        presence = self.xmpp.make_presence(pto=f"{room}/{self.name}")
        x = slixmpp.xmlstream.ET.SubElement(presence.xml, "{http://jabber.org/protocol/muc}x")
        slixmpp.xmlstream.ET.SubElement(x, "{http://jabber.org/protocol/muc}history", {"maxstanzas": "0"})
        presence.send()

    def say(self, to: str, token: str, kind: str = "chat"):
        message = self.xmpp.make_message(mto=to, mbody=f"soak:{token}; the quick brown fox jumps over it", mtype=kind)
        message["id"] = token
        message.send()

    def vanish(self):
        """Ends without a word: the server is gone."""
        self.is_online = False
        self._is_open = False
        self.xmpp.abort()


@dataclass
class Fault:
    name: str
    site: Site | None  # whose process; None: the link
    kind: str
    at: float  # seconds after the round began
    lasts: float


class Soak:
    """The rounds of one mode."""

    def __init__(self, options, mode: str, rounds: int):
        self.mode, self.rounds, self.options = mode, rounds, options
        self.random = random.Random(f"{options.seed} {mode}")
        directory = ROOT / ".lab" / "soak" / mode
        self.is_radio = mode.startswith("radio")
        dialect = "xep" if mode == "radio-xep" else options.dialect
        # Over TCP a journal adds nothing to what dialect xep can know of the other side.
        lines = [] if dialect == "xep" and not self.is_radio else ['journal = { mode = "durable" }']
        # Nodes say what arrived and number nothing: what was under way may come again.
        self.doubt = LinkDoubt() if dialect == "xep" and self.is_radio else None
        self.pause = RADIO_PAUSE if self.is_radio else PAUSE
        link = {"link": "radio", "radio": RADIO, "speed": RADIO_SPEED} if self.is_radio else {"link": "plain"}
        self.federation = Federation(
            Variant("prosody", "prosody", "dialback", **link), directory, Path(options.bridge).resolve(),
            options.verbose, dialect=dialect, site_lines=lines, server_lines=SERVER_LINES + MODES[mode],
            resends=mode == "resend" or self.is_radio)
        block = self.federation.block
        self.outward, self.inward = [], []
        for site, base in ((self.federation.left, 2), (self.federation.right, 12)):
            site.bridge_as_dialled, site.server_as_dialled = block[base + 4], block[base + 5]
            self.outward.append(Tap((block[base + 4], 5269), (site.bridge_address, 5269)))
            self.inward.append(Tap((block[base + 5], 5269), (site.server_address, 5269)))
        self.users: list[User] = []
        self.ledger = Ledger(self.outward, self.inward, self.doubt)
        self.rooms = RoomLedger(
            self.outward, self.inward, [f"{ROOM}@{site.room_domain}" for site in self.federation.sites],
            [Occupant(f"{site.user}{n}", side, f"{site.user}{n}@{site.domain}/desk")
             for side, site in enumerate(self.federation.sites) for n in range(USERS_PER_SIDE)], self.doubt)
        self.numbers: dict[str, int] = {}
        self.total = Verdict()
        self.is_loaded = False
        self.longest_rest = 0.0

    # Life

    async def run(self, deadline: float | None) -> Verdict:
        taps = self.outward + self.inward
        done = 0
        try:
            for tap in taps:
                await tap.start()
            await self.federation.start()
            for side, site in enumerate(self.federation.sites):
                self.users += [User(site, side, f"{site.user}{n}", self) for n in range(USERS_PER_SIDE)]
            # One after the other: the first into a room makes it.
            for user in self.users:
                await user.come_online()
            await self.rooms_agree(REST_LIMIT)
            for number in range(self.rounds):
                if number and deadline and time.monotonic() > deadline:
                    print(f"{self.mode}: no time for more than {number} of {self.rounds} rounds", flush=True)
                    break
                await self.round(number)
                done += 1
        except (CheckFailed, LabError) as failure:
            self.total.faults.append(f"{self.mode} round {done}: {failure}")
        finally:
            self.is_loaded = False
            for user in self.users:
                user.vanish()
            await self.federation.stop()
            for tap in taps:
                await tap.stop()
        self.total.counts["rounds"] += done
        return self.total

    async def round(self, number: int):
        fault = self.draw()
        if self.doubt:
            self.doubt.until = 0.0
            self.doubt.stanzas.clear()
        self.ledger = Ledger(self.outward, self.inward, self.doubt)
        self.rooms.begin_round()
        for tap in self.outward + self.inward:
            tap.forget()
        for user in self.users:
            user.told.clear()
        started = time.monotonic()
        self.is_loaded = True
        load = [asyncio.create_task(self.talk(index)) for index in range(len(self.users))]
        await asyncio.sleep(fault.at)
        await self.inflict(fault)
        await asyncio.sleep(0.5)
        self.is_loaded = False
        await asyncio.gather(*load)
        over = time.monotonic()
        quiet = await self.come_to_rest(over + REST_LIMIT)
        rested = time.monotonic() - over
        self.longest_rest = max(self.longest_rest, rested)
        disagreement = await self.rooms_agree(20, fails=False)
        await self.rooms_heard(10)
        verdict = self.ledger.close()
        verdict += self.rooms.close()
        if not quiet:
            verdict.faults.append(f"not at rest after {REST_LIMIT:.0f} s: {self.states()}")
        if disagreement:
            verdict.counts["rooms differ"] += 1
            verdict.faults.append(f"rooms differ: {disagreement}")
        counts = ", ".join(f"{count} {name}" for name, count in verdict.counts.items() if count)
        told = sum(len(user.told) for user in self.users)
        print(f"{self.mode} round {number + 1}: {fault.name} at {fault.at:.2f} s for {fault.lasts:.2f} s: {counts}"
              f"{f', {told} told that they left' if told else ''}; at rest after {rested:.1f} s, rooms "
              f"{'DIFFER' if disagreement else 'equal'} ({time.monotonic() - started:.1f} s)", flush=True)
        for line in verdict.faults[:8]:
            print(f"    {line}", flush=True)
        verdict.faults = [f"{self.mode} round {number + 1} ({fault.name}): {line}" for line in verdict.faults]
        self.total += verdict

    # Load

    async def talk(self, index: int):
        turn = 0
        while self.is_loaded:
            await asyncio.sleep(self.pause)
            user = self.users[index]
            if not user.is_online or not self.is_loaded:
                continue
            turn += 1
            far = self.users[(index + USERS_PER_SIDE) % len(self.users)]
            pair = f"{user.name}-{far.name}"
            number = self.numbers[pair] = self.numbers.get(pair, 0) + 1
            token = f"{pair}:{number}"
            self.ledger.send(token, pair, number, user.side)
            user.say(f"{far.name}@{far.site.domain}", token)
            if turn % 6 == 0:
                side = turn // 6 % 2
                token = f"{user.name}:{self.federation.sites[side].name}:{number}"
                self.rooms.say(token, side, user.name)
                user.say(self.rooms.rooms[side], token, "groupchat")
            if turn % 10 == 0:
                self.ask(user, far.site.domain)

    def ask(self, user: User, to: str):
        iq = user.xmpp.make_iq_get(ito=to)
        slixmpp.xmlstream.ET.SubElement(iq.xml, "{urn:xmpp:ping}ping")
        answers: list[str] = []
        request = Request(user.name, f"ping-{iq['id']}".lower())
        self.ledger.requests[request] = (user.side, time.monotonic(), answers)
        ident = iq["id"] = f"soak:{request.token};"

        def answered(stanza):
            answers.append(stanza.xml.get("type", ""))

        user.xmpp.register_handler(slixmpp.xmlstream.handler.Callback(
            f"ping {ident}", slixmpp.xmlstream.matcher.MatcherId(ident), answered))
        iq.send(timeout=600, callback=lambda _: None)

    # Faults

    def draw(self) -> Fault:
        left, right = self.federation.sites
        choices = [("kill the server of", left, "server"), ("kill the server of", right, "server"),
                   ("kill the bridge of", left, "bridge"), ("kill the bridge of", right, "bridge"),
                   ("cut the link", None, "cut"), ("silence the link", None, "freeze")]
        if self.is_radio:
            choices = choices[2:4] + [("kill the nodes", None, "nodes"), ("cut the radio", None, "cut"),
                                      ("kill the nodes and the bridge of", left, "site"),
                                      ("kill the nodes and the bridge of", right, "site")]
        name, site, kind = self.random.choice(choices)
        return Fault(f"{name} {site.name}" if site else name, site, kind, self.random.uniform(0.2, 1.2),
                     self.random.uniform(0.0, 1.2))

    async def inflict(self, fault: Fault):
        relay, radio = self.federation.relay, self.federation.radio
        if fault.kind == "nodes":
            self.note_doubt()
            radio.kill()
            await asyncio.sleep(fault.lasts)
            await radio.start()
            self.note_doubt()
        elif fault.kind == "cut" and radio:
            self.note_doubt()
            radio.cut()
            await asyncio.sleep(fault.lasts)
            radio.mend()
            self.note_doubt()
        elif fault.kind == "cut":
            relay.cut()
            await asyncio.sleep(fault.lasts)
            await relay.mend()
        elif fault.kind == "freeze":
            relay.freeze()
            await asyncio.sleep(fault.lasts)
            relay.thaw()
        elif fault.kind in ("bridge", "site"):
            fault.site.bridge.daemon.kill()
            if fault.kind == "site":
                # What was inside the nodes is gone as well: nobody but the journal has it.
                radio.kill()
            self.note_doubt()
            self.rooms.bridge_killed(self.federation.sites.index(fault.site))
            await asyncio.sleep(fault.lasts)
            if fault.kind == "site":
                await radio.start()
            await fault.site.bridge.start()
            self.note_doubt()
        else:
            fault.site.server.daemon.kill()
            self.rooms.server_killed(self.federation.sites.index(fault.site))
            for user in self.users:
                if user.site is fault.site:
                    user.vanish()
            await asyncio.sleep(fault.lasts)
            await fault.site.server.start()
            for index, user in enumerate(self.users):
                if user.site is fault.site:
                    self.users[index] = User(user.site, user.side, user.name, self)
                    await self.users[index].come_online()

    def note_doubt(self):
        """What both bridges have in their journals for the link, running or not, may be under way on it."""
        if not self.doubt:
            return
        self.doubt.until = time.monotonic()
        for site in self.federation.sites:
            self.doubt.stanzas |= {(site.name, stanza["id"]) for stanza in site.bridge.queue()}

    # Rest

    def states(self) -> str:
        """What still waits at the bridges, in words; empty when nothing does."""
        waiting = []
        for site in self.federation.sites:
            try:
                status = site.bridge.status()
            except (LabError, ValueError) as error:
                waiting.append(f"{site.name} does not answer: {error}")
                continue
            for what, count in waits(status).items():
                if count:
                    waiting.append(f"{site.name} {what} {count}")
        return ", ".join(waiting)

    async def come_to_rest(self, deadline: float) -> bool:
        """Waits until nothing waits anywhere and no message is under way any more."""
        calm = 0
        before = None
        while time.monotonic() < deadline:
            state = (len(self.ledger.open), sum(len(s.delivered) + len(s.bounced) for s in self.ledger.sent.values()))
            waiting = await asyncio.to_thread(self.states)
            missing = [sent for sent in self.ledger.open if not self.ledger.in_hand(sent)]
            # What a server has in its hands may still come: a bounce or offline storage takes its time.
            calm = calm + 1 if not waiting and state == before and not missing else 0
            if calm >= (2 if not state[0] else 8):
                return True
            before = state
            await asyncio.sleep(0.15)
        return not await asyncio.to_thread(self.states)

    async def rooms_agree(self, patience: float, fails: bool = True) -> str:
        """Waits until everybody sees everybody in both rooms. Returns who does not, in words."""
        names = {user.name for user in self.users}
        deadline = time.monotonic() + patience
        while True:
            wrong = [f"{user.name} sees {sorted(user.occupants(room))} in {room}"
                     for user in self.users for site in self.federation.sites
                     if user.occupants(room := f"{ROOM}@{site.room_domain}") != names]
            if not wrong:
                return ""
            if time.monotonic() > deadline:
                if fails:
                    raise CheckFailed("; ".join(wrong))
                return "; ".join(wrong)
            await asyncio.sleep(0.1)

    async def rooms_heard(self, patience: float):
        """Gives those who missed something in a room time to get it from the history."""
        deadline = time.monotonic() + patience
        while not self.rooms.is_whole and time.monotonic() < deadline:
            await asyncio.sleep(0.1)


def waits(status: dict) -> dict[str, int]:
    """What waits at a bridge, by where."""
    counts = {"for the server": status["local"]["queued-stanzas"]}
    for peer in status["peers"]:
        for part, key in (("outbox", "stanzas"), ("outbox", "in-flight-stanzas"), ("inbox", "stanzas"),
                          ("rooms", "in-repair")):
            name = f"{part} {key}"
            counts[name] = counts.get(name, 0) + peer.get(part, {}).get(key, 0)
    return counts


async def run(options) -> int:
    modes = options.mode or list(MODES)
    started = time.monotonic()
    total = Verdict()
    asked, undone = 0, []
    for place, mode in enumerate(modes):
        rounds = max(1, options.rounds // len(modes) + (place < options.rounds % len(modes)))
        deadline = started + options.limit * (place + 1) / len(modes) if options.limit else None
        soak = Soak(options, mode, rounds)
        verdict = await soak.run(deadline)
        total += verdict
        asked += rounds
        if missing := rounds - verdict.counts["rounds"]:
            undone.append(f"{missing} of {mode}")
        if not total.faults and not options.keep_files:
            shutil.rmtree(soak.federation.directory, ignore_errors=True)
    counts = total.counts
    charged = ["lost", "duplicated", "reordered", "answered twice", "rooms differ"] + ROOM_CHARGES
    others = sorted(name for name in counts if counts[name] and name not in charged + ["rounds", "sent", "delivered", "room messages", "heard in rooms"])
    if total.faults:
        print("\n".join(total.faults[:40]))
        print(f"again: make soak-real SEED={options.seed} ROUNDS={options.rounds}"
              + (f" MODE={modes[0]}" if len(modes) == 1 else ""))
    print(f"soak-real: {'FAILED' if total.faults else 'passed'}: {counts['rounds']} rounds"
          + (f" of {asked}, not done {', '.join(undone)}" if undone else "")
          + f", seed {options.seed}, {time.monotonic() - started:.0f} s; {counts['sent']} messages, {counts['delivered']} delivered; "
          f"{counts['room messages']} in rooms, heard {counts['heard in rooms']} times; "
          + ", ".join(f"{counts[name]} {name}" for name in charged) + "; not the bridges': "
          + ", ".join(f"{counts[name]} {name}" for name in others))
    return 1 if total.faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bridge", required=True, help="the skywave executable")
    parser.add_argument("--rounds", type=int, default=100, help="of all modes together; at least one of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mode", action="append", choices=list(MODES), help="XEP-0198 between server and bridge")
    parser.add_argument("--dialect", choices=["skywave", "xep"], default="skywave")
    parser.add_argument("--limit", type=float, help="begin no round after so many seconds, but for the first of each mode")
    parser.add_argument("--keep-files", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    try:
        return run_until_signalled(lambda: run(options))
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main())
