#!/usr/bin/env python3
"""Skywave beside a plain pair of servers, on this machine and in one run.

Prints one `bench NAME VALUE UNIT [target OP VALUE]` line per figure. What the two sites exchange goes through a relay that
counts bytes; a component (XEP-0114) at each server is the end user. Three measurements:

* start: bytes and round trips from nothing (no connection between the sites) to the first delivered message. Round trips are
  the extra seconds with a delay on the link, divided by the delay of one round trip; TCP's own handshake is included.
* chat: bytes on the link per message of a 100-message chat, one message at a time, in turns.
* flow: messages/s, CPU seconds of the pair per 100 000 messages and peak memory, driven by skywave-load.
"""

import argparse
import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import bench_servers as servers  # noqa: E402
from bench_relay import Ledger, Relay  # noqa: E402

WORDS = (
    "the convoy is two miles south of harbour and we expect to be alongside by noon please confirm that your team has "
    "fuel water and spare batteries weather is getting worse so keep the small boat on deck until further notice "
    "received all of it thanks will send the list after supper nothing seen on radar since last watch"
).split()


def report(name, value, unit, target=None):
    text = f"{value:.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.2f}"
    print(f"bench {name} {text} {unit}" + (f" target {target}" if target else ""), flush=True)


class Chat:
    """Seeded chat messages as a client writes them: a body, a chat state, a receipt request, a fresh id."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def message(self, sender, recipient):
        identifier = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        body = " ".join(self.random.choice(WORDS) for _ in range(self.random.randint(3, 14)))
        return identifier, (
            f"<message from='{sender}' to='{recipient}' type='chat' id='{identifier}'><body>{body}</body>"
            "<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>")


class Pair:
    """Two sites that can talk: what every kind of pair offers to the measurements."""

    def __init__(self, directory, one_way_delay):
        self.directory, self.delay = Path(directory), one_way_delay
        self.ledger = Ledger()
        self.stack = contextlib.ExitStack()
        self.relays = []
        self.processes = []

    def started(self, process):
        self.stack.callback(process.stop)
        return process

    async def components(self):
        self.alpha = await servers.Component("load.alpha.example").connect(servers.ALPHA)
        self.bravo = await servers.Component("load.bravo.example").connect(servers.BRAVO)

    async def link(self):
        """Makes the link passable; after this the first connection may be made."""

    async def __aenter__(self):
        try:
            await self.start()
            await self.components()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *_):
        for component in (getattr(self, "alpha", None), getattr(self, "bravo", None)):
            if component is not None:
                await component.close()
        for relay in self.relays:
            await relay.stop()
        await asyncio.to_thread(self.stack.close)


class ProsodyPair(Pair):
    """Two Prosody servers that federate as usual, the relay between them in both directions."""

    def __init__(self, directory, one_way_delay, tls):
        super().__init__(directory, one_way_delay)
        self.tls = tls

    async def start(self):
        self.started(servers.start_names(
            self.directory / "names", {"alpha.example": servers.TO_ALPHA, "bravo.example": servers.TO_BRAVO}))
        port = servers.S2S_PORT
        for listen, target, side in (
            (servers.TO_BRAVO, servers.BRAVO, "alpha"), (servers.TO_ALPHA, servers.ALPHA, "bravo"),
        ):
            self.relays.append(
                await Relay((listen, port), (target, port), side, self.ledger, self.delay).start())
        for address, domain in ((servers.ALPHA, "alpha.example"), (servers.BRAVO, "bravo.example")):
            self.processes.append(self.started(await asyncio.to_thread(
                servers.start_prosody, self.directory / domain, address, domain, self.tls)))


class SkywavePair(Pair):
    """Two Prosody servers with a bridge beside each; the relay is between the bridges. What a server and its own bridge say
    to each other stays on the site and is not counted."""

    def __init__(self, directory, one_way_delay, skywave, deflate=False, tls=False):
        super().__init__(directory, one_way_delay)
        self.skywave, self.deflate, self.tls = skywave, deflate, tls

    async def start(self):
        self.started(servers.start_names(
            self.directory / "names", {"alpha.example": servers.BRAVO_BRIDGE, "bravo.example": servers.ALPHA_BRIDGE}))
        for address, domain in ((servers.ALPHA, "alpha.example"), (servers.BRAVO, "bravo.example")):
            self.started(await asyncio.to_thread(servers.start_prosody, self.directory / domain, address, domain))
        self.processes = await asyncio.to_thread(
            start_skywave_bridges, self.directory, self.skywave, servers.TO_BRAVO, self.deflate, self.tls, self.started)

    async def link(self):
        # What the first message needs inside its site is done by now; it waits for the link alone.
        await asyncio.sleep(1.0)
        port = servers.LINK_PORT
        self.relays.append(await Relay(
            (servers.TO_BRAVO, port), (servers.BRAVO_BRIDGE, port), "alpha", self.ledger, self.delay).start())


def start_skywave_bridges(directory, skywave, dialled, deflate=False, tls=False, started=lambda process: process):
    """The bridge of alpha, which dials `dialled`, and that of bravo, which listens."""
    ends = [
        ("alpha.example", servers.ALPHA, servers.ALPHA_BRIDGE, "bravo.example",
         f'connect = "{dialled}:{servers.LINK_PORT}"\nreconnect = {{ min = "100ms", max = "200ms" }}'),
        ("bravo.example", servers.BRAVO, servers.BRAVO_BRIDGE, "alpha.example",
         f'listen = "{servers.BRAVO_BRIDGE}:{servers.LINK_PORT}"'),
    ]
    identities = [
        servers.make_link_identity(skywave, directory / f"link-{end[0]}", f"bridge.{end[0]}") for end in ends
    ] if tls else []
    processes = []
    for index, (site, server, listen, peer, link) in reversed(list(enumerate(ends))):
        identity = (*identities[index], identities[1 - index][0]) if tls else None
        processes.append(started(servers.start_skywave(
            skywave, directory / f"bridge-{site}", site, server, listen, peer, link, deflate, identity)))
    return processes


async def measure_start(make_pair, directory, one_way_delay):
    """(bytes, connections, direction changes, seconds from the first connection attempt to the delivery)"""
    async with make_pair(directory, one_way_delay) as pair:
        chat = Chat(1)
        identifier, text = chat.message("ann@load.alpha.example/desk", "bob@load.bravo.example/desk")
        pair.alpha.send(text)
        await pair.link()
        arrived = await pair.bravo.wait_for(identifier)
        ledger = pair.ledger
        return ledger.total, ledger.connections, ledger.direction_changes, arrived - ledger.first_accept


async def measure_chat(make_pair, directory, count=100):
    """(bytes on the link per message, bytes per message as written by the clients)"""
    async with make_pair(directory, 0.0) as pair:
        chat = Chat(2)
        ann, bob = "ann@load.alpha.example/desk", "bob@load.bravo.example/desk"

        async def say(sender, receiver, from_, to):
            identifier, text = chat.message(from_, to)
            sender.send(text)
            await receiver.wait_for(identifier)
            return len(text)

        await pair.link()
        # The streams of both directions stand before the chat is counted.
        await say(pair.alpha, pair.bravo, ann, bob)
        await say(pair.bravo, pair.alpha, bob, ann)
        before, written = pair.ledger.total, 0
        for turn in range(count):
            if turn % 2 == 0:
                written += await say(pair.alpha, pair.bravo, ann, bob)
            else:
                written += await say(pair.bravo, pair.alpha, bob, ann)
        return (pair.ledger.total - before) / count, written / count


async def start_figures(name, make_pair, root, round_trip):
    size, connections, changes, quick = await measure_start(make_pair, root / f"{name}-start", 0.0)
    _, _, _, slow = await measure_start(make_pair, root / f"{name}-delayed", round_trip / 2)
    report(f"start-bytes-{name}", size, "bytes")
    report(f"start-round-trips-{name}", max(slow - quick, 0) / round_trip, "round-trips")
    report(f"start-direction-changes-{name}", changes, "changes")
    report(f"start-connections-{name}", connections, "connections")

async def chat_figures(name, make_pair, root):
    per_message, written = await measure_chat(make_pair, root / f"{name}-chat")
    report(f"chat-bytes-per-message-{name}", per_message, "bytes")
    report(f"chat-bytes-written-{name}", written, "bytes")


async def run_load(binary, arguments, messages, watched):
    """Runs skywave-load; returns its figures and the CPU seconds that the `watched` processes used meanwhile."""
    load = await asyncio.create_subprocess_exec(
        str(binary), *arguments, "--messages", str(messages), "--wait",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    try:
        first = (await asyncio.wait_for(load.stdout.readline(), 90)).decode()
        if first.strip() != "ready":
            raise RuntimeError("skywave-load: " + first + (await load.stdout.read()).decode())
        before = sum(process.cpu_seconds() for process in watched)
        load.stdin.write(b"\n")
        output = (await asyncio.wait_for(load.stdout.read(), 600)).decode()
        used = sum(process.cpu_seconds() for process in watched) - before
        # It has said all and is about to end: a signal now would spoil its exit status.
        await asyncio.wait_for(load.wait(), 10)
    finally:
        if load.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                load.terminate()
        await load.wait()
    if load.returncode != 0:
        raise RuntimeError("skywave-load: " + output)
    words = output.split()
    return {key: float(value) for key, value in zip(words[::2], words[1::2])}, used


async def measure_flow(name, directory, load, messages, start, arguments, target_cpu=None):
    """Messages/s, CPU seconds per 100 000 messages and peak memory of a pair of processes; returns the CPU seconds."""
    with contextlib.ExitStack() as stack:
        watched = []
        for process, is_watched in await asyncio.to_thread(lambda: start(directory)):
            stack.callback(process.stop)
            if is_watched:
                watched.append(process)
        figures, cpu = await run_load(load, arguments, messages, watched)
        cpu = cpu * 100_000 / figures["messages"]
        memory = sum(process.memory_kilobytes() for process in watched) / 1024
        report(f"flow-rate-{name}", figures["rate"], "messages/s")
        report(f"flow-cpu-per-100000-{name}", cpu, "s", target_cpu and f"<= {target_cpu:.2f}")
        report(f"flow-peak-memory-{name}", memory, "MiB")
        return cpu


def start_prosody_flow(directory):
    """A Prosody pair without a relay between: each finds the other by name."""
    started = [(servers.start_names(
        directory / "names", {"alpha.example": servers.ALPHA, "bravo.example": servers.BRAVO}), False)]
    for address, domain in ((servers.ALPHA, "alpha.example"), (servers.BRAVO, "bravo.example")):
        started.append((servers.start_prosody(directory / domain, address, domain), True))
    return started


def start_skywave_flow(skywave, deflate, tls):
    """Two bridges whose servers are both played by skywave-load."""
    def start(directory):
        bridges = start_skywave_bridges(directory, skywave, servers.BRAVO_BRIDGE, deflate, tls)
        return [(process, True) for process in bridges]
    return start


SKYWAVE_FLOW = [
    "servers", "--sender-listen", f"{servers.ALPHA}:{servers.S2S_PORT}", "--sender-domain", "alpha.example",
    "--sender-bridge", f"{servers.ALPHA_BRIDGE}:{servers.S2S_PORT}",
    "--receiver-listen", f"{servers.BRAVO}:{servers.S2S_PORT}", "--receiver-domain", "bravo.example",
]

PROSODY_FLOW = [
    "components", "--sender", f"{servers.ALPHA}:{servers.COMPONENT_PORT}", "--sender-domain", "load.alpha.example",
    "--receiver", f"{servers.BRAVO}:{servers.COMPONENT_PORT}", "--receiver-domain", "load.bravo.example",
    "--secret", servers.SECRET,
]


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, required=True, help="directory of skywave and skywave-load")
    parser.add_argument("--round-trip", type=float, default=1.0, help="delay of one round trip in the start measurement, s")
    parser.add_argument("--messages", type=int, default=100_000, help="messages of the flow")
    parser.add_argument("--only", nargs="*", help="measurements to run: start, chat, flow")
    arguments = parser.parse_args()
    unknown = set(arguments.only or []) - {"start", "chat", "flow"}
    if unknown:
        parser.error(f"unknown measurement {sorted(unknown)[0]}: start, chat, flow")
    wanted = set(arguments.only or ["start", "chat", "flow"])
    skywave = arguments.binaries.resolve() / "skywave"
    ours = {"plain": {}, "deflate": {"deflate": True}, "tls": {"tls": True}}
    pairs = {
        "prosody-plain": lambda d, delay: ProsodyPair(d, delay, tls=False),
        "prosody-tls": lambda d, delay: ProsodyPair(d, delay, tls=True),
        **{f"skywave-{name}": lambda d, delay, options=options: SkywavePair(d, delay, skywave, **options)
           for name, options in ours.items()},
    }
    failures = 0

    async def attempt(name, measurement):
        """One figure that cannot be had does not keep the others from being measured."""
        nonlocal failures
        try:
            return await measurement
        except (OSError, RuntimeError, TimeoutError, ConnectionError, subprocess.CalledProcessError) as error:
            failures += 1
            print(f"not measured: {name}: {type(error).__name__} {error}", flush=True)

    with tempfile.TemporaryDirectory(prefix="skywave-bench-") as root:
        root = Path(root)
        for name, make_pair in pairs.items():
            if "start" in wanted:
                await attempt(f"start {name}", start_figures(name, make_pair, root, arguments.round_trip))
            if "chat" in wanted:
                await attempt(f"chat {name}", chat_figures(name, make_pair, root))
        if "flow" in wanted:
            load, count = arguments.binaries.resolve() / "skywave-load", arguments.messages
            theirs = await attempt("flow prosody-plain", measure_flow(
                "prosody-plain", root / "flow-prosody", load, count, start_prosody_flow, PROSODY_FLOW))
            for name, options in ours.items():
                start = start_skywave_flow(skywave, options.get("deflate", False), options.get("tls", False))
                # The target is for the same flow: in the clear, as the Prosody pair's.
                target = theirs / 5 if theirs and name == "plain" else None
                cpu = await attempt(f"flow skywave-{name}", measure_flow(
                    f"skywave-{name}", root / f"flow-skywave-{name}", load, count, start, SKYWAVE_FLOW, target))
                if cpu and theirs:
                    report(f"flow-cpu-ratio-skywave-{name}", cpu / theirs, "of-prosody", "<= 0.20" if target else None)
    return failures


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main()) else 0)
