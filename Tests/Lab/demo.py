"""`make demo`: two Prosody servers, two bridges, and a conversation across them.

Servers and bridges prove themselves to each other by certificates (SASL EXTERNAL over TLS), and the link between the
bridges is TLS as well: what a real pairing looks like. With --keep everything stays up for one's own clients. With --link the
bridges are joined by two STANAG 5066 nodes on that modelled radio link instead, which runs many times as fast as real time.
"""

import argparse
import asyncio
import json
import logging
import os
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from lab.client import PATIENCE, CheckFailed, Client
from lab.federation import Federation
from lab.processes import Daemon, LabError
from lab.variants import Variant

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / ".lab" / "demo"
LINKS = ROOT / "sim" / "links"
PROCESSES = DIRECTORY / "processes.json"
ROOM = "orchard"
RADIO_PATIENCE = 90.0  # seconds that something may take over a radio that runs faster than real time

CONVERSATION = [
    ("romeo", "But soft, what light through yonder window breaks?"),
    ("juliet", "O Romeo, Romeo, wherefore art thou Romeo?"),
    ("romeo", "Call me but love, and I'll be new baptized."),
    ("juliet", "Was ist ein Name? 薔薇は他の名で呼んでも… 🌹"),
    ("romeo", "By a name I know not how to tell thee who I am."),
    ("juliet", "Three words, dear Romeo, and good night indeed."),
]
ROOM_TALK = [
    ("juliet", "Is everybody here?"),
    ("romeo", "From the other side of the link: yes."),
    ("juliet", "Then let us begin."),
    ("romeo", "Standing by."),
]


def say(text: str = ""):
    print(text, flush=True)


class Steps:
    """Prints one line per delivery, with its latency, and keeps the latencies.

    Where a radio carries them they are seconds of the radio, of which `speed` pass in one.
    """

    def __init__(self, speed: float | None):
        self.latencies: list[float] = []
        self.speed = speed
        self.patience = RADIO_PATIENCE if speed else PATIENCE

    async def delivered(self, label: str, receiver: Client, seen, act=None) -> None:
        """Does `act`, waits until `seen()` gives what arrived, and prints the line."""
        started = time.monotonic()
        if act:
            act()
        arrival = await receiver.until(label, seen, self.patience)
        self.line(label, arrival.at - started)

    def line(self, label: str, seconds: float):
        self.latencies.append(seconds)
        width = 62 - sum(1 for c in label if ord(c) > 0x2E7F)  # wide characters take two columns
        say(f"   {label:<{width}} {self.text(seconds):>10}")

    def text(self, seconds: float) -> str:
        return f"{seconds * self.speed:.0f} s" if self.speed else f"{seconds * 1000:.1f} ms"


def last(received: list, condition):
    return next((item for item in reversed(received) if condition(item)), None)


