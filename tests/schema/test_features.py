"""What a field declares to need of the features of an app, also fields that do not exist yet."""

from collections.abc import Awaitable, Callable

import pytest
from strawberry.schema.schema_converter import GraphQLCoreConverter

from core.database import transaction
from core.errors import FeatureDisabled
from domain import auth, proofs
from domain.features import ENFORCED, Feature
from domain.imports.running import import_contacts
from domain.imports.table import open_table
from domain.permissions import DEVICE_PERMISSIONS, Permission
from domain.settings import changing
from models.workflows import WorkflowStatus
from schema.features import Needs
from schema.mutations import UserErrors
from tests.schema.roots import Root, arguments, ask, codes, roots
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.statements import recorded
from tests.support.waiting import until

# What remains of EDIT_WORKFLOWS while nothing is drawn: ways to stop what runs.
STOPPING = {"pauseWorkflow", "archiveWorkflow", "deleteWorkflow"}
UPDATE = """mutation($input: UpdateAppSettingsInput!) { updateAppSettings(input: $input) {
  settings { version } userErrors { code } } }"""
MESSAGE = "The feature {} is switched off in this app. An owner switches it on with updateAppSettings."
PUBLISH = """mutation($input: WorkflowInput!) { publishWorkflow(input: $input) {
  version { number } userErrors { code message field } } }"""
SET_UP = "mutation($input: SetUpTwoFactorInput!) { setUpTwoFactor(input: $input) { secret userErrors { code } } }"


def needed(root: Root) -> Feature | None:
    """The feature that a root field declares to need."""
    declared = root.field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].extensions
    found = [one.feature for one in declared if isinstance(one, Needs)]
    return found[0] if found else None


NEEDING = [root for root in roots() if needed(root)]


async def switch(team: Team, feature: Feature, *, on: bool) -> None:
    async with transaction() as session:
        await changing.update(session, factories.principal(team), {"features": [(feature, on)]})


@pytest.mark.parametrize("root", NEEDING, ids=str)
async def test_a_field_answers_feature_disabled_exactly_while_its_feature_is_off(
    graph: Graph, team: Team, root: Root
) -> None:
    feature = needed(root)
    assert feature is not None
    assert "FEATURE_DISABLED" not in codes(await ask(graph, root, arguments(root)))
    await graph.change(UPDATE, features=[{"feature": feature.value, "isEnabled": False}])
    answer = await ask(graph, root, arguments(root))
    (error,) = answer["data"][root.name]["userErrors"]
    assert error == {"code": "FEATURE_DISABLED", "message": MESSAGE.format(feature.value), "field": None}
    await graph.change(UPDATE, features=[{"feature": feature.value, "isEnabled": True}])
    assert "FEATURE_DISABLED" not in codes(await ask(graph, root, arguments(root)))


@pytest.mark.parametrize("root", NEEDING, ids=str)
def test_a_feature_is_declared_where_it_can_be_enforced(root: Root) -> None:
    """On a mutation, whose payload tells it; for people and keys, of whom the proof knows; of one that is enforced."""
    declared = root.field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].extensions
    assert root.operation == "mutation"
    assert any(isinstance(one, UserErrors) for one in declared)
    assert root.permission is not None
    assert root.permission not in DEVICE_PERMISSIONS
    assert needed(root) in ENFORCED
    assert f"Feature: {needed(root)}." in (root.field.description or "")


def test_whatever_draws_or_starts_workflows_needs_the_builder_and_what_stops_them_does_not() -> None:
    editing = {root.name for root in roots("mutation") if root.permission is Permission.EDIT_WORKFLOWS}
    needing = {root.name for root in NEEDING if needed(root) is Feature.WORKFLOW_BUILDER}
    assert editing - needing == STOPPING


def test_setting_a_second_factor_up_needs_it_and_being_without_does_not() -> None:
    needing = {root.name for root in NEEDING if needed(root) is Feature.TWO_FACTOR_AUTH}
    assert needing == {"setUpTwoFactor", "confirmTwoFactor", "updateAppSecurity"}


async def test_workflows_go_on_and_can_be_stopped_while_the_builder_is_off(graph: Graph, team: Team) -> None:
    running, draft = await factories.workflow(team), await factories.workflow(team, status=WorkflowStatus.DRAFT)
    await switch(team, Feature.WORKFLOW_BUILDER, on=False)
    (refused,) = await graph.refused(PUBLISH, id=str(draft.id))
    assert refused == {"code": "FEATURE_DISABLED", "message": MESSAGE.format("WORKFLOW_BUILDER"), "field": None}
    read = "query($id: ID!) { workflow(id: $id) { status } }"
    assert await graph.data(read, id=str(running.id)) == {"workflow": {"status": "ACTIVE"}}
    for verb, id_ in (("pause", running.id), ("archive", running.id), ("delete", draft.id)):
        stop = f"mutation($input: WorkflowInput!) {{ {verb}Workflow(input: $input) {{ userErrors {{ code }} }} }}"
        await graph.change(stop, id=str(id_))


async def test_a_key_and_an_open_websocket_learn_it_too(graph: Graph, team: Team) -> None:
    key = await factories.api_key(team, Permission.EDIT_WORKFLOWS)
    draft = await factories.workflow(team, status=WorkflowStatus.DRAFT)
    publish = {"input": {"id": str(draft.id)}}
    async with graph.connect() as socket:
        await switch(team, Feature.WORKFLOW_BUILDER, on=False)

        async def refused(ask: Callable[[], Awaitable[dict]]) -> bool:
            return [one["code"] for one in (await ask())["publishWorkflow"]["userErrors"]] == ["FEATURE_DISABLED"]

        async def by_key() -> dict:
            return await graph.as_(key.secret).data(PUBLISH, **publish)

        async def by_socket() -> dict:
            await socket.start(PUBLISH, **publish)
            told = (await socket.receive())["payload"]["data"]
            assert (await socket.receive())["type"] == "complete"
            return told

        # another process: it hears of it by a tick, or asks anew after a second
        await until(lambda: refused(by_key))
        await until(lambda: refused(by_socket))


async def test_in_another_app_it_is_on(graph: Graph, team: Team) -> None:
    other = await factories.team()
    draft = await factories.workflow(other, status=WorkflowStatus.DRAFT)
    await graph.change(UPDATE, features=[{"feature": "WORKFLOW_BUILDER", "isEnabled": False}])
    assert (await graph.as_(other.token).change(PUBLISH, id=str(draft.id)))["version"] == {"number": 1}


async def test_who_is_proven_is_proven_by_one_statement_with_what_is_off(team: Team) -> None:
    key = await factories.api_key(team)
    await switch(team, Feature.BULK_IMPORT, on=False)
    for token in (team.token, key.secret):
        proofs.remembered.forget()
        with recorded() as statements:
            principal = await auth.prove(token)
        assert principal.switched_off == {Feature.BULK_IMPORT, Feature.AI_SUGGESTIONS}
        assert len(statements) == 1


async def test_a_file_is_not_imported_where_that_is_switched_off(team: Team, tmp_path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text("name,email\nAda,ada@example.com\n")
    await switch(team, Feature.BULK_IMPORT, on=False)
    with path.open("rb") as source, pytest.raises(FeatureDisabled, match="BULK_IMPORT is switched off"):
        await anext(import_contacts(team.app_id, open_table(source)))
    await switch(team, Feature.BULK_IMPORT, on=True)
    with path.open("rb") as source:
        outcome = await anext(import_contacts(team.app_id, open_table(source)))
    assert (outcome.created, outcome.refused) == (1, [])
