"""Two sites, alpha.example and bravo.example, joined as a variant says."""

import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

from .bridges import Bridge, SiteBridge
from .certificates import Authority, Identity, self_signed
from .client import Client
from .network import AddressBlock, Relay, taken
from .processes import Daemon, LabError
from .radio import ADDRESSES, PORT, Radio
from .recorder import Recorder
from .servers import Ejabberd, NameServer, Prosody, Security, Server, ServerSetup
from .tap import Tap
from .variants import Variant

KINDS = {"prosody": Prosody, "ejabberd": Ejabberd}
USERS = 40
CREW = 50


class Site:
    """One site: its server, the names as it sees them, and its bridge."""

    def __init__(self, name: str, user: str, base: int, block: AddressBlock):
        self.name, self.user = name, user
        self.domain = f"{name}.example"
        self.server_address, self.bridge_address, self.resolver_address = (block[base + n] for n in range(3))
        self.server: Server | None = None
        self.resolver: NameServer | None = None
        self.bridge: Bridge | None = None
        # What stands before them may differ: a tap that reads along.
        self.server_as_dialled, self.bridge_as_dialled = self.server_address, self.bridge_address
        self._next_user = 0
        self.crew: list[str] = []  # users who know the skipper of the other site, or the skipper alone
        self.contacts: list[str] = []  # whom each of them knows
        self.tap: Tap | None = None  # reads along what the bridge tells the server, where a profile is in force

    @property
    def room_domain(self) -> str:
        return f"conference.{self.domain}"

    @property
    def domains(self) -> list[str]:
        return [self.domain, self.room_domain]

    def account(self) -> tuple[str, str]:
        """A user whom no check has used before, and the password."""
        user = f"{self.user}{self._next_user}"
        self._next_user += 1
        if self._next_user > USERS:
            raise LabError(f"more than {USERS} users at {self.name}")
        return f"{user}@{self.domain}", f"secret-of-{user}"

    def accounts(self) -> dict[str, str]:
        names = [f"{self.user}{n}" for n in range(USERS)] + [self.user] + self.crew
        return {name: f"secret-of-{name}" for name in names}

    def member(self, number: int) -> Client:
        """One of those who have contacts from the start."""
        name = self.crew[number]
        return self.client(f"{name}@{self.domain}", f"secret-of-{name}")

    def client(self, jid: str, password: str) -> Client:
        return Client(self.server_address, jid, password)


