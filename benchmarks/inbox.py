"""What a page of the inbox costs among a million conversations, beside ten thousand: the 95th percentile."""

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks.ground import ground
from core.clock import now
from core.database import connect, dispose, transaction
from core.tenancy import bound_to
from domain.pages import PageRequest, encode_cursor
from models.channels import ChannelKind
from models.conversations import ConversationStatus, Priority

FEW, MANY = 10_000, 1_000_000
ROUNDS, WARM = 100, 10
AGENTS = 20
SETTINGS = ("SET LOCAL statement_timeout = 0", "SET LOCAL synchronous_commit = off")
FILL = (
    """
    INSERT INTO contacts (id, app_id, external_id, name, emails, phones, tags, attributes, updated_at)
    SELECT gen_random_uuid(), :app, 'user-' || no, 'User ' || no, '{}', '{}', '{}', '{}', now()
    FROM generate_series(1, :number) AS no
    """,
    # of a hundred 85 are resolved, 8 open; the newest activity is now, the oldest two years ago
    """
    INSERT INTO conversations (id, app_id, contact_id, channel, status, priority, assignee_id, last_message_preview,
      last_message_direction, last_message_at, last_inbound_at, last_activity_at, message_count, snoozed_until)
    SELECT gen_random_uuid(), :app, id, CASE WHEN no % 10 = 3 THEN 'WHATSAPP' ELSE 'IN_APP' END, status,
      CASE WHEN no % 100 = 7 THEN 'URGENT' ELSE 'NONE' END,
      CASE WHEN random() < 0.9 THEN (CAST(:agents AS uuid[]))[1 + floor(random() * :count)] END,
      'Hello', 'INBOUND', at, at, at, 2, CASE WHEN status = 'SNOOZED' THEN now() + interval '1 day' END
    FROM (
      SELECT id, no, now() - no * interval '730 days' / :number AS at, (array_fill('RESOLVED'::text, ARRAY[85])
        || array_fill('OPEN'::text, ARRAY[8]) || ARRAY['PENDING', 'PENDING', 'PENDING', 'SNOOZED', 'SNOOZED', 'SPAM',
        'SPAM'])[1 + floor(random() * 100)] AS status
      FROM (SELECT id, row_number() OVER (ORDER BY random()) AS no FROM contacts WHERE app_id = :app) contact
    ) made
    """,
    """
    INSERT INTO messages (id, app_id, conversation_id, channel, direction, is_note, author_kind, body, mentioned_ids,
      status, created_at)
    SELECT gen_random_uuid(), :app, id, channel, CASE no WHEN 1 THEN 'INBOUND' ELSE 'OUTBOUND' END, false, 'SYSTEM',
      concat_ws(' ', 'Hello about order', (random() * 100000)::int, CASE WHEN random() < 0.33 THEN 'printer' END,
        CASE WHEN random() < 20.0 / :number THEN 'needle' END, md5(id::text)), '{}', 'SENT',
      last_activity_at - no * interval '1 second'
    FROM conversations, generate_series(1, 2) AS no WHERE app_id = :app
    """,
    """
    INSERT INTO labels (id, app_id, name, colour, updated_at)
    SELECT gen_random_uuid(), :app, 'Label ' || no, '#000000', now() FROM generate_series(1, 20) AS no
    """,
    """
    INSERT INTO conversation_labels (conversation_id, label_id, app_id, status, last_activity_at)
    SELECT c.id, (SELECT array_agg(id ORDER BY id) FROM labels WHERE app_id = :app)[1 + floor(random() * 20)],
      :app, c.status, c.last_activity_at
    FROM conversations c WHERE c.app_id = :app AND random() < 0.3
    """,
    # the agent has read nine of ten
    """
    INSERT INTO conversation_reads (conversation_id, user_id, app_id, read_at)
    SELECT id, :agent, :app, last_activity_at FROM conversations WHERE app_id = :app AND random() < 0.9
    """,
)
LIST = """{ conversations(first: 50, filter: {statuses: [OPEN, PENDING]}) { nodes { id status priority lastActivityAt
    lastMessagePreview contact { name } assignee { name } labels { name colour } lastMessage { body direction status }
    unreadCount } pageInfo { hasNextPage endCursor } } }"""


@dataclass(frozen=True)
class Ground:
    """An app, somebody in it, and one of its labels."""

    app_id: UUID
    user_id: UUID
    label_id: UUID


Case = Callable[[Ground], Awaitable[object]]


