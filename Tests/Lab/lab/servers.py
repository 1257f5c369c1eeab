"""The servers of a site: Prosody, ejabberd, and dnsmasq for the names that they look up."""

import os
import shutil
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from .certificates import Identity
from .network import answers
from .processes import Daemon

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
ERLANG_LIBRARIES = "/usr/lib/x86_64-linux-gnu"


@dataclass
class Security:
    """How a server proves itself to others and wants them to prove themselves.

    `encryption` off or required; `identity` its own certificate; `trusted` the authority whose certificates it takes.
    Without `trusted` others prove themselves by dialback.
    """

    encryption: str = "off"
    identity: Identity | None = None
    trusted: Path | None = None


@dataclass
class ServerSetup:
    """What every kind of server is told."""

    domain: str
    address: str
    resolver: str
    directory: Path
    users: dict[str, str]
    rosters: dict[str, list[str]]  # of users that have contacts from the start: subscription both
    security: Security = field(default_factory=Security)
    components: dict[str, str] = field(default_factory=dict)  # remote domain: secret (XEP-0114)
    verbose: bool = False
    resends: bool = True  # what another server or a bridge had not acknowledged (XEP-0198), where the kind can
    lines: list[str] = field(default_factory=list)  # further global lines, in the server's own language

    @property
    def room_domain(self) -> str:
        return f"conference.{self.domain}"


class Server:
    """A server of one site, as far as a scenario cares."""

    kind = "server"
    component_port = 5347

    def __init__(self, setup: ServerSetup):
        self.setup = setup
        setup.directory.mkdir(parents=True, exist_ok=True)
        self.daemon: Daemon | None = None

    async def start(self):
        self.daemon.start()
        await self.wait_until_ready()

    async def wait_until_ready(self):
        ports = [5222] + ([self.component_port] if self.setup.components else [5269])

        async def ready() -> bool:
            for port in ports:
                if not await answers(self.setup.address, port):
                    return False
            return True

        await self.daemon.ready(ready)

    async def stop(self):
        await self.daemon.stop()

    async def restart(self):
        await self.stop()
        await self.start()


