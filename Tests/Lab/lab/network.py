"""Loopback addresses for one federation, and the link between its bridges."""

import asyncio
import random
import socket
import struct


class AddressBlock:
    """A block 127.x.y.0/24 that no other federation on this machine uses while this object lives.

    The block is held by listening on a port of its first address: the kernel gives it back when the process ends,
    however it ends. `preferred` is tried first.
    """

    def __init__(self, preferred: str | None = None):
        for attempt in range(500):
            prefix = f"127.{random.randint(32, 250)}.{random.randint(1, 250)}"
            if preferred and attempt == 0:
                prefix = preferred
            holder = socket.socket()
            try:
                holder.bind((f"{prefix}.1", 1099))
                holder.listen(1)
            except OSError:
                holder.close()
                continue
            self.prefix, self._holder = prefix, holder
            return
        raise RuntimeError("found no free block of loopback addresses")

    def __getitem__(self, host: int) -> str:
        return f"{self.prefix}.{host}"

    def release(self):
        self._holder.close()


async def answers(address: str, port: int) -> bool:
    """Whether something listens on the TCP port."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 1)
    except (OSError, asyncio.TimeoutError):
        return False
    writer.close()
    return True


def taken(address: str, port: int) -> str | None:
    """Why nothing can listen on a TCP port of a fresh address, in words; None when it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return (f"cannot listen on {address} port {port}: {error.strerror}. If another program on this machine, such "
                    f"as an XMPP server, listens on port {port} of all addresses, please stop it for now.")
    return None


class Relay:
    """The link: forwards TCP connections to a target, counts their bytes, and can be cut.

    `up` are the bytes from the side that dials, `down` those from the side that listens. The count is made here and
    not by the bridges, so it can be held against theirs.
    """

    def __init__(self, listen: tuple[str, int], target: tuple[str, int]):
        self.listen, self.target = listen, target
        self.up = self.down = self.connections = 0
        self._server = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def start(self):
        await self.admit()

    async def stop(self):
        self.cut()
        for task in list(self._tasks):
            task.cancel()

    @property
    def is_connected(self) -> bool:
        return bool(self._pairs)

    def refuse(self):
        """Lets nobody connect any more, as a machine where nothing listens; open connections stay."""
        if self._server:
            self._server.close()
            self._server = None

    async def admit(self):
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, *self.listen)

    def cut(self):
        """Resets every connection and refuses new ones until `mend`.

        Refuses, and does not accept and then reset: whoever is let in may send at once on a link without handshakes.
        """
        self.refuse()
        for pair in list(self._pairs):
            for writer in pair:
                reset(writer)

    async def mend(self):
        await self.admit()

    def freeze(self):
        """Stops carrying bytes without telling either end, as a dead radio does."""
        self._flowing.clear()

    def thaw(self):
        self._flowing.set()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            reset(writer)
            return
        if self._server is None:
            reset(writer)
            reset(far_writer)
            return
        self.connections += 1
        pair = (writer, far_writer)
        self._pairs.add(pair)
        directions = [
            asyncio.create_task(self._carry(reader, far_writer, "up")),
            asyncio.create_task(self._carry(far_reader, writer, "down")),
        ]
        self._tasks.update(directions)
        await asyncio.gather(*directions, return_exceptions=True)
        self._tasks.difference_update(directions)
        self._pairs.discard(pair)
        for end in pair:
            end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str):
        try:
            while data := await reader.read(65536):
                await self._flowing.wait()
                setattr(self, direction, getattr(self, direction) + len(data))
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            reset(writer)


def reset(writer: asyncio.StreamWriter):
    """Closes with a TCP reset, as a broken path does, not with an orderly end."""
    sock = writer.get_extra_info("socket")
    try:
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    writer.transport.abort()
