"""The TLS contexts that endpoints bring, and what is refused when they are created."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.broker.access.certificates import Authority
from tsunagu.broker.access.tls import Certificates, certificates_of, client_context

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give a CA."""
    return Authority(tmp_path_factory.mktemp("ca"))


def test_only_the_given_ca_is_trusted(authority: Authority) -> None:
    """A CA of the endpoint stands in the place of the system's; beside them only for the token URL."""
    alone = client_context(Certificates(ca=authority.own.pem))
    assert len(alone.get_ca_certs()) == 1
    assert alone.check_hostname
    assert len(client_context(Certificates(ca=authority.own.pem), system=True).get_ca_certs()) > 1


def test_a_client_certificate_leaves_no_file(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of a client certificate is nowhere on disk after it was loaded."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = authority.sign("client")
    client_context(Certificates(certificate=made.pem, key=made.key))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ca", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_a_ca_that_is_none(ca: str) -> None:
    """What holds no certificate is refused, by the name of the setting."""
    with pytest.raises(ValueError, match="TLS-CA must be certificates in PEM"):
        client_context(Certificates(ca=ca))


def test_a_key_of_another_certificate(authority: Authority) -> None:
    """A key must belong to its certificate."""
    one, other = authority.sign("one"), authority.sign("other")
    with pytest.raises(ValueError, match="TLS-Client-Certificate and TLS-Client-Key"):
        client_context(Certificates(certificate=one.pem, key=other.key))


def test_an_encrypted_key(authority: Authority, tmp_path: Path) -> None:
    """A key with a passphrase is refused, and nobody is asked for it on the terminal."""
    made = authority.sign("locked")
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", str(made.key_file), "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ValueError, match="without passphrase"):
        client_context(Certificates(certificate=made.pem, key=locked.read_text()))


def test_settings_without_certificates() -> None:
    """An endpoint without certificates of its own has none; a key does not show when certificates are printed."""
    assert certificates_of({"MQTT-QoS": "1"}) is None
    assert "hush" not in repr(certificates_of({"TLS-Client-Certificate": "c", "TLS-Client-Key": "hush"}))
