"""Every mutation leaves an entry in the audit log when it succeeds, also those that do not exist yet.

Each is run as its example in graphql-examples stands; the entry carries the id that the answer has in X-Request-Id.
"""

import json

import pytest
import sqlalchemy as sa

from core.database import transaction
from domain import sign_ins
from domain.principals import Caller
from models.apps import App
from models.audit import AuditEntry
from tests.schema.roots import roots
from tests.support import inbox, second_factors
from tests.support.examples import Example, examples
from tests.support.factories import PASSWORD, Team
from tests.support.graph import Graph
from tests.support.placeholders import filled, scene
from tests.test_examples import signed_in

# A mutation that leaves none, and why. A new line here is a decision.
WITHOUT = {
    "setTyping": "it is told to who looks, and never stored",
    "setOwnTyping": "it is told to who looks, and never stored",
    "markNotificationsRead": "it concerns nobody else",
    "markNotificationsUnread": "it concerns nobody else",
    "markAllNotificationsRead": "it concerns nobody else",
    "archiveNotifications": "it concerns nobody else",
    "reportReceipts": "what devices report by the thousand is kept on the recipients of the broadcast",
}
# What happens before anybody is known to belong to an app, or to a person and not to an app.
OF_NO_APP = {"requestPasswordReset", "resetPassword"}


async def _another_session(team: Team) -> None:
    await sign_ins.sign_in(Caller("127.0.0.1", "tests"), email=team.email, password=PASSWORD)


async def _second_factor_required(team: Team) -> None:
    await second_factors.confirmed(team)
    async with transaction() as session:
        await session.execute(sa.update(App).where(App.id == team.app_id).values(requires_two_factor=True))


async def _somebody_waits(team: Team) -> None:
    await (await inbox.line(team)).says()


# What must be there so that an example changes anything: what changes nothing leaves no entry.
FIRST = {
    "revokeOtherSessions": _another_session,
    "updateAppSecurity": _second_factor_required,
    "takeNextConversation": _somebody_waits,
}
MUTATIONS = {root.name for root in roots("mutation")}
CHANGES = [one for one in examples() if set(one.fields) & MUTATIONS]


@pytest.mark.parametrize("example", CHANGES, ids=str)
async def test_a_mutation_leaves_an_entry(graph: Graph, team: Team, example: Example) -> None:
    (name,) = example.fields
    stage = await scene(team)
    if name in FIRST:
        await FIRST[name](team)
    variables = await filled(example.variables or {}, stage)
    answer = await (await signed_in(graph, example, stage)).ask(example.source, **variables)
    assert answer.field(name)["userErrors"] == []
    made = await entries_of(answer.headers["X-Request-Id"])
    if name in WITHOUT:
        assert made == []
        return
    assert made, f"{name} leaves no entry in the audit log: call facts.record or entries.enter in its rule"
    assert {entry.ip for entry in made} == {graph.ip}
    assert [entry.action for entry in made if not entry.actor.startswith(("user:", "device:", "nobody"))] == []
    assert [entry.action for entry in made if entry.app_id is None] == [] or name in OF_NO_APP
    assert not any(secret in shown(made) for secret in secrets_of(variables))


def test_only_what_there_is_stands_in_the_table() -> None:
    assert set(WITHOUT) | set(FIRST) | OF_NO_APP <= MUTATIONS


async def entries_of(request_id: str) -> list[AuditEntry]:
    async with transaction() as session:
        return list(await session.scalars(sa.select(AuditEntry).where(AuditEntry.request_id == request_id)))


def shown(made: list[AuditEntry]) -> str:
    return json.dumps([[entry.before, entry.after] for entry in made])


def secrets_of(value: object, name: str = "") -> list[str]:
    """What of the variables is a secret: by its name, or as it is the password of the tests."""
    if isinstance(value, dict):
        return [one for key, inner in value.items() for one in secrets_of(inner, key)]
    is_secret = isinstance(value, str) and (value == PASSWORD or "token" in name.lower() or "password" in name.lower())
    return [str(value)] if is_secret else []
