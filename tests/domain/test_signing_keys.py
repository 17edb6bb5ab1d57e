"""A new signing key: what was given out under an older one goes on working until that one is taken out."""

import pytest

from core.database import transaction
from core.errors import Invalid
from domain import opt_outs, suppressions, unsubscribes
from domain.links import tokens
from domain.principals import SYSTEM
from models.channels import ChannelKind
from models.links import Link
from models.suppressions import SuppressionReason
from tests.support import factories
from tests.support.factories import Team
from tests.support.signing import NEW_KEY, OLD_KEY, signing

ADA = "ada@example.com"
EMAIL = ChannelKind.EMAIL


async def test_links_that_are_out_lead_where_they_did(team: Team) -> None:
    broadcast = await factories.broadcast(team)
    with signing(OLD_KEY):
        link = Link(app_id=team.app_id, broadcast_id=broadcast.id, no=1, url="https://example.com")
        token = tokens.short_url(link, 7).rpartition("/")[2]
        leave = unsubscribes.link(team.app_id, broadcast.id, EMAIL, None).partition("=")[2]
    with signing(NEW_KEY, OLD_KEY):
        assert tokens.read_link(token) == (broadcast.id, 1, 7)
        assert unsubscribes.read(leave).app_id == team.app_id
    with signing(NEW_KEY):
        assert tokens.read_link(token) is None
        with pytest.raises(Invalid):
            unsubscribes.read(leave)


async def test_an_address_stays_suppressed_and_can_be_released(team: Team) -> None:
    broadcast = await factories.sending(team, 2)
    contact_id = broadcast.id

    async def refused() -> dict[int, opt_outs.Refusal]:
        asked = [(contact_id, EMAIL, "bob@example.com"), (contact_id, EMAIL, ADA)]
        async with transaction() as session:
            return dict(await opt_outs.refused(session, team.app_id, asked))

    with signing(OLD_KEY):
        async with transaction() as session:
            await suppressions.suppress(session, team.app_id, SYSTEM, EMAIL, ADA, SuppressionReason.MANUAL)
    with signing(NEW_KEY, OLD_KEY):
        assert await refused() == {1: opt_outs.Refusal.SUPPRESSED}
        async with transaction() as session:
            await suppressions.unsuppress(session, team.app_id, SYSTEM, EMAIL, ADA)
        assert await refused() == {}
