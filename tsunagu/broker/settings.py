"""The settings of a broker process, read once from the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "TSUNAGU_"
LISTS = frozenset({"allow_private", "cors_origins"})
PLAIN = {"MONGODB_URI": "mongodb_uri", "REDIS_URL": "redis_url", "MQTT_URL": "mqtt_url"}


class SettingsError(Exception):
    """A setting is missing or malformed; the text names the environment variable."""


class Settings(BaseModel):
    """All settings; each is read from TSUNAGU_<NAME> (MONGODB_URI, REDIS_URL and MQTT_URL also without the prefix).

    URLs that may carry passwords are secrets: they print as stars.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("tsunagu", description="alias of this broker in Via headers and the source identity")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(1026, ge=0, le=65535, description="port of the HTTP API; 0 takes a free one")
    north_port: int = Field(
        0, ge=0, le=65535, description="port that serves FIWARE's provisioning API alone, 4041 by custom; 0: none"
    )
    south_port: int = Field(
        0, ge=0, le=65535, description="port that serves device HTTP alone, 7896 by custom; 0: none"
    )
    certificate_header: str | None = Field(
        None,
        description="header in which a TLS gateway names a device's certificate fingerprint; none: none is believed",
    )
    public_url: str | None = Field(None, description="base URL that clients see, behind a gateway")
    mongodb_uri: SecretStr = Field(SecretStr("mongodb://127.0.0.1:27017/"), description="MongoDB, a replica set")
    database_prefix: str = Field(
        "tsunagu", pattern=r"^[a-z][a-z0-9_-]{0,30}$", description="databases are PREFIX and PREFIX_tenant"
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Redis, by which processes on several machines call each other; without it they look every 250 ms",
    )
    mqtt_url: SecretStr | None = Field(None, description="MQTT broker that devices publish to; none: no MQTT door")
    mqtt_client_id: str | None = Field(None, description="stable MQTT client id; derived from the name if absent")
    multi_process: bool = Field(False, description="other workers share this port and these subscriptions")

    group_limit: int = Field(
        512,
        ge=1,
        le=1000,
        description="changes committed in one transaction at most; of 256 entities at most, whatever is set",
    )
    groups_in_flight: int = Field(3, ge=1, le=8, description="transactions of one tenant at once")
    further_group: int = Field(
        8,
        ge=1,
        description="writes that must wait, and as many as each in flight has, for a further transaction beside one",
    )
    queue_limit: int = Field(10_000, ge=1, description="writes that may wait per tenant before the door closes (503)")
    store_timeout: float = Field(5.0, gt=0, description="seconds to wait for MongoDB before answering 503")

    intake_limit: int = Field(
        768 * 1024, ge=1, description="bytes of larger bodies that are worked on at once; the others wait as bytes"
    )
    max_body: int = Field(10 * 1024 * 1024, ge=1024, description="bytes of a request body at most (413)")
    max_depth: int = Field(64, ge=4, description="nesting of a request body at most")
    default_limit: int = Field(20, ge=1, description="entities in a page when the client names no limit")
    max_limit: int = Field(1000, ge=1, description="entities in a page at most")
    cors_origins: tuple[str, ...] = Field(
        (), description="origins of web pages that may call this broker from a browser (CORS); * for all, none: no CORS"
    )
    temporal_limit: int = Field(
        1000,
        ge=1,
        description="attribute instances of one entity in an answer at most; more is answered in parts (206)",
    )
    auto_tenants: bool = Field(True, description="a tenant comes into being with its first write")

    context_timeout: float = Field(5.0, gt=0, description="seconds to fetch a remote @context, whole")
    context_max_bytes: int = Field(1024 * 1024, ge=1024, description="bytes of a remote @context at most")
    allow_private: tuple[str, ...] = Field(
        (), description="hosts, addresses or networks that outgoing requests may reach although they are private"
    )

    notification_timeout: float = Field(5.0, gt=0, description="seconds that an endpoint has to answer")
    endpoint_concurrency: int = Field(16, ge=1, description="notifications in flight to one endpoint")
    endpoint_queue: int = Field(
        1000, ge=1, description="notifications held in memory for one endpoint before they are parked"
    )
    feed_limit: int = Field(1000, ge=1, description="live feeds (Server-Sent Events) open in one process at most")
    subscription_metrics: int = Field(
        200,
        ge=0,
        le=10_000,
        description="subscriptions that have metrics of their own at /metrics, the oldest; 0: none",
    )
    lease_seconds: float = Field(10.0, gt=0, description="a process that did not renew its lease for this long is dead")

    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="least severe level that is logged"
    )
    log_format: str = Field("json", pattern="^(json|console)$", description="json for machines, console for people")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
        """Read the settings from the environment; `overrides` (command line) win.

        Raises SettingsError, naming the variable.
        """
        source = os.environ if environment is None else environment
        values: dict[str, object] = {}
        for variable, field in PLAIN.items():
            if source.get(variable):
                values[field] = source[variable]
        for field in cls.model_fields:
            variable = PREFIX + field.upper()
            if variable in source:
                text = source[variable]
                values[field] = [part.strip() for part in text.split(",") if part.strip()] if field in LISTS else text
        values.update({key: value for key, value in overrides.items() if value is not None})
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = [f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
            raise SettingsError("; ".join(lines)) from None
