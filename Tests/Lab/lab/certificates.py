"""Certificates for the servers of the lab (those of the bridges come from `skywave pki`)."""

import base64
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in hexadecimal digits."""
        body = self.certificate.read_text().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
        return hashlib.sha256(base64.b64decode(body)).hexdigest()


def _openssl(*arguments: str):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Authority:
    """A test CA in a directory, made with the openssl command."""

    def __init__(self, directory: Path, name: str):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.certificate, self.key = directory / "ca.crt", directory / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                 "-keyout", str(self.key), "-out", str(self.certificate))

    def issue(self, *domains: str) -> Identity:
        """A certificate for all the given domains, in the first one's name."""
        certificate, key = self.directory / f"{domains[0]}.crt", self.directory / f"{domains[0]}.key"
        request, extensions = self.directory / "request.csr", self.directory / "extensions.cnf"
        names = ",".join(f"DNS:{domain}" for domain in domains)
        extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n"
                              "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={domains[0]}", "-keyout", str(key), "-out", str(request))
        _openssl("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self.key),
                 "-CAcreateserial", "-days", "2", "-extfile", str(extensions), "-out", str(certificate))
        return Identity(certificate, key)


def self_signed(directory: Path, *domains: str) -> Identity:
    """A certificate that nobody vouches for: good for encryption, proves nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    certificate, key = directory / "self.crt", directory / "self.key"
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", f"/CN={domains[0]}", "-addext", "subjectAltName=" + ",".join(f"DNS:{d}" for d in domains),
             "-keyout", str(key), "-out", str(certificate))
    return Identity(certificate, key)
