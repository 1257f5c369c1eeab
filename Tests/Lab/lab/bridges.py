"""The bridge under test, one per site, configured as its user would."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .certificates import Identity
from .network import answers
from .processes import Daemon, LabError
from .servers import Server

PORT = 5269
PROFILES = Path(__file__).resolve().parents[3] / "profiles"


@dataclass
class SiteBridge:
    """What one bridge is told."""

    name: str
    domains: list[str]
    rooms: list[str]
    server: str
    listen: str
    peer: str
    peer_domains: list[str]
    peer_rooms: list[str]
    proof: str
    directory: Path
    pki: Path
    deflate: bool
    secret: str
    verbose: bool
    socket: Path
    dials: str | None = None
    listens: str | None = None
    node: str | None = None  # HOST:PORT of the STANAG 5066 node, where a radio carries the link
    remote: str = ""  # the address of the peer's node
    server_authority: Path | None = None
    link_identity: Identity | None = None
    link_authority: Path | None = None
    link_peer_name: str | None = None
    link_fingerprint: str | None = None
    dialect: str = "xep"
    profile: str = ""  # one of those that lie in the repository
    site_lines: list[str] = field(default_factory=list)  # further lines of [site], and tables in it

    def toml(self) -> str:
        component = self.proof == "component"
        port = Server.component_port if component else PORT
        lines = ["[site]", f"domains = {array(self.domains)}", f'server = {{ host = "{self.server}", port = {port} }}']
        if component:
            lines.append('attachment = "component"')
        else:
            lines.append(f'listen = "{self.listen}:{PORT}"')
        lines += [f'state = "{self.directory / "state"}"', f"rooms = {array(self.rooms)}"]
        if self.profile:
            lines.append(f'profiles = "{PROFILES}"')
        lines += [*self.site_lines, ""]
        if component:
            lines += ["[site.components]", *(f'"{domain}" = "{self.secret}"' for domain in self.peer_domains)]
        else:
            lines += ["[site.tls]", *self._tls()]
        lines += ["", "[[peer]]", f'name = "{self.peer}"', f"domains = {array(self.peer_domains)}",
                  f"rooms = {array(self.peer_rooms)}", f'dialect = "{self.dialect}"']
        if self.profile:
            lines.append(f'profile = "{self.profile}"')
        lines += ["", "[peer.transport]", *self._transport(), "", "[admin]", f'socket = "{self.socket}"',
                  "", "[log]", f'level = "{"trace" if self.verbose else "debug"}"', ""]
        return "\n".join(lines)

    def _transport(self) -> list[str]:
        if self.node:
            # All waits of the link follow from this one, which is real time: a node that confirmed and lost something costs half.
            return ['kind = "stanag5066"', f'node = "{self.node}"', f'remote = "{self.remote}"', 'dead-after = "40s"']
        lines = ['kind = "tcp"']
        if self.dials:
            lines += [f'connect = "{self.dials}"', 'reconnect = { min = "100ms", max = "1s" }']
        if self.listens:
            lines.append(f'listen = "{self.listens}"')
        if not self.link_identity:
            lines += ["insecure = true", 'addresses = ["127.0.0.0/8"]']
        if self.deflate:
            lines += ["", "[peer.transport.compression]", "deflate = true", "level = 6"]
        if self.link_identity:
            lines += ["", "[peer.transport.tls]", f'certificate = "{self.link_identity.certificate}"',
                      f'key = "{self.link_identity.key}"']
            if self.link_authority:
                lines += [f'ca = "{self.link_authority}"', f'server-name = "{self.link_peer_name}"']
            else:
                lines.append(f'fingerprints = ["{self.link_fingerprint}"]')
        return lines

    def _tls(self) -> list[str]:
        if self.proof == "dialback":
            return ['mode = "off"', 'authentication = "dialback"']
        lines = ['mode = "required"', f'certificates = "{self.pki}"']
        if self.proof == "external":
            return lines + ['authentication = "certificate"', f'ca = "{self.server_authority}"']
        return lines + ['authentication = "dialback"']


class Bridge:
    """The daemon `skywave run` with its configuration and, where it needs them, its certificates."""

    def __init__(self, executable: Path, setup: SiteBridge):
        self.executable, self.setup = executable, setup
        setup.directory.mkdir(parents=True, exist_ok=True)
        self.config = setup.directory / "skywave.toml"
        if setup.proof in ("starttls", "external"):
            self.command("pki", "--out", str(setup.pki), *setup.peer_domains)
        self.daemon = Daemon("skywave", [str(executable), "run", "--config", str(self.config)], setup.directory)

    def make_link_identity(self) -> Identity:
        """The certificate for the link as `skywave pki` makes it, to be known by its fingerprint."""
        self.command("pki", "--out", str(self.setup.pki), "--link", f"bridge.{self.setup.domains[0]}")
        return Identity(self.setup.pki / "link.crt", self.setup.pki / "link.key")

    def configure(self):
        self.config.write_text(self.setup.toml())

    def command(self, *arguments: str) -> str:
        """Runs another command of the executable; its failure is the lab's."""
        done = subprocess.run([str(self.executable), *arguments], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise LabError(f"skywave {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    async def start(self):
        self.daemon.start()

        async def ready() -> bool:
            if not self.setup.socket.exists():
                return False
            if self.setup.proof != "component":
                return await answers(self.setup.listen, PORT)
            try:
                streams = self.status()["local"]["streams"]
            except LabError:  # it says itself that it may still be starting
                return False
            proved = [stream for stream in streams if stream["pairs"]]
            return len(proved) == len(self.setup.peer_domains)

        await self.daemon.ready(ready)

    async def stop(self) -> int | None:
        return await self.daemon.stop()

    async def stop_cleanly(self):
        """Ends it as systemd does, and insists on the exit status 0 that this must have."""
        status = await self.stop()
        if status != 0:
            raise LabError(f"the bridge {self.setup.name} ended with {status} after SIGTERM instead of 0")

    def status(self) -> dict:
        return json.loads(self.command("status", "--config", str(self.config), "--json"))

    def queue(self) -> list[dict]:
        """What waits for the link or is in flight on it; while the bridge is not running, what its journal says."""
        listed = self.command("queue", "list", "--config", str(self.config), "--limit", "10000", "--json")
        return [stanza for peer in json.loads(listed)["peers"] for stanza in peer["stanzas"]]

    def peer(self) -> dict:
        """What `status` says of the only peer."""
        return self.status()["peers"][0]


def array(values: list[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"
