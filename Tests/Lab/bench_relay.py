"""A byte-counting TCP relay with an optional delay: the "link" between two sites in the side-by-side measurements.

The relay ends TCP on both sides, so with a delay it also pays for the TCP handshake that the kernel did not see: what the
dialling side writes leaves one round trip after the connection was accepted.
"""

import asyncio
import time
from dataclasses import dataclass, field


@dataclass
class Ledger:
    """What crossed the link between two sites, over all its connections. Sides are named "alpha" and "bravo"."""

    bytes_from: dict = field(default_factory=lambda: {"alpha": 0, "bravo": 0})
    connections: int = 0
    direction_changes: int = 0
    first_accept: float | None = None
    last_side: str | None = None

    def accepted(self):
        self.connections += 1
        if self.first_accept is None:
            self.first_accept = time.monotonic()

    def carried(self, side: str, count: int):
        self.bytes_from[side] += count
        if self.last_side is not None and self.last_side != side:
            self.direction_changes += 1
        self.last_side = side

    @property
    def total(self) -> int:
        return sum(self.bytes_from.values())


class Relay:
    """Listens at `listen` for connections from `side` and carries them to `target`."""

    def __init__(self, listen, target, side, ledger, one_way_delay=0.0):
        self.listen, self.target, self.ledger, self.delay = listen, target, ledger, one_way_delay
        self.side = side
        self.far = "bravo" if side == "alpha" else "alpha"
        self.server = None
        self.tasks = set()
        self.writers = set()

    async def start(self):
        self.server = await asyncio.start_server(self._accepted, self.listen[0], self.listen[1])
        return self

    async def stop(self):
        if self.server is not None:
            self.server.close()
        for task in list(self.tasks):
            task.cancel()
        for writer in list(self.writers):
            writer.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _accepted(self, reader, writer):
        self.ledger.accepted()
        self._spawn(self._carry(reader, writer))

    async def _carry(self, near_reader, near_writer):
        self.writers.add(near_writer)
        accepted = time.monotonic()
        if self.delay:
            await asyncio.sleep(self.delay)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            near_writer.close()
            return
        self.writers.add(far_writer)
        established = accepted + 2 * self.delay
        up = self._spawn(self._pump(near_reader, far_writer, self.side, established))
        down = self._spawn(self._pump(far_reader, near_writer, self.far, established))
        await asyncio.gather(up, down, return_exceptions=True)
        self.writers.discard(near_writer)
        self.writers.discard(far_writer)

    async def _pump(self, reader, writer, side, not_before):
        queue = asyncio.Queue()

        async def deliver():
            while True:
                due, data = await queue.get()
                wait = due - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                if data is None:
                    break
                try:
                    writer.write(data)
                    await writer.drain()
                except OSError:
                    break
            writer.close()

        delivery = self._spawn(deliver()) if self.delay else None
        while True:
            try:
                data = await reader.read(65536)
            except OSError:
                data = b""
            if data:
                self.ledger.carried(side, len(data))
            if delivery is not None:
                queue.put_nowait((max(time.monotonic(), not_before) + self.delay, data or None))
            elif data:
                writer.write(data)
                await writer.drain()
            if not data:
                break
        if delivery is not None:
            await delivery
        else:
            writer.close()
