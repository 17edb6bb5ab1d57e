"""What a preview of a segment costs among a million contacts, beside counting all of the app's contacts."""

import asyncio
from uuid import UUID

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks.ground import ground, milliseconds
from core.clock import now
from core.database import dispose, transaction

CONTACTS = 1_000_000
OTHERS = 50_000
ROUNDS = 7
FILL = """
INSERT INTO contacts (id, app_id, external_id, name, emails, phones, country, plan, tags, attributes,
  created_at, updated_at)
SELECT gen_random_uuid(), :app, 'user-' || no, 'User ' || no, ARRAY['user' || no || '@example.com'], '{}',
  (ARRAY['DE','FR','GB','US','ES','IT','PT','NL','PL','SE'])[1 + (random() * 9.999)::int % 10],
  (ARRAY['free','free','free','pro','pro','team','enterprise'])[1 + (random() * 6.999)::int % 7],
  CASE WHEN no % 50 = 0 THEN ARRAY['beta'] ELSE '{}' END,
  jsonb_build_object('orders', (random() * 100)::int, 'company', 'Company ' || no % 5000, 'newsletter', no % 3 = 0),
  now() - no * interval '1 minute', now()
FROM generate_series(1, :number) AS no
"""
EVENTS = """
INSERT INTO events (id, app_id, contact_id, name, properties, occurred_at)
SELECT gen_random_uuid(), app_id, id, 'order_placed', jsonb_build_object('total', (random() * 100)::int),
  now() - random() * interval '90 days'
FROM contacts, generate_series(1, 3) WHERE app_id = :app AND (attributes -> 'orders')::int < 10
"""
PLAN = {"field": "plan", "operator": "eq", "value": "pro"}
COUNTRY = {"field": "country", "operator": "in", "value": ["DE", "FR"]}
ORDERS = {"field": "attributes.orders", "operator": "gt", "value": 50}
CASES = {
    "plan eq, country in, attribute gt": {"all": [PLAN, COUNTRY, ORDERS]},
    "any of the three": {"any": [PLAN, COUNTRY, ORDERS]},
    "plan neq": {"field": "plan", "operator": "neq", "value": "free"},
    "attribute eq, one in 5,000": {"field": "attributes.company", "operator": "eq", "value": "Company 7"},
    "attribute gt": ORDERS,
    "tag": {"field": "tags", "operator": "contains", "value": "beta"},
    "created within 7 days": {"field": "createdAt", "operator": "within_last", "value": "7d"},
    "e-mail contains": {"field": "emails", "operator": "contains", "value": "999@"},
    "event within 7 days": {"event": {"name": "order_placed", "within": "7d"}},
    "event 3 times or more": {"event": {"name": "order_placed", "count": 3}},
    "not: event": {"not": {"event": {"name": "order_placed"}}},
}


async def fill(app_id: UUID, number: int) -> None:
    """An app's contacts, of whom one in ten has three events."""
    async with transaction() as session:
        await session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        await session.execute(sa.text(FILL), {"app": app_id, "number": number})
        await session.execute(sa.text(EVENTS), {"app": app_id})


async def vacuum() -> None:
    """As autovacuum would, a little later."""
    from core.database import connect

    engine = connect({}, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text("VACUUM (ANALYZE) contacts, events"))
    await engine.dispose()


async def measure() -> tuple[float, dict[str, tuple[int, float]]]:
    """Milliseconds of the plain count; by case the contacts found, and milliseconds of the preview."""
    from domain.segments import conditions, previews
    from models.contacts import Contact
    from tests.support import factories

    app_id, other = (await factories.team()).app_id, (await factories.team()).app_id
    await fill(app_id, CONTACTS)
    await fill(other, OTHERS)
    await vacuum()

    async def count() -> None:
        async with transaction() as session:
            await session.scalar(sa.select(sa.func.count()).select_from(Contact).where(Contact.app_id == app_id))

    async def preview(json: object) -> int:
        async with transaction(across_apps=True) as session:
            found = await previews.preview(session, app_id, conditions.parse(json), now())
        return found.count

    plain = await milliseconds(count, ROUNDS)
    found = {
        name: (await preview(json), await milliseconds(lambda json=json: preview(json), ROUNDS))
        for name, json in CASES.items()
    }
    await dispose()
    return plain, found


def show(plain: float, found: dict[str, tuple[int, float]]) -> None:
    """The figures as a table."""
    table = Table("condition", "contacts", "preview", "beside count(*)", title=f"Previews among {CONTACTS:,} contacts")
    for name, (number, taken) in found.items():
        table.add_row(name, f"{number:,}", f"{taken:,.0f} ms", f"{taken / plain:.2f}")
    console = Console()
    console.print(table)
    console.print(f"count(*) of the app's contacts: {plain:,.0f} ms")


def main() -> None:
    """Run on servers of its own."""
    with ground():
        show(*asyncio.run(measure()))


if __name__ == "__main__":
    main()