async def fill(number: int) -> Ground:
    """An app with as many conversations, two messages in each."""
    from tests.support import factories

    team = await factories.team()
    agents = [team.user_id, *[(await factories.team(app_id=team.app_id)).user_id for _ in range(AGENTS - 1)]]
    values = {"app": team.app_id, "number": number, "agents": agents, "count": AGENTS, "agent": team.user_id}
    for statement in FILL:
        await execute(statement, **{name: value for name, value in values.items() if f":{name}" in statement})
    engine = connect({}, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for table in ("contacts", "conversations", "messages", "labels", "conversation_labels", "conversation_reads"):
            await connection.execute(sa.text(f"VACUUM (ANALYZE) {table}"))
        label_id = await connection.scalar(
            sa.text("SELECT min(id::text)::uuid FROM labels WHERE app_id = :app"), values
        )
    await engine.dispose()
    return Ground(team.app_id, team.user_id, label_id)


async def execute(statement: str, **parameters: object) -> None:
    """In a transaction of its own, however long it takes."""
    async with transaction() as session:
        for setting in SETTINGS:
            await session.execute(sa.text(setting))
        await session.execute(sa.text(statement), parameters)


def page(request: PageRequest | None = None, **wanted: Any) -> Case:
    """A page of the conversations that a filter lets through; `mine` and `labelled` are filled in from the ground."""
    from domain.conversations import listing
    from domain.conversations.listing import Filter

    mine, labelled, unread = (wanted.pop(name, False) for name in ("mine", "labelled", "unread"))

    async def run(stage: Ground) -> int:
        given = wanted | ({"assignee_id": stage.user_id} if mine else {})
        given |= ({"label_id": stage.label_id} if labelled else {}) | ({"unread_by": stage.user_id} if unread else {})
        async with transaction(across_apps="search" in given) as session:
            found = await listing.listed(session, stage.app_id, Filter(**given), request or PageRequest())
        return len(found.rows)

    return run


async def counts(stage: Ground) -> object:
    """The counts of all views."""
    from domain.conversations import counting

    async with transaction() as session:
        return await counting.counts(session, stage.app_id, stage.user_id)


async def graphql(stage: Ground) -> int:
    """A page as the screen asks for it."""
    from schema.context import Context
    from server.graphql.schema import schema
    from tests.support import factories
    from tests.support.factories import Team

    asker = factories.principal(Team(stage.app_id, stage.user_id, "", ""))
    result = await schema().execute(LIST, context_value=Context(principal=asker))
    if result.errors:
        raise result.errors[0]
    return len((result.data or {})["conversations"]["nodes"])


def cases() -> dict[str, Case]:
    """What is measured."""
    open_ = (ConversationStatus.OPEN, ConversationStatus.PENDING)
    half = PageRequest(after=encode_cursor(now().replace(year=now().year - 1), UUID(int=0)))
    return {
        "all": page(),
        "all, in the middle": page(half),
        "open or pending": page(statuses=open_),
        "mine": page(statuses=open_, mine=True),
        "nobody's": page(statuses=open_, unassigned=True),
        "a label": page(labelled=True),
        "a label, in the middle": page(half, labelled=True),
        "a label, open, mine": page(statuses=open_, labelled=True, mine=True),
        "WhatsApp": page(channel=ChannelKind.WHATSAPP),
        "urgent, open": page(statuses=open_, priority=Priority.URGENT),
        "unread": page(unread=True),
        "search: a rare word": page(search="needle"),
        "search: a word in every third": page(search="printer"),
        "search: a name": page(search="user 4242"),
        "search: nothing": page(search="absent"),
        "counts of all views": counts,
        "GraphQL: open or pending, all edges": graphql,
    }


async def measure(few: Ground, many: Ground) -> dict[str, tuple[float, float]]:
    """The 95th percentile of each case in both apps, in turns: what disturbs the one disturbs the other."""
    return {name: await p95(run, few, many) for name, run in cases().items()}


async def p95(run: Case, few: Ground, many: Ground) -> tuple[float, float]:
    """Milliseconds that 95 of a hundred rounds stay below, after some to warm up."""
    taken: dict[UUID, list[float]] = {few.app_id: [], many.app_id: []}
    for _ in range(ROUNDS + WARM):
        for stage in (few, many):
            with bound_to(stage.app_id):
                start = time.perf_counter()
                await run(stage)
                taken[stage.app_id].append(1000 * (time.perf_counter() - start))
    first, second = (sorted(one[WARM:])[int(0.95 * ROUNDS)] for one in taken.values())
    return first, second


async def both(number: int) -> dict[str, tuple[float, float]]:
    """Among few conversations and among many more, in one database."""
    few, many = await fill(FEW), await fill(number)
    cases()
    gc.collect()
    # what was imported is not looked through again: a round that does would be in the percentile
    gc.freeze()
    found = await measure(few, many)
    await dispose()
    return found


def show(found: dict[str, tuple[float, float]], number: int) -> None:
    """The figures as a table."""
    table = Table("page of 50", f"{FEW:,}", f"{number:,}", "ratio", title="The inbox, 95th percentile")
    for name, (few, many) in found.items():
        table.add_row(name, f"{few:.1f} ms", f"{many:.1f} ms", f"{many / few:.2f}")
    Console().print(table)


def main() -> None:
    """Run on servers of its own. An argument is the larger number of conversations."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with ground():
        show(asyncio.run(both(number)), number)


if __name__ == "__main__":
    main()
