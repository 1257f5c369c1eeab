"""Starts and stops the servers of the side-by-side measurements: dnsmasq, Prosody, Skywave; and a component as their user."""

import asyncio
import base64
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

# One address per role, all in 127.0.0.0/8 and away from those of the integration tests.
NAMES = "127.7.1.1"
ALPHA, BRAVO = "127.7.0.2", "127.7.0.3"
ALPHA_BRIDGE, BRAVO_BRIDGE = "127.7.0.4", "127.7.0.5"
TO_BRAVO, TO_ALPHA = "127.7.0.6", "127.7.0.7"  # the relay, as seen from alpha and from bravo
S2S_PORT, COMPONENT_PORT, LINK_PORT = 5269, 5347, 5279
SECRET = "bench"


class SetupMissing(Exception):
    """A program that a measurement needs is not installed."""


def require(*programs):
    missing = [p for p in programs if shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if missing:
        raise SetupMissing(", ".join(missing))


def wait_for_port(address, port, deadline=20.0):
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        try:
            with socket.create_connection((address, port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens at {address}:{port}")


class Process:
    """A server process in its own working directory; its output goes to a file there."""

    def __init__(self, name, command, directory, environment=None):
        self.name, self.directory = name, Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = open(self.directory / f"{name}.log", "wb")
        self.process = subprocess.Popen(
            command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def cpu_seconds(self) -> float:
        """User and system time of the process so far (its threads included)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kilobytes(self, field="VmHWM") -> int:
        """Peak (`VmHWM`) or present (`VmRSS`) resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.M).group(1))


def start_names(directory, addresses: dict) -> Process:
    """dnsmasq that answers for the given domains (and what is below them) and for nothing else."""
    require("dnsmasq")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    lines = [f"listen-address={NAMES}", "bind-interfaces", "no-resolv", "no-hosts", "local=/example/", "pid-file="]
    lines += [f"address=/{domain}/{address}" for domain, address in addresses.items()]
    (directory / "dnsmasq.conf").write_text("\n".join(lines) + "\n")
    dnsmasq = shutil.which("dnsmasq", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    return Process("dnsmasq", [dnsmasq, "-k", "-C", str(directory / "dnsmasq.conf")], directory)


def make_certificate(directory, domain):
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    key, certificate = directory / f"{domain}.key", directory / f"{domain}.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={domain}",
         "-addext", f"subjectAltName=DNS:{domain},DNS:*.{domain}", "-keyout", str(key), "-out", str(certificate)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return certificate, key


def start_prosody(directory, address, domain, tls=False) -> Process:
    """A Prosody at `address` with one external component, `load.DOMAIN`: the end user of the measurements."""
    require("prosody")
    directory = Path(directory)
    (directory / "data").mkdir(parents=True, exist_ok=True)
    lines = [
        "run_as_root = true", "daemonize = false", f'pidfile = "{directory}/prosody.pid"', f'data_path = "{directory}/data"',
        f'interfaces = {{ "{address}" }}', f'component_interfaces = {{ "{address}" }}',
        f"s2s_ports = {{ {S2S_PORT} }}", f"component_ports = {{ {COMPONENT_PORT} }}", "c2s_ports = {}",
        f'unbound = {{ resolvconf = false; hoststxt = false; forward = {{ "{NAMES}" }} }}',
        'modules_enabled = { "dialback", "disco"' + (', "tls"' if tls else "") + " }",
        'log = { warn = "*console" }', "s2s_secure_auth = false", f"s2s_require_encryption = {str(tls).lower()}",
        "c2s_require_encryption = false", "allow_unencrypted_plain_auth = true",
    ]
    if tls:
        certificate, key = make_certificate(directory / "certs", domain)
        lines += ['modules_disabled = { "limits", "s2s_auth_certs" }',
                  f'ssl = {{ certificate = "{certificate}"; key = "{key}" }}']
    else:
        lines += ['modules_disabled = { "limits", "tls", "s2s_auth_certs" }']
    lines += [f'VirtualHost "{domain}"', f'Component "load.{domain}"', f'  component_secret = "{SECRET}"']
    (directory / "prosody.cfg.lua").write_text("\n".join(lines) + "\n")
    process = Process("prosody", ["prosody", "-F", "--config", str(directory / "prosody.cfg.lua")], directory)
    wait_for_port(address, COMPONENT_PORT)
    wait_for_port(address, S2S_PORT)
    return process


def fingerprint(certificate) -> str:
    """SHA-256 of a PEM file's first certificate, hexadecimal: by it the other bridge knows this one."""
    body = Path(certificate).read_text().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
    return hashlib.sha256(base64.b64decode(body)).hexdigest()


def make_link_identity(skywave, directory, name):
    """A certificate and key for a bridge's end of the link, as its user makes them."""
    subprocess.run(
        [str(skywave), "pki", "--out", str(directory), "--link", name], check=True, stdout=subprocess.DEVNULL)
    return Path(directory) / "link.crt", Path(directory) / "link.key"


def start_skywave(skywave, directory, site, server, listen, peer, link, deflate=False, tls=None) -> Process:
    """A bridge at `listen` for the domain `site` whose server is at `server`; `link` is its transport's `connect` or `listen`
    line, `tls` the certificate and key of its own and the certificate of the other end."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    lines = [
        "[site]", f'domains = ["{site}", "load.{site}"]', f'server = {{ host = "{server}", port = {S2S_PORT} }}',
        f'listen = "{listen}:{S2S_PORT}"', f'state = "{directory}/state"',
        "[site.tls]", 'mode = "off"', 'authentication = "dialback"',
        "[[peer]]", f'name = "{peer.split(".")[0]}"', f'domains = ["{peer}", "*.{peer}"]', 'dialect = "xep"',
        "[peer.transport]", 'kind = "tcp"', link,
    ]
    if tls is None:
        lines += ["insecure = true", 'addresses = ["127.0.0.0/8"]']
    if deflate:
        lines += ["[peer.transport.compression]", "deflate = true", "level = 6"]
    if tls is not None:
        certificate, key, other = tls
        lines += ["[peer.transport.tls]", f'certificate = "{certificate}"', f'key = "{key}"',
                  f'fingerprints = ["{fingerprint(other)}"]']
    lines += ["[admin]", f'socket = "{directory}/admin.sock"']
    configuration = directory / "skywave.toml"
    configuration.write_text("\n".join(lines) + "\n")
    process = Process("skywave", [str(skywave), "run", "--config", str(configuration)], directory)
    wait_for_port(listen, S2S_PORT)
    return process


class Component:
    """An external component (XEP-0114) that sends messages and notes when which one arrived."""

    def __init__(self, domain):
        self.domain = domain
        self.arrived = {}
        self.buffer = b""
        self.changed = asyncio.Condition()

    async def connect(self, address):
        self.reader, self.writer = await asyncio.open_connection(address, COMPONENT_PORT)
        self.writer.write(
            b"<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='"
            + self.domain.encode() + b"'>")
        header = await self._until(rb"<stream:stream[^>]*?\bid=['\"]([^'\"]+)['\"][^>]*>")
        digest = hashlib.sha1(header.group(1) + SECRET.encode()).hexdigest()
        self.writer.write(b"<handshake>" + digest.encode() + b"</handshake>")
        await self._until(rb"<handshake\s*/>|<handshake>\s*</handshake>")
        self.task = asyncio.ensure_future(self._read())
        return self

    async def _until(self, pattern):
        while True:
            match = re.search(pattern, self.buffer)
            if match:
                self.buffer = self.buffer[match.end():]
                return match
            data = await asyncio.wait_for(self.reader.read(65536), 20)
            if not data:
                raise ConnectionError(f"component {self.domain}: stream closed: {self.buffer[:200]!r}")
            self.buffer += data

    async def _read(self):
        while data := await self.reader.read(65536):
            now = time.monotonic()
            self.buffer += data
            end = 0
            for match in re.finditer(rb"<message\b([^>]*)>.*?</message>", self.buffer, re.S):
                end = match.end()
                identifier = re.search(rb"\bid=['\"]([^'\"]+)['\"]", match.group(1))
                bounced = re.search(rb"\btype=['\"]error['\"]", match.group(1))
                if identifier:
                    self.arrived[identifier.group(1).decode()] = (now, "error" if bounced else "message", match.group(0))
            self.buffer = self.buffer[end:]
            async with self.changed:
                self.changed.notify_all()

    def send(self, text: str):
        self.writer.write(text.encode())

    async def wait_for(self, identifier, timeout=120.0):
        async def arrived():
            async with self.changed:
                await self.changed.wait_for(lambda: identifier in self.arrived)
        await asyncio.wait_for(arrived(), timeout)
        when, kind, _ = self.arrived[identifier]
        if kind != "message":
            raise RuntimeError(f"message {identifier} came back as an error")
        return when

    async def close(self):
        self.task.cancel()
        self.writer.close()
