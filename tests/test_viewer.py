"""Who the asker is, and how they are called."""

import pytest
import sqlalchemy as sa

from core.database import transaction
from domain.permissions import ENROLLING_PERMISSIONS, ROLE_PERMISSIONS
from models.apps import App
from models.team import Role
from tests.support import audited, factories
from tests.support.factories import Team
from tests.support.graph import Graph

VIEWER = """{ viewer { user { id email name } app { id } role permissions mustSetUpTwoFactor
  memberships { role app { id name } } } }"""
UPDATE = """mutation($input: UpdateProfileInput!) { updateProfile(input: $input) {
  user { id name } userErrors { code field } } }"""


@pytest.mark.parametrize("role", Role)
async def test_a_person_sees_what_they_may_do(graph: Graph, team: Team, role: Role) -> None:
    person = await factories.team(role, team.app_id)
    other = await factories.joined(person, Role.OWNER)
    seen = (await graph.as_(person.token).data(VIEWER))["viewer"]
    assert seen["user"] == {"id": str(person.user_id), "email": person.email, "name": "Bob"}
    assert (seen["app"], seen["role"]) == ({"id": str(team.app_id)}, role.value)
    assert set(seen["permissions"]) == {one.value for one in ROLE_PERMISSIONS[role]}
    assert seen["mustSetUpTwoFactor"] is False
    assert seen["memberships"] == [
        {"role": role.value, "app": {"id": str(team.app_id), "name": "Acme"}},
        {"role": "OWNER", "app": {"id": str(other), "name": "Acme"}},
    ]


async def test_an_owner_sees_that_a_second_factor_is_missing(graph: Graph, team: Team) -> None:
    async with transaction() as session:
        await session.execute(sa.update(App).where(App.id == team.app_id).values(requires_two_factor=True))
    seen = (await graph.data(VIEWER))["viewer"]
    assert seen["mustSetUpTwoFactor"] is True
    assert set(seen["permissions"]) == {one.value for one in ENROLLING_PERMISSIONS}


async def test_a_person_changes_how_they_are_called(graph: Graph, team: Team) -> None:
    changed = await graph.change(UPDATE, name="  Ada King ")
    await graph.change(UPDATE, name="Ada King")
    assert changed["user"] == {"id": str(team.user_id), "name": "Ada King"}
    (entry,) = await audited.entries(team.user_id)
    assert (entry.action, entry.before, entry.after) == ("user.updated", {"name": "Ada"}, {"name": "Ada King"})
    assert (entry.app_id, entry.actor) == (team.app_id, f"user:{team.user_id}")


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x00b"])
async def test_a_name_that_breaks_its_rule(graph: Graph, team: Team, name: str) -> None:
    (error,) = await graph.refused(UPDATE, name=name)
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", ["name"])
    assert await audited.actions(team.user_id) == []
