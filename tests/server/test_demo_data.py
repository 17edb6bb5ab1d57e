"""The demo's data: there after the first start, the same after the next."""

from collections import Counter

import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from domain import sign_ins
from domain.principals import Caller
from models.broadcasts import Broadcast, BroadcastStatus, TargetType
from models.contacts import Contact
from models.conversations import Conversation, ConversationStatus
from models.devices import Device, Platform
from models.events import Event
from models.team import Membership, Role
from models.workflows import Workflow, WorkflowStatus
from server.demo_data import PASSWORD, seed


async def test_the_data_is_written_once_and_found_again() -> None:
    first, second = await seed(), await seed()

    assert first == second
    async with transaction() as session:
        people = (await session.scalars(sa.select(Contact).where(Contact.app_id == first.app_id))).all()
        devices = (await session.scalars(sa.select(Device).where(Device.app_id == first.app_id))).all()
        roles = (await session.scalars(sa.select(Membership.role).where(Membership.app_id == first.app_id))).all()
    assert len(people) == 300
    assert len({one.country for one in people}) == 7
    assert len({one.phones[0] for one in people if one.phones}) == sum(bool(one.phones) for one in people)
    assert set(Counter(one.platform for one in devices)) == set(Platform)
    assert Counter(roles) == Counter({Role.OWNER: 1, Role.ADMIN: 1, Role.AGENT: 1})


async def test_everybody_of_the_team_can_sign_in() -> None:
    demo = await seed()

    for email in (demo.email, "grace@example.com", "alan@example.com"):
        signed_in = await sign_ins.sign_in(Caller("10.0.0.2", ""), email=email, password=PASSWORD)
        assert signed_in.session.app_id == demo.app_id


async def test_no_broadcast_was_sent() -> None:
    demo = await seed()

    async with transaction() as session:
        rows = sa.select(Broadcast).where(Broadcast.app_id == demo.app_id).order_by(Broadcast.id)
        welcome, beta, sale = await session.scalars(rows)
        testers = sa.select(sa.func.count()).where(
            Contact.app_id == demo.app_id, sa.literal("beta") == sa.any_(Contact.tags)
        )
        assert len(beta.contact_ids) == await session.scalar(testers)
    assert (welcome.status, welcome.target_type) == (BroadcastStatus.DRAFT, TargetType.ALL_USERS)
    assert (beta.status, beta.target_type) == (BroadcastStatus.DRAFT, TargetType.SPECIFIC_USERS)
    assert sale.status == BroadcastStatus.SCHEDULED
    assert sale.scheduled_at is not None
    assert 6 <= (sale.scheduled_at - now()).days <= 7


async def test_the_inbox_has_conversations_of_several_kinds() -> None:
    demo = await seed()

    async with transaction() as session:
        rows = sa.select(Conversation).where(Conversation.app_id == demo.app_id).order_by(Conversation.id)
        found = [(row.status, row.message_count, row.waiting_since is None) for row in await session.scalars(rows)]
    kept = ConversationStatus.OPEN
    resolved = (ConversationStatus.RESOLVED, 2, True)
    assert found == [(kept, 1, False), (kept, 3, False), (kept, 2, True), resolved, (kept, 1, False)]


async def test_one_workflow_lets_people_in_and_one_is_a_draft() -> None:
    demo = await seed()

    async with transaction() as session:
        rows = await session.scalars(sa.select(Workflow).where(Workflow.app_id == demo.app_id).order_by(Workflow.id))
        found = [(row.name, row.status) for row in rows]
        signed_up = sa.select(sa.func.count()).where(Event.app_id == demo.app_id, Event.name == "user_signup")
        assert await session.scalar(signed_up) == 12
    assert found == [("Onboarding", WorkflowStatus.ACTIVE), ("Winback 30 days", WorkflowStatus.DRAFT)]