class Federation:
    """Two sites that talk to each other. Everything lives in `directory` and ends with `stop`.

    Between the bridges stands a `Relay`, by which checks cut the link; without `relay` they are joined directly. Where the
    variant names a radio link, its nodes stand there instead, and with `captures` write down what passes. What measures, as
    a `Relay` or a `Tap` does, is left out without `relay`.
    """

    def __init__(self, variant: Variant, directory: Path, bridge: Path | None, verbose: bool = False,
                 relay: bool = True, prefix: str | None = None, dialect: str | None = None,
                 site_lines: list[str] | None = None, server_lines: list[str] | None = None,
                 resends: bool = True, captures: bool = False):
        self.variant, self.directory, self.verbose = variant, directory, verbose
        if (variant.is_bridged or variant.is_recorded) and bridge is None:
            raise LabError(f"{variant.name} needs the bridge's executable")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.block = AddressBlock(prefix)
        self._sockets = Path(tempfile.mkdtemp(prefix="skywave-lab-"))  # the path of a Unix socket has to be short
        self.left = Site("alpha", "romeo", 2, self.block)
        self.right = Site("bravo", "juliet", 12, self.block)
        self.sites = [self.left, self.right]
        if variant.profile:
            self.left.crew, self.right.crew = ["skipper"], [f"crew{n}" for n in range(CREW)]
            for site, far, base in [(self.left, self.right, 2), (self.right, self.left, 12)]:
                site.contacts = [f"{name}@{far.domain}" for name in far.crew]
                if not relay:
                    continue
                site.server_as_dialled = self.block[base + 5]
                site.tap = Tap((site.server_as_dialled, 5269), (site.server_address, 5269))
        self.relay: Relay | None = None
        self.radio: Radio | None = None
        self.recorder: Recorder | None = None
        self._executable, self._has_relay = bridge, relay and not variant.radio
        self._dialect, self._site_lines, self._server_lines = dialect, site_lines or [], server_lines or []
        self._resends, self._captures = resends, captures

    # Life

    async def start(self):
        variant = self.variant
        try:
            for site in self.sites:
                for address, port in [(site.server_address, 5222), (site.server_address, 5269),
                                      (site.bridge_address, 5269), (site.resolver_address, NameServer.port)]:
                    if reason := taken(address, port):
                        raise LabError(reason)
            identities, trusted = self._certificates()
            if variant.is_bridged:
                self._make_bridges(trusted)
            for site, far, kind in [(self.left, self.right, variant.left), (self.right, self.left, variant.right)]:
                folder = self.directory / site.name
                away = far.server_address if variant.link == "direct" else site.bridge_as_dialled
                names = {site.domain: site.server_address, far.domain: away, far.room_domain: away}
                site.resolver = NameServer(site.resolver_address, names, folder / "names")
                components = {}
                if variant.proof == "component":
                    components = {domain: f"shared-by-{site.name}" for domain in far.domains}
                security = Security()
                if variant.is_encrypted:
                    security = Security("required", identities[site.domain], trusted.get(site.name))
                if KINDS[kind].executable is None:
                    raise LabError(f"{kind} is not installed; `make setup` does it")
                site.server = KINDS[kind](ServerSetup(
                    site.domain, site.server_address, site.resolver_address, folder / kind, site.accounts(),
                    {name: site.contacts for name in site.crew},
                    security, components, self.verbose, self._resends, self._server_lines))
            for site in self.sites:
                await site.resolver.start()
            for site in self.sites:
                site.server.daemon.start()
            for site in self.sites:
                await site.server.wait_until_ready()
            if variant.is_recorded:
                # It stands where the bridges would.
                ways = [(self.left.bridge_address, self.right.server_address),
                        (self.right.bridge_address, self.left.server_address)]
                self.recorder = Recorder(self._executable, ways, self.left.domain, self.directory / "recorder")
                await self.recorder.start()
            if variant.is_bridged:
                if self.relay:
                    await self.relay.start()
                if self.radio:
                    await self.radio.start()
                for site in self.sites:
                    if site.tap:
                        await site.tap.start()
                    await site.bridge.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self):
        if self.recorder:
            await self.recorder.stop()
        for site in self.sites:
            if site.bridge:
                await site.bridge.stop()
            if site.tap:
                await site.tap.stop()
        for site in self.sites:
            if site.server:
                await site.server.stop()
            if site.resolver:
                await site.resolver.stop()
        if self.relay:
            await self.relay.stop()
        if self.radio:
            await self.radio.stop()
        self.block.release()
        shutil.rmtree(self._sockets, ignore_errors=True)

    async def restore(self):
        """After a check that failed half-way: what it ended runs again and what it cut is whole, for those that follow."""
        parts = [site.resolver for site in self.sites] + [site.server for site in self.sites]
        parts += [self.recorder, self.radio] + [site.bridge for site in self.sites]
        for part in parts:
            if part and not part.daemon.is_running:
                await part.start()
        if self.radio:
            self.radio.mend()
        if self.relay:
            await self.relay.mend()
            self.relay.thaw()

    def logs(self, lines: int = 25) -> str:
        """The ends of all logs, for a failure report."""
        return "\n".join(f"--- {daemon.log}\n{daemon.tail(lines)}" for daemon in self.daemons
                         if daemon.name != "dnsmasq")

    @property
    def daemons(self) -> list[Daemon]:
        """All processes, the bridges first."""
        parts = [self.recorder, self.radio] + [site.bridge for site in self.sites] + [site.server for site in self.sites]
        parts += [site.resolver for site in self.sites]
        return [part.daemon for part in parts if part]

    # Parts

    def _certificates(self) -> tuple[dict[str, Identity], dict[str, Path]]:
        """Each server's own certificate, and for SASL EXTERNAL the authority that it trusts."""
        proof, folder = self.variant.proof, self.directory / "certificates"
        if proof == "starttls":
            return {site.domain: self_signed(folder / site.name, *site.domains) for site in self.sites}, {}
        if proof == "external":
            authority = Authority(folder, "Test authority of the sites' own servers")
            self.site_authority = authority.certificate
            identities = {site.domain: authority.issue(*site.domains) for site in self.sites}
            if not self.variant.is_bridged:
                return identities, {site.name: authority.certificate for site in self.sites}
            return identities, {site.name: self.directory / site.name / "pki" / "ca.crt" for site in self.sites}
        return {}, {}

    def _make_bridges(self, trusted: dict[str, Path]):
        port = 5270
        if self._has_relay:
            self.relay = Relay((self.block[20], port), (self.right.bridge_address, port))
        nodes = [self.block[21], self.block[22]]
        if self.variant.radio:
            self.radio = Radio(self._executable.with_name("skywave-sim"), self.variant.radio, self.variant.speed, nodes,
                               self.directory / "radio", captures=self._captures)
        for site, far in [(self.left, self.right), (self.right, self.left)]:
            setup = SiteBridge(
                name=site.name, domains=site.domains, rooms=[site.room_domain], server=site.server_as_dialled,
                listen=site.bridge_address, peer=far.name, peer_domains=far.domains, peer_rooms=[far.room_domain],
                proof=self.variant.proof, directory=self.directory / site.name / "bridge",
                pki=self.directory / site.name / "pki", deflate=self.variant.link_has_deflate,
                secret=f"shared-by-{site.name}", verbose=self.verbose, socket=self._sockets / f"{site.name}.sock",
                dialect=self._dialect or self.variant.dialect, profile=self.variant.profile,
                site_lines=self._site_lines or [f'journal = {{ mode = "{self.variant.journal}" }}'])
            if self.radio:
                place = self.sites.index(site)
                setup.node, setup.remote = f"{nodes[place]}:{PORT}", ADDRESSES[1 - place]
            elif site is self.left:
                setup.dials = f"{self.block[20] if self.relay else far.bridge_address}:{port}"
            else:
                setup.listens = f"{site.bridge_address}:{port}"
            if self.variant.proof == "external":
                setup.server_authority = self.site_authority
            site.bridge = Bridge(self._executable, setup)
        if self.variant.link_has_tls:
            self._secure_the_link()
        for site in self.sites:
            site.bridge.configure()

    def _secure_the_link(self):
        """Certificates for both ends of the link: pinned ones where the variant compresses too, else by an authority."""
        pins = self.variant.link_has_deflate
        authority = None if pins else Authority(self.directory / "link", "Test authority of the link")
        for site in self.sites:
            issue = site.bridge.make_link_identity if pins else lambda: authority.issue(f"bridge.{site.domain}")
            site.bridge.setup.link_identity = issue()
        for site, far in [(self.left, self.right), (self.right, self.left)]:
            if pins:
                site.bridge.setup.link_fingerprint = far.bridge.setup.link_identity.fingerprint
            else:
                site.bridge.setup.link_authority = authority.certificate
                site.bridge.setup.link_peer_name = f"bridge.{far.domain}"

    # Users

    async def login(self, site: Site, announce: bool = True) -> Client:
        """A user of the site who was never used before, logged in."""
        return await site.client(*site.account()).login(announce)

    @asynccontextmanager
    async def users(self, *sites: Site):
        """One fresh user per named site (by default one at each), logged out at the end."""
        clients: list[Client] = []
        try:
            for site in sites or self.sites:
                clients.append(await self.login(site))
            yield clients
        finally:
            for client in clients:
                await client.logout()
