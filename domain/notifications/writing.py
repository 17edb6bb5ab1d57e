"""Writing notifications: for each person and thing one, which counts while it is unread. Many cost as much as one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.ids import new_id
from domain.notifications import clearing, mailing, telling
from domain.notifications.audience import Told
from domain.notifications.table import TOLD
from domain.notifications.types import KINDS, usual_email
from models.apps import App
from models.facts import Fact, FactKind
from models.notifications import EmailMode

ROWS_MOST = 2_000
"""Rows of one statement; only an app with hundreds of people and a burst of new conversations needs several."""
Looking = Mapping[UUID, Iterable[UUID]]
"""Who has a conversation before them at this moment."""
_ID, _TEXT, _FLAG, _INSTANT = sa.UUID(as_uuid=True), sa.Text(), sa.Boolean(), sa.TIMESTAMP(timezone=True)
_TOLD: dict[str, sa.types.TypeEngine[Any]] = {
    "app_id": _ID,
    "type": _TEXT,
    "entity_id": _ID,
    "conversation_id": _ID,
    "message_id": _ID,
    "actor": _TEXT,
    "at": _INSTANT,
    "user_id": _ID,
    "roles": _TEXT,
    "looking": _TEXT,
    "in_app": _FLAG,
    "email": _TEXT,
}
# A membership that is read here stays until the commit, as notifications refer to it.
_PEOPLE = sa.text(f"""
    WITH told AS (
      SELECT * FROM unnest({", ".join(f":{name}" for name in _TOLD)}) AS one ({", ".join(_TOLD)})
    ), people AS (
      SELECT told.app_id, member.user_id, told.type, told.entity_id, told.conversation_id, told.message_id, told.actor,
        told.at, coalesce(wanted.in_app, told.in_app) AS in_app, coalesce(wanted.email, told.email) AS email
      FROM told
      JOIN memberships member ON member.app_id = told.app_id
        AND (told.user_id IS NULL OR member.user_id = told.user_id)
      LEFT JOIN notification_preferences wanted ON wanted.app_id = member.app_id
        AND wanted.user_id = member.user_id AND wanted.type = told.type
      LEFT JOIN conversation_reads seen ON told.message_id IS NOT NULL
        AND seen.conversation_id = told.conversation_id AND seen.user_id = member.user_id
      WHERE member.role = ANY(string_to_array(told.roles, ','))
        AND told.actor <> 'user:' || member.user_id
        AND (seen.read_at IS NULL OR seen.read_at < told.at)
        AND member.user_id::text <> ALL(string_to_array(told.looking, ','))
      FOR KEY SHARE OF member
    )
    SELECT app_id, user_id, type, entity_id, conversation_id,
      (array_agg(message_id ORDER BY at DESC))[1] AS message_id, (array_agg(actor ORDER BY at DESC))[1] AS actor,
      count(*) AS count, max(at) AS last_at, bool_or(in_app) AS in_app, min(email) AS email
    FROM people WHERE in_app OR email <> 'OFF'
    GROUP BY app_id, user_id, type, entity_id, conversation_id
    ORDER BY user_id, type, entity_id
""").bindparams(*(sa.bindparam(name, type_=sa.ARRAY(kind)) for name, kind in _TOLD.items()))  # noqa: S608
_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "id": _ID,
    "created_at": _INSTANT,
    "app_id": _ID,
    "user_id": _ID,
    "type": _TEXT,
    "entity_id": _ID,
    "conversation_id": _ID,
    "message_id": _ID,
    "actor": _TEXT,
    "count": sa.Integer(),
    "last_at": _INSTANT,
    "in_app": _FLAG,
    "unmailed": _FLAG,
}
_WRITE = sa.text(f"""
    INSERT INTO notifications AS there ({", ".join(_COLUMNS)}, grows, archived)
    SELECT {", ".join(_COLUMNS)}, true, false
    FROM unnest({", ".join(f":{name}" for name in _COLUMNS)}) WITH ORDINALITY AS one ({", ".join(_COLUMNS)}, no)
    ORDER BY no
    ON CONFLICT (app_id, user_id, type, entity_id) WHERE grows DO UPDATE SET
      count = there.count + excluded.count, message_id = coalesce(excluded.message_id, there.message_id),
      actor = excluded.actor, last_at = greatest(there.last_at, excluded.last_at),
      in_app = there.in_app OR excluded.in_app, unmailed = there.unmailed OR excluded.unmailed
    RETURNING id, app_id, user_id, actor, in_app
""").bindparams(*(sa.bindparam(name, type_=sa.ARRAY(kind)) for name, kind in _COLUMNS.items()))  # noqa: S608


async def follow(session: AsyncSession, facts: Sequence[Fact], looking: Looking) -> None:
    """Do what new facts mean for notifications, in the transaction that marks them as served.

    Args:
        session: that transaction.
        facts: of any kind, oldest first.
        looking: who need not be told of messages.
    """
    by_kind = defaultdict[FactKind, list[Fact]](list)
    for fact in facts:
        by_kind[fact.kind].append(fact)
    told = [one for kind, rule in TOLD.items() if kind in by_kind for one in await rule(session, by_kind[kind])]
    # conversations are locked first, then members, then notifications: as they go when one of these is deleted
    people = await _people(session, told, looking) if told else []
    await clearing.settle(session, facts)
    if people:
        await _write(session, people)


def conversations_of(facts: Iterable[Fact]) -> set[UUID]:
    """The conversations that something was written in, so that it matters who looks at them."""
    written = (fact for fact in facts if fact.kind is FactKind.MESSAGE_CREATED)
    return {UUID(fact.data["conversationId"]) for fact in written}


async def _people(session: AsyncSession, told: Sequence[Told], looking: Looking) -> list[dict[str, Any]]:
    """For each person and thing what is new; nothing for who has it turned off."""
    apps = {
        one.id: one for one in await session.scalars(sa.select(App).where(App.id.in_({one.app_id for one in told})))
    }
    rows = [_row(one, apps[one.app_id], looking) for one in told]
    found = await session.execute(_PEOPLE, _arrays(_TOLD, rows))
    return [dict(one) for one in found.mappings()]


def _row(one: Told, app: App, looking: Looking) -> dict[str, Any]:
    kind = KINDS[one.type]
    there = looking.get(one.conversation_id, ()) if one.message_id and one.conversation_id else ()
    said = {name: getattr(one, name) for name in _TOLD if hasattr(one, name)}
    return said | {
        "type": one.type.value,
        "roles": ",".join(role for role in kind.roles if one.role in {None, role}),
        "looking": ",".join(map(str, there)),
        "in_app": kind.in_app,
        "email": usual_email(one.type, app).value,
    }


async def _write(session: AsyncSession, people: Sequence[dict[str, Any]]) -> None:
    """Count what is new, tell it, and have it mailed to those who want that."""
    at = now()
    for start in range(0, len(people), ROWS_MOST):
        some, off = people[start : start + ROWS_MOST], EmailMode.OFF.value
        rows = [one | {"id": new_id(), "created_at": at, "unmailed": one["email"] != off} for one in some]
        found = (await session.execute(_WRITE, _arrays(_COLUMNS, rows))).all()
        shown = [((app_id, user_id, id_), actor) for id_, app_id, user_id, actor, in_app in found if in_app]
        telling.added(session, shown)
    mailed = {(one["app_id"], one["user_id"], EmailMode(one["email"])) for one in people}
    await mailing.plan(session, sorted(one for one in mailed if one[2] is not EmailMode.OFF), at)


def _arrays(columns: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in columns}
