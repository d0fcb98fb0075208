"""The tenant of a request (ETSI GS CIM 009 v1.9.1, 4.14, 6.3.14)."""

from __future__ import annotations

import re
from functools import lru_cache

from tsunagu.broker.errors import BadRequestData

NAME = re.compile(r"[A-Za-z0-9_.:~-]{1,64}", re.ASCII)
RULE = "a tenant is named with 1 to 64 of the characters A-Z a-z 0-9 _ . : ~ -"


@lru_cache(maxsize=4096)
def tenant_name(ngsild: bytes | None, fiware: bytes | None) -> str:
    """Return the tenant that the headers NGSILD-Tenant and Fiware-Service name, "" for the default tenant.

    Fiware-Service is the older name of the same thing; its value is not case-sensitive there and becomes lower case.
    Raises BadRequestData for a malformed name, or when the two headers name different tenants.
    """
    given = None if ngsild is None else checked(ngsild, "NGSILD-Tenant")
    alias = None if not fiware else checked(fiware, "Fiware-Service").lower()
    if given is not None and alias is not None and given.lower() != alias:
        raise BadRequestData(f"NGSILD-Tenant names {given!r} and Fiware-Service {alias!r}; name one tenant")
    return given if given is not None else alias or ""


def checked(value: bytes, header: str) -> str:
    """Return a header's value as a tenant name. Raises BadRequestData."""
    name = value.decode("latin-1").strip()
    if not NAME.fullmatch(name):
        raise BadRequestData(f"{header}: {name[:64]!r} is no tenant name; {RULE}")
    return name
