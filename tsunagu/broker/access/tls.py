"""TLS towards the receivers of notifications: whom the broker trusts, and as whom it shows itself.

A subscription may bring a CA of its own and a client certificate (`schemas.endpoint`), all of them PEM texts.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tsunagu.schemas.endpoint import CA, CERTIFICATE, KEY

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificates of an endpoint, PEM: those that vouch for it (None: the system's), and what we show to it."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)


def certificates_of(settings: Mapping[str, str]) -> Certificates | None:
    """Return the certificates among the settings of an endpoint (notifierInfo), None if there are none."""
    if CA not in settings and CERTIFICATE not in settings:
        return None
    return Certificates(settings.get(CA), settings.get(CERTIFICATE), settings.get(KEY))


def client_context(certificates: Certificates, *, system: bool = False) -> ssl.SSLContext:
    """Return the TLS context of a client; with `system` the system's CAs are trusted beside the endpoint's own.

    Raises ValueError, naming the setting, for what is no PEM, an expired form, an encrypted key, or a key of another
    certificate.
    """
    context = ssl.create_default_context()
    if certificates.ca is not None:
        if not system:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cadata=certificates.ca)
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(
                f"{CA} must be certificates in PEM, from -----BEGIN CERTIFICATE----- on: {_reason(error)}"
            ) from None
    if certificates.certificate is not None:
        _show(context, certificates.certificate, certificates.key or "")
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a client certificate and its key. The ssl module reads files only: it gets one that is gone at once."""
    handle, name = tempfile.mkstemp(prefix="tsunagu-")  # for this user alone (0600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{certificate.strip()}\n{key.strip()}\n")
        context.load_cert_chain(name, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(
            f"{CERTIFICATE} and {KEY} must be a certificate and its key without passphrase, in PEM: {_reason(error)}"
        ) from None
    finally:
        Path(name).unlink()


def _no_password() -> str:
    """Return what is tried on an encrypted key, so that nobody is asked on a terminal."""
    return ""


def _reason(error: Exception) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else None) or str(error)