async def converse(federation: Federation) -> Steps:
    left, right = federation.sites
    radio = federation.radio
    steps = Steps(radio.speed if radio else None)
    passwords = {user: password for site in federation.sites for user, password in site.accounts().items()}
    romeo = await left.client(f"romeo@{left.domain}", passwords["romeo"]).login()
    juliet = await right.client(f"juliet@{right.domain}", passwords["juliet"]).login()
    people = {"romeo": (romeo, juliet), "juliet": (juliet, romeo)}
    try:
        say("Messages (the first one wakes everything up: names, TLS, certificates, the link)"
            + ("; seconds of the radio" if radio else ""))
        for name, text in CONVERSATION:
            sender, receiver = people[name]
            ident = sender.xmpp.new_id()  # short ones cross the radio

            def send():
                message = sender.xmpp.make_message(mto=receiver.bare, mbody=text, mtype="chat")
                message["id"] = ident
                message.send()

            await steps.delivered(f"{name}: {text}", receiver,
                                  lambda: last(receiver.messages, lambda m: m.body == text and (radio or m.id == ident)), send)

        say("\nPresence")
        for name in people:
            asker, asked = people[name]
            await steps.delivered(
                f"{name} asks to see the other's presence", asked,
                lambda: last(asked.presence_of(asker.bare), lambda p: p.type == "subscribe"),
                lambda: asker.presence(to=asked.bare, kind="subscribe"))
            await steps.delivered(
                "  … and may", asker, lambda: last(asker.presence_of(asked.bare), lambda p: p.type == "subscribed"),
                lambda: asked.presence(to=asker.bare, kind="subscribed"))
        # Over the radio the profile lets a status change once a minute; that shows in no demo.
        for name, show, status in [] if radio else [("romeo", "away", "on watch"), ("juliet", "dnd", "on the balcony")]:
            sender, receiver = people[name]
            await steps.delivered(
                f"{name} is {show}, “{status}”", receiver,
                lambda: last(receiver.presence_of(sender.bare), lambda p: p.body == status),
                lambda: sender.presence(show=show, status=status))

        room = f"{ROOM}@{right.room_domain}"
        say(f"\nA room, {room}")
        await juliet.join(room, "juliet", create=True)
        started = time.monotonic()
        await romeo.join(room, "romeo", patience=steps.patience)
        steps.line("romeo joins from the other site and has the list of occupants", time.monotonic() - started)
        await juliet.until("romeo in the room", lambda: juliet.occupants(room) == {"juliet", "romeo"}, steps.patience)
        for name, text in ROOM_TALK:
            sender, receiver = people[name]
            await steps.delivered(
                f"{name}: {text}", receiver,
                lambda: last(receiver.messages, lambda m: m.type == "groupchat" and m.body == text),
                lambda: sender.send(room, text, "groupchat"))
        await steps.delivered(
            "romeo leaves", juliet,
            lambda: last(juliet.presences, lambda p: p.sender == f"{room}/romeo" and p.type == "unavailable"),
            lambda: romeo.leave(room, "romeo"))

        say("\nRequests")
        for name in people:
            sender, receiver = people[name]
            started = time.monotonic()
            # The profile of the radio keeps pings of clients at home.
            what = ("http://jabber.org/protocol/disco#info", "query") if radio else ("urn:xmpp:ping", "ping")
            kind, condition, _ = await sender.request(receiver.full, "get", *what, patience=steps.patience)
            if kind != "result":
                raise CheckFailed(f"the request of {name} was answered with {condition}")
            asks = "asks what the other's client can do" if radio else "pings the other's client"
            steps.line(f"{name} {asks}: there and back", time.monotonic() - started)
    finally:
        await romeo.logout()
        await juliet.logout()
    return steps


def accounts_of_bytes(federation: Federation):
    """Prints what the servers gave to the bridges beside what crossed the link, as the bridges counted it."""
    rows = []
    for site, far in (federation.sites, reversed(federation.sites)):
        status = site.bridge.status()
        peer = status["peers"][0]
        rows.append((f"{site.name} → {far.name}", status["local"]["bytes-from-server"], peer["link"]["bytes-sent"]))
    what = "the units that the nodes were given" if federation.radio else "everything on the link, its TLS handshake included"
    say(f"\nBytes, as `skywave status --json` tells them (XML from the servers; {what})")
    say(f"   {'':<20}{'the server wrote':>18}{'the link carried':>20}{'':>10}")
    for label, wrote, carried in rows:
        share = f"{100 * carried / wrote:.0f} %" if wrote else "–"
        say(f"   {label:<20}{wrote:>16} B{carried:>18} B{share:>10}")


def account_of_radio(federation: Federation):
    """Prints what the nodes said when they ended."""
    summary = federation.radio.summary()
    say(f"\nThe radio, {federation.radio.link}, {federation.radio.speed:g} times as fast as real time, in its own time")
    for line in summary.lines:
        say(f"   {line}")


def speed_for(link: str) -> float:
    """So fast that the conversation takes less than three minutes; slow modems run faster."""
    path = LINKS / f"{link}.toml"
    if not path.exists():
        names = ", ".join(sorted(file.stem for file in LINKS.glob("*.toml")))
        raise LabError(f"there is no link {link}; there are {names}")
    rate = int(re.search(r"^rate = (\d+)", path.read_text(), re.MULTILINE)[1])
    return min(200, max(20, 24_000 / rate))


