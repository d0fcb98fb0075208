"""Certificates for tests, made by openssl: a CA, what it signed for this machine, and a client's."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Made:
    """Where a certificate and its key are; `pem` and `key` are their texts."""

    certificate: Path
    key_file: Path

    @property
    def pem(self) -> str:
        return self.certificate.read_text()

    @property
    def key(self) -> str:
        return self.key_file.read_text()


class Authority:
    """A CA in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.name = name
        self._openssl(
            "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={name}", *self._new(name), "-out", self._pem(name)
        )
        self.own = self._made(name)

    def sign(self, name: str, *, host: str = "127.0.0.1") -> Made:
        """Return a certificate for this machine's address."""
        request, extra = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        self._openssl("req", "-nodes", "-subj", f"/CN={name}", *self._new(name), "-out", request)
        extra.write_text(f"subjectAltName=IP:{host},DNS:localhost\n")
        signer = ("-CA", self._pem(self.name), "-CAkey", self._key(self.name), "-CAcreateserial")
        self._openssl("x509", "-req", "-in", request, *signer, "-days", "2", "-extfile", extra, "-out", self._pem(name))
        return self._made(name)

    def _new(self, name: str) -> tuple[str | Path, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", self._key(name))

    def _pem(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def _key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def _made(self, name: str) -> Made:
        return Made(self._pem(name), self._key(name))

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.folder)