class Prosody(Server):
    kind = "prosody"
    executable = shutil.which("prosody", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/local/bin")

    def __init__(self, setup: ServerSetup):
        super().__init__(setup)
        config = setup.directory / "prosody.cfg.lua"
        config.write_text(self._configuration())
        self._register_users()
        self._write_rosters()
        self.daemon = Daemon("prosody", [self.executable, "--config", str(config), "-F"], setup.directory)
        self.daemon.log = setup.directory / "prosody.log"

    def _configuration(self) -> str:
        setup, security = self.setup, self.setup.security
        modules, disabled, lines = "", "", []
        if security.encryption == "off":
            disabled = '"tls", "s2s_auth_certs"'
            lines += ["s2s_require_encryption = false", "s2s_secure_auth = false"]
        else:
            modules = '"tls"'
            tls = f'key = "{security.identity.key}"; certificate = "{security.identity.certificate}"'
            if security.trusted:
                tls += f'; cafile = "{security.trusted}"'
            lines += [f"ssl = {{ {tls} }}", "s2s_require_encryption = true",
                      f"s2s_secure_auth = {'true' if security.trusted else 'false'}"]
        components = []
        if setup.components:
            components = [f'component_ports = {{ {self.component_port} }}',
                          f'component_interfaces = {{ "{setup.address}" }}']
        entries = [f'Component "{setup.room_domain}" "muc"', "    restrict_room_creation = false"]
        for domain, secret in setup.components.items():
            entries += [f'Component "{domain}"', f'    component_secret = "{secret}"']
        return Template((TEMPLATES / "prosody.cfg.lua").read_text()).substitute(
            resend="true" if setup.resends else "false",
            directory=setup.directory, address=setup.address, domain=setup.domain, resolver=f"{setup.resolver}@{NameServer.port}",
            level="debug" if setup.verbose else "info", modules=modules, disabled=disabled,
            security="\n".join(lines + setup.lines), components="\n".join(components), muc="\n".join(entries))

    def _register_users(self):
        """Writes the account files that `prosodyctl register` would write, without its start-up time."""
        accounts = self.setup.directory / "data" / escaped(self.setup.domain) / "accounts"
        accounts.mkdir(parents=True, exist_ok=True)
        for user, password in self.setup.users.items():
            (accounts / f"{user}.dat").write_text(f'return {{ ["password"] = "{password}"; }};\n')


    def _write_rosters(self):
        """Writes what the server would have after each had asked and accepted."""
        rosters = self.setup.directory / "data" / escaped(self.setup.domain) / "roster"
        rosters.mkdir(parents=True, exist_ok=True)
        for user, contacts in self.setup.rosters.items():
            items = "".join(f'["{jid}"] = {{ subscription = "both"; groups = {{}}; }};\n' for jid in contacts)
            (rosters / f"{user}.dat").write_text(f"return {{ [false] = {{ version = 1; pending = {{}}; }};\n{items}}};\n")


class Ejabberd(Server):
    kind = "ejabberd"
    executable = shutil.which("erl") if Path("/usr/share/doc/ejabberd").exists() or shutil.which("ejabberdctl") else None

    def __init__(self, setup: ServerSetup):
        super().__init__(setup)
        directory = setup.directory
        (directory / "ejabberd.yml").write_text(self._configuration())
        resolver = setup.resolver.replace(".", ",")
        # The empty resolv_conf must come first: it keeps Erlang from reading the machine's own.
        (directory / "inetrc").write_text(
            f'{{resolv_conf,""}}.\n{{nameserver,{{{resolver}}},{NameServer.port}}}.\n{{host,{{127,0,0,1}},["localhost"]}}.\n'
            '{lookup,["file","native"]}.\n')
        users = "".join(
            f'ejabberd_auth:try_register(<<"{user}">>,<<"{setup.domain}">>,<<"{password}">>),'
            for user, password in setup.users.items())
        self.daemon = Daemon(
            "ejabberd",
            [self.executable, "-noinput", "-mnesia", "dir", f'"{directory}/spool"', "-s", "ejabberd",
             "-eval", users + 'io:format("READY~n").'],
            directory,
            {"ERL_LIBS": ERLANG_LIBRARIES, "ERL_INETRC": str(directory / "inetrc"), "HOME": str(directory),
             "EJABBERD_CONFIG_PATH": str(directory / "ejabberd.yml"),
             "EJABBERD_LOG_PATH": str(directory / "ejabberd.log")})
        self.daemon.log = directory / "console.log"

    async def wait_until_ready(self):
        await super().wait_until_ready()

        async def registered() -> bool:
            return "READY" in self.daemon.log.read_text(errors="replace")

        await self.daemon.ready(registered)

    def _configuration(self) -> str:
        setup, security = self.setup, self.setup.security
        lines = [f"s2s_use_starttls: {'false' if security.encryption == 'off' else 'required'}"]
        modules = []
        if security.identity:
            bundle = setup.directory / "server.pem"
            bundle.write_text(security.identity.certificate.read_text() + security.identity.key.read_text())
            lines.append(f'certfiles: ["{bundle}"]')
        if security.trusted:
            lines.append(f'ca_file: "{security.trusted}"')
        if not security.trusted:
            modules.append("  mod_s2s_dialback: {}")
        modules.append(f'  mod_muc: {{host: "{setup.room_domain}", default_room_options: {{persistent: false}}}}')
        components = []
        if setup.components:
            hosts = ", ".join(f'"{domain}": {{password: "{secret}"}}' for domain, secret in setup.components.items())
            components.append(f'  - {{ip: "{setup.address}", port: {self.component_port}, module: ejabberd_service, '
                              f"access: all, global_routes: false, hosts: {{{hosts}}}}}")
        return Template((TEMPLATES / "ejabberd.yml").read_text()).substitute(
            domain=setup.domain, address=setup.address, level="debug" if setup.verbose else "info",
            security="\n".join(lines), components="\n".join(components), modules="\n".join(modules))


class NameServer:
    """dnsmasq with exactly the given names; everything else under .example does not exist.

    A name also gets the SRV record of server-to-server XMPP, whose target is the address itself: ejabberd asks only
    for that, and host names would otherwise go to the machine's own resolver.
    """

    port = 1053  # any port will do, and one above 1023 needs no root
    executable = shutil.which("dnsmasq", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

    def __init__(self, address: str, names: dict[str, str], directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self.address, self.names = address, names
        lines = [f"listen-address={address}", f"port={self.port}", "bind-interfaces", "no-resolv", "no-hosts", "local=/example/",
                 "user=", "group=", "pid-file="]
        for name, target in names.items():
            lines += [f"address=/{name}/{target}", f"srv-host=_xmpp-server._tcp.{name},{target},5269"]
        config = directory / "dnsmasq.conf"
        config.write_text("\n".join(lines) + "\n")
        self.daemon = Daemon("dnsmasq", [self.executable, "-k", "-C", str(config)], directory)

    async def start(self):
        self.daemon.start()
        name = next(iter(self.names))

        async def resolves() -> bool:
            return resolve(self.address, name)

        await self.daemon.ready(resolves)

    async def stop(self):
        await self.daemon.stop()


def resolve(server: str, name: str) -> bool:
    """Whether the name server at `server` has an A record for `name` (one UDP question, RFC 1035)."""
    question = struct.pack(">6H", 0x5357, 0x0100, 1, 0, 0, 0)
    for label in name.split("."):
        question += bytes([len(label)]) + label.encode()
    question += b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        try:
            sock.sendto(question, (server, NameServer.port))
            return struct.unpack(">H", sock.recv(512)[6:8])[0] > 0
        except OSError:
            return False


def escaped(domain: str) -> str:
    """A domain as Prosody names its folder."""
    return "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in domain)