def how_to_connect(federation: Federation):
    say("\nEverything stays up. Connect an own client at each site, for example profanity in two terminals:\n")
    for site in federation.sites:
        password = site.accounts()[site.user]
        say(f"   {site.domain}")
        say(f"     account   {site.user}@{site.domain}    password  {password}")
        say(f"     server    {site.server_address} port 5222 (its certificate is a test one: trust it)")
        say(f"     profanity: /connect {site.user}@{site.domain} server {site.server_address} port 5222 tls trust")
        say(f"     status:    {site.bridge.executable} status --config {site.bridge.config}\n")
    say(f"   rooms live at {' and '.join(site.room_domain for site in federation.sites)}")
    say(f"   from another machine: ssh -L 5222:{federation.left.server_address}:5222 THIS-MACHINE")
    say(f"   configurations and logs: {DIRECTORY.relative_to(ROOT)}/")
    say("\nStop it with:  make demo-stop")


def stop_kept() -> bool:
    """Ends what an earlier demo with --keep left running; only those of its processes that are still themselves."""
    if not PROCESSES.exists():
        return False
    entries = json.loads(PROCESSES.read_text())

    def same(entry) -> bool:
        try:
            return start_time(entry["pid"]) == entry["started"]
        except (OSError, ValueError, IndexError):
            return False

    for entry in entries:
        if same(entry):
            os.killpg(entry["pid"], signal.SIGTERM)
    deadline = time.monotonic() + 10
    while any(same(entry) for entry in entries) and time.monotonic() < deadline:
        time.sleep(0.1)
    for entry in entries:
        if same(entry):
            os.killpg(entry["pid"], signal.SIGKILL)
    PROCESSES.unlink()
    return True


def start_time(pid: int) -> str:
    """When a process started, in kernel ticks: a number used again belongs to another start."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


async def demo(options) -> int:
    if stop_kept():
        say("(ended the demo that was still running)")
    Daemon.outlives_lab = options.keep
    variant = Variant("prosody", "prosody", "external", "tls", "skywave", "durable")
    if options.link:
        speed = options.speed or speed_for(options.link)
        variant = replace(variant, link="radio", profile="hf", radio=options.link, speed=speed)
    federation = Federation(variant, DIRECTORY, Path(options.bridge).resolve(), relay=False, prefix="127.0.0")
    left, right = federation.sites
    say(f"""Skywave: two sites that know nothing of each other's network, joined by two bridges

   {left.domain:<58}{right.domain}
   Prosody {left.server_address:<12}⇄ skywave {left.bridge_address:<11}⇄ {"node ~ radio ~ node" if options.link else "link"} ⇄ skywave {right.bridge_address:<12}⇄ Prosody """
        f"""{right.server_address}
""")
    started = time.monotonic()
    await federation.start()
    kept = False
    try:
        say(f"Two Prosody servers and two bridges are up after {time.monotonic() - started:.1f} s; each proves itself by a "
            "certificate of `skywave pki`.\n")
        steps = await converse(federation)
        accounts_of_bytes(federation)
        middle = sorted(steps.latencies)[len(steps.latencies) // 2]
        if federation.radio and not options.keep:
            await federation.radio.stop()
            account_of_radio(federation)
        say(f"\n{len(steps.latencies)} deliveries across the bridges, all arrived; half of them within {steps.text(middle)}"
            f"{f', the slowest in {steps.text(max(steps.latencies))} of the radio' if federation.radio else ''}.")
        if options.keep:
            entries = [{"name": d.name, "pid": d.process.pid, "started": start_time(d.process.pid)}
                       for d in federation.daemons]
            PROCESSES.write_text(json.dumps(entries))
            how_to_connect(federation)
            kept = True
    except BaseException:
        say("\n" + federation.logs())
        raise
    finally:
        if not kept:
            await federation.stop()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bridge", help="the skywave executable")
    parser.add_argument("--link", help="join the bridges by this modelled radio link, one of sim/links")
    parser.add_argument("--speed", type=float, help="seconds of the radio in one second")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--stop", action="store_true", help="end what --keep left running")
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    if options.stop:
        say("stopped" if stop_kept() else "nothing was running")
        return 0
    try:
        return asyncio.run(demo(options))
    except (CheckFailed, LabError) as failure:
        say(f"\nThe demo failed: {failure}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
