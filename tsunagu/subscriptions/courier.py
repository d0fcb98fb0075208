"""Making notifications of jobs and sending them: the only place that knows both what is told and how it travels."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import structlog

from tsunagu.broker.errors import NgsiError
from tsunagu.broker.query.linked import resolve_linked
from tsunagu.broker.query.match import compile_matcher
from tsunagu.broker.representations.joins import targets
from tsunagu.broker.storage.deliveries import Attempt
from tsunagu.schemas.secrets import scrubbed
from tsunagu.subscriptions import ngsiv2
from tsunagu.subscriptions.job import notification_id
from tsunagu.subscriptions.notification import JSON_LD, context_member, envelope, headers, told_entity
from tsunagu.subscriptions.transports.transport import Message, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.changes import Change, Document
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.jsonld.resolver import ContextResolver
    from tsunagu.broker.operations.entities import Entities
    from tsunagu.broker.operations.tallies import Tallies
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.subscriptions.job import Job, Rendered
    from tsunagu.subscriptions.policy import DeliveryPolicy
    from tsunagu.subscriptions.subscription import Subscription
    from tsunagu.subscriptions.transports import Transports

log = structlog.get_logger(__name__)

LINKED_LIMIT = 1000
REPLAY = ("Tsunagu-Replay", "true")
DROPPED = Result(ok=True, reason="not wanted any more")


class Courier:
    """Sends batches of jobs, each batch in one notification."""

    def __init__(
        self,
        transports: Transports,
        resolver: ContextResolver,
        entities: Entities,
        tallies: Tallies,
        policy: DeliveryPolicy,
        *,
        note: Callable[[str, Attempt], None],
        count: Callable[[str, float], None],
    ) -> None:
        self._transports = transports
        self._resolver = resolver
        self._entities = entities
        self._tallies = tallies
        self._policy = policy
        self._note = note
        self._count = count

    async def deliver(self, jobs: list[Job]) -> Result:
        """Send jobs of one subscription in one notification, and say what became of it. Never raises.

        Of several jobs only the first ones go if the notification would be larger than the policy's `body`.
        """
        try:
            return await self._deliver(jobs)
        except NgsiError as error:
            return Result(ok=False, refused=True, reason=f"the notification could not be made: {error.detail}")
        except Exception as error:
            log.exception("notification_failed", subscription=jobs[0].subscription.id)
            return Result(ok=False, refused=True, reason=f"the notification could not be made: {type(error).__name__}")

    async def _deliver(self, jobs: list[Job]) -> Result:
        subscription = jobs[0].subscription
        now = time.time_ns() // 1_000_000
        if subscription.gone or not subscription.active or subscription.expires <= now:
            return DROPPED
        message = await self.compose(subscription, _told(jobs))
        whole = len(jobs)
        while message is not None and len(message.body) > self._policy.body and len(jobs) > 1:
            jobs = jobs[: max(1, min(len(jobs) - 1, len(jobs) * self._policy.body // len(message.body)))]
            message = await self.compose(subscription, _told(jobs))
        told = len(jobs) if len(jobs) < whole else None
        if message is None:
            return replace(DROPPED, told=told)
        self._tallies.sent(subscription.tenant, subscription.id, now)
        result = await self._transports.send(message)
        secrets = subscription.plan.endpoint.secrets
        if result.reason and secrets:
            result = replace(result, reason=scrubbed(result.reason, secrets))
        self._record(subscription, message, result, now)
        return result if told is None else replace(result, told=told)

    def _record(self, subscription: Subscription, message: Message, result: Result, started: int) -> None:
        """Count an attempt and note it."""
        ended = time.time_ns() // 1_000_000
        if result.ok:
            self._tallies.arrived(subscription.tenant, subscription.id, ended)
        else:
            self._tallies.failed(subscription.tenant, subscription.id, ended)
        attempt = Attempt(
            subscription=subscription.id,
            notification=message.id,
            changes=message.changes,
            at=started,
            ok=result.ok,
            status=result.status,
            reason=result.reason,
            latency=ended - started,
            size=len(message.body),
            digest=hashlib.sha256(message.body).hexdigest(),
        )
        self._note(subscription.tenant, attempt)
        self._count("delivered" if result.ok else "refused" if result.refused else "failed", attempt.latency / 1000)

    async def compose(self, subscription: Subscription, told: list[tuple[Change, Rendered | None]]) -> Message | None:
        """Return the notification of changes, each with what others rendered of it; None if none is to be told.

        Raises NgsiError when the @context, or an entity that is asked for, cannot be had now.
        """
        plan = subscription.plan
        if plan.linked:
            told = await self._meeting(subscription, told)
            if not told:
                return None
        context = subscription.context
        if context is None:
            context = subscription.context = await self._resolver.resolve(plan.context_source)
        identity = notification_id((change for change, _ in told), subscription.id)
        if plan.join is None:
            entities = [rendered(change, shared, subscription, context) for change, shared in told]
        else:
            entities = await self._joined(subscription, [change for change, _ in told], context)
        endpoint = plan.endpoint
        replayed = any(change.meta is not None and change.meta.get("replay") for change, _ in told)
        if plan.ngsiv2 is None:
            body, shown = envelope(subscription, identity, entities, context), headers(subscription, context)
        else:
            body = ngsiv2.envelope_of(subscription, entities)
            shown = ngsiv2.headers_of(subscription, plan.ngsiv2, [change for change, _ in told], identity)
        return Message(
            id=identity,
            changes=tuple(change.key for change, _ in told),
            uri=subscription.uri,
            body=body,
            headers=(*shown, REPLAY) if replayed else shown,
            timeout=min(endpoint.timeout or self._policy.timeout, self._policy.longest_timeout),
            settings=endpoint.notifier,
            bare=plan.ngsiv2 is not None,
        )

    async def _meeting(
        self, subscription: Subscription, told: list[tuple[Change, Rendered | None]]
    ) -> list[tuple[Change, Rendered | None]]:
        """Return those changes whose entity meets a q that asks about linked entities."""

        async def find(query: EntityQuery) -> list[str]:
            page = await self._entities.query(subscription.tenant, query, limit=LINKED_LIMIT)
            return [document["_id"] for document in page.documents]

        seen = [change.after if change.after is not None else change.before or {} for change, _ in told]
        meets = compile_matcher(await resolve_linked(subscription.plan.query, find, documents=seen))
        return [one for one, document in zip(told, seen, strict=True) if meets(document)]

    async def _joined(self, subscription: Subscription, changes: list[Change], context: Context) -> list[bytes]:
        """Return the rendered entities with those that they link to: inline, or flat behind them (4.5.23)."""
        plan = subscription.plan
        linked = await self._linked(subscription, [change.after for change in changes if change.after is not None])
        shown: dict[str, dict[str, object]] = {}
        for change in changes:
            if change.after is None:
                shown[change.entity_id] = told_entity(change, subscription, context)
            elif plan.join == "inline":
                levels = plan.join_level
                shown[change.entity_id] = told_entity(change, subscription, context, linked=linked, levels=levels)
            else:
                shown[change.entity_id] = told_entity(change, subscription, context)
                levels = plan.join_level
                for entity in plan.view.render_flat([change.after], context, linked=linked, levels=levels)[1:]:
                    shown.setdefault(str(entity.get("id")), entity)
        return [dumped(entity, subscription, context) for entity in shown.values()]

    async def _linked(self, subscription: Subscription, documents: list[Document]) -> dict[str, Document]:
        """Return the documents that these link to, as many levels deep as the subscription asks."""
        found: dict[str, Document] = {}
        level = documents
        for _ in range(subscription.plan.join_level):
            wanted = {uri for document in level for value in document["attrs"].values() for uri in targets(value)}
            missing = [uri for uri in wanted if uri not in found][:LINKED_LIMIT]
            if not missing:
                break
            level = await self._entities.retrieve_many(subscription.tenant, missing)
            found.update({document["_id"]: document for document in level})
        return found


def _told(jobs: list[Job]) -> list[tuple[Change, Rendered | None]]:
    """Return the changes of jobs, each with what others rendered of it."""
    return [(change, shared) for job in jobs for change, shared in zip(job.changes, job.shared, strict=True)]


def rendered(change: Change, shared: Rendered | None, subscription: Subscription, context: Context) -> bytes:
    """Return the JSON of a change's entity; made once for all subscriptions that see it alike."""
    if shared is None:
        return dumped(told_entity(change, subscription, context), subscription, context)
    key = (subscription.plan.look, context)
    made = shared.get(key)
    if made is None:
        made = shared[key] = dumped(told_entity(change, subscription, context), subscription, context)
    return made


def dumped(entity: dict[str, object], subscription: Subscription, context: Context) -> bytes:
    """Return the JSON of a rendered entity: with @context if the receiver wants JSON-LD, or in the form of NGSIv2."""
    plan = subscription.plan
    if plan.ngsiv2 is not None:
        entity = ngsiv2.entity_of(entity, plan.ngsiv2, context)
    if plan.endpoint.accept == JSON_LD:
        entity = {**entity, "@context": context_member(context)}
    return orjson.dumps(entity, option=orjson.OPT_NON_STR_KEYS)
