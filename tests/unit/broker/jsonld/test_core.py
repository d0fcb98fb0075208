"""The core @context, stated in tables."""

from __future__ import annotations

import hashlib

import orjson
import pytest

from tsunagu.broker.jsonld.core import CORE_TERMS, CORE_URL, core_document, is_core_url

# SHA-256 of the published core @context v1.9, as JSON without white space and with sorted names.
PUBLISHED = "c90b4cf36136b8a7aaa9aabd6a0fdd6f41ac7acc151d42f6496a550ee14caa51"


def test_the_core_document_is_the_published_one():
    """Annex B: what the broker serves as the core @context equals the published v1.9."""
    canonical = orjson.dumps(core_document(), option=orjson.OPT_SORT_KEYS)
    assert hashlib.sha256(canonical).hexdigest() == PUBLISHED


@pytest.mark.parametrize(
    ("term", "iri"),
    [
        ("value", "https://uri.etsi.org/ngsi-ld/hasValue"),
        ("location", "https://uri.etsi.org/ngsi-ld/location"),
        ("description", "http://purl.org/dc/terms/description"),
        ("Polygon", "https://purl.org/geojson/vocab#Polygon"),
        ("type", "@type"),
    ],
)
def test_core_terms_are_resolved(term, iri):
    """The table of terms has full IRIs and keywords, no compact IRIs."""
    assert CORE_TERMS[term] == iri


@pytest.mark.parametrize("minor", range(10))
def test_every_published_version_is_known(minor):
    """Each version of the core @context is the core, without fetching."""
    assert is_core_url(f"https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.{minor}.jsonld")


@pytest.mark.parametrize(
    "url",
    [
        CORE_URL,
        "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld",
        "http://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld",
        "https://uri.etsi.org/ngsi-ld/ngsi-ld-core-context.jsonld",
        "https://forge.etsi.org/rep/NGSI-LD/NGSI-LD/raw/master/coreContext/ngsi-ld-core-context.jsonld",
    ],
)
def test_the_addresses_without_version_are_known(url):
    """The core @context is also published without a minor version."""
    assert is_core_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld",
        "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld/x",
        "https://uri.etsi.org.evil.example/ngsi-ld/v1/ngsi-ld-core-context.jsonld",
        "https://uri.etsi.org/ngsi-ld/v1/other.jsonld",
    ],
)
def test_other_addresses_are_not_the_core(url):
    """Only ETSI's own addresses stand for the core."""
    assert not is_core_url(url)
