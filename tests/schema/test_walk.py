"""What holds for every type and every root field, also for those that do not exist yet."""

import dataclasses
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from graphql import (
    GraphQLNamedType,
    get_named_type,
    is_enum_type,
    is_input_object_type,
    is_introspection_type,
    is_non_null_type,
    is_object_type,
    is_scalar_type,
    is_specified_scalar_type,
)
from sqlalchemy.orm import Mapper
from strawberry.types.base import StrawberryOptional, get_object_definition

from domain.permissions import DEVICE_PERMISSIONS, ROLE_PERMISSIONS
from models.team import Role
from schema.views import ROWS
from server.graphql.schema import schema
from tests.schema.roots import GRAPH, Root, arguments, ask, refusals, roots
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph

SDL = Path(__file__).parents[2] / "schema" / "schema.graphql"
PUBLIC = {
    *("signUp", "signIn", "confirmSignIn", "refreshSession", "requestPasswordReset", "resetPassword"),
    *("invitation", "acceptInvitation"),
}
WITHOUT_INPUT = {"signOut", "revokeOtherSessions", "leaveApp", "takeNextConversation"}
VERBS = (
    *("sign", "confirm", "refresh", "revoke", "register", "report", "set", "disable", "renew"),
    *("change", "request", "reset", "switch", "track"),
    *("invite", "resend", "accept", "remove", "leave", "transfer"),
    *("opt", "suppress", "unsuppress"),
    *("create", "update", "duplicate", "delete", "send", "schedule", "cancel", "pause", "resume", "regenerate"),
    *("retry", "extend"),
    *("open", "resolve", "reopen", "snooze", "mark", "add", "edit", "assign", "take"),
    *("publish", "activate", "archive", "import"),
    *("start", "continue"),
    *("enable", "rotate", "test", "replay"),
    "enrol",
)
TYPES = [one for one in GRAPH.type_map.values() if not is_introspection_type(one)]
CLOSED = [root for root in roots() if root.name not in PUBLIC]
ANSWERED = [root for root in CLOSED if root.operation != "subscription"]
WATCHED = [root for root in CLOSED if root.operation == "subscription"]


def undescribed(type_: GraphQLNamedType) -> list[str]:
    """Whatever of a type says nothing about itself."""
    parts = {type_.name: type_}
    for name, part in {**getattr(type_, "fields", {}), **getattr(type_, "values", {})}.items():
        parts[f"{type_.name}.{name}"] = part
        parts |= {f"{type_.name}.{name}({argument})": one for argument, one in getattr(part, "args", {}).items()}
    return [name for name, part in parts.items() if not (part.description or "").strip()]


def test_everything_has_a_description() -> None:
    assert [name for type_ in TYPES for name in undescribed(type_)] == []


def test_only_these_root_fields_are_public() -> None:
    assert {root.name for root in roots() if root.permission is None} == PUBLIC


@pytest.mark.parametrize("root", CLOSED, ids=str)
async def test_nobody_gets_in_without_signing_in(graph: Graph, root: Root) -> None:
    assert refusals(await ask(graph.as_(None), root, arguments(root))) == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("root", ANSWERED, ids=str)
async def test_a_field_is_forbidden_exactly_to_those_without_its_permission(
    graph: Graph, team: Team, root: Root
) -> None:
    tokens = await everybody(team)
    refused = {who for who, token in tokens.items() if await is_forbidden(graph.as_(token), root)}
    assert refused == without(root)


@pytest.mark.parametrize("root", WATCHED, ids=str)
async def test_a_stream_is_forbidden_to_those_without_its_permission(graph: Graph, team: Team, root: Root) -> None:
    tokens = await everybody(team)
    refused = {who for who in without(root) if await is_forbidden(graph.as_(tokens[who]), root)}
    assert refused == without(root)


async def everybody(team: Team) -> dict[str, str]:
    """A token of each role, and of a device."""
    (device,) = await factories.contacts(team.app_id, 1)
    people = {role.value: (await factories.team(role, team.app_id)).token for role in Role}
    return {**people, "DEVICE": await factories.device_token(device)}


def without(root: Root) -> set[str]:
    """Who lacks the permission of a field."""
    rights = {role.value: permissions for role, permissions in ROLE_PERMISSIONS.items()} | {
        "DEVICE": DEVICE_PERMISSIONS
    }
    return {who for who, permissions in rights.items() if root.permission not in permissions}


async def is_forbidden(graph: Graph, root: Root) -> bool:
    """Whether FORBIDDEN is all that the asker gets."""
    found = refusals(await ask(graph, root, arguments(root)))
    assert found == ["FORBIDDEN"] or "FORBIDDEN" not in found
    return found == ["FORBIDDEN"]


@pytest.mark.parametrize("view", ROWS, ids=lambda view: view.__name__)
def test_a_plain_field_is_an_attribute_of_the_row(view: type) -> None:
    plain = [field for field in get_object_definition(view, strict=True).fields if field.base_resolver is None]
    row = attributes(ROWS[view])
    assert [field.python_name for field in plain if field.python_name not in row] == []
    nullable = [field for field in plain if row[field.python_name]]
    assert [field.python_name for field in nullable if not isinstance(field.type, StrawberryOptional)] == []


def attributes(row: type) -> dict[str, bool]:
    """What can be read from a row at once: columns that are not deferred, fields of a dataclass, properties.

    The value says whether it is a column that may be NULL.
    """
    properties = {name: False for name in dir(row) if isinstance(getattr(row, name), property)}
    if dataclasses.is_dataclass(row):
        return properties | {field.name: False for field in dataclasses.fields(row)}
    mapper: Mapper = sa.inspect(row)
    columns = {one.key: bool(one.columns[0].nullable) for one in mapper.column_attrs if not one.deferred}
    return properties | columns


def test_enum_values_are_screaming() -> None:
    values = [value for type_ in TYPES if is_enum_type(type_) for value in type_.values]
    assert [value for value in values if not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", value)] == []


@pytest.mark.parametrize("root", roots("mutation"), ids=str)
def test_a_mutation_is_a_verb_with_a_noun_and_takes_one_input(root: Root) -> None:
    assert re.fullmatch(rf"({'|'.join(VERBS)})([A-Z][a-z]+)+", root.name), "add its verb to VERBS if it is one"
    taken = {name: str(argument.type) for name, argument in root.field.args.items()}
    assert list(taken) == ([] if root.name in WITHOUT_INPUT else ["input"])
    assert all(re.fullmatch(r"[A-Za-z]+Input!", type_) for type_ in taken.values())


@pytest.mark.parametrize("root", roots("mutation"), ids=str)
def test_a_mutation_answers_a_nullable_payload_with_user_errors(root: Root) -> None:
    payload = root.field.type
    assert is_object_type(payload), "nullable"
    assert payload.name.endswith("Payload")
    assert str(payload.fields["userErrors"].type) == "[UserError!]!"
    others = [field for name, field in payload.fields.items() if name != "userErrors"]
    assert [field for field in others if is_non_null_type(field.type)] == []


@pytest.mark.parametrize("root", roots("query", "mutation"), ids=str)
def test_a_root_field_is_nullable_so_that_one_failure_leaves_the_others(root: Root) -> None:
    assert not is_non_null_type(root.field.type)


@pytest.mark.parametrize("type_", [one for one in TYPES if one.name.endswith("Connection")], ids=str)
def test_a_connection_has_the_four_fields(type_: GraphQLNamedType) -> None:
    noun = type_.name.removesuffix("Connection")
    assert {name: str(field.type) for name, field in type_.fields.items()} == {
        "edges": f"[{noun}Edge!]!",
        "nodes": f"[{noun}!]!",
        "pageInfo": "PageInfo!",
        "totalCount": "Int!",
    }


@pytest.mark.parametrize("root", roots("query"), ids=str)
def test_a_list_in_pages_is_a_connection_that_can_be_paged_both_ways(root: Root) -> None:
    paged = {"first", "after", "last", "before"} & set(root.field.args)
    is_connection = get_named_type(root.field.type).name.endswith("Connection")
    assert paged == ({"first", "after", "last", "before"} if is_connection else set())


def test_an_input_says_so_in_its_name() -> None:
    inputs = [type_.name for type_ in TYPES if is_input_object_type(type_)]
    assert [name for name in inputs if not name.endswith("Input")] == []


def test_a_scalar_of_our_own_says_where_it_is_specified() -> None:
    own = [type_ for type_ in TYPES if is_scalar_type(type_) and not is_specified_scalar_type(type_)]
    assert [type_.name for type_ in own if not type_.specified_by_url] == []


def test_the_printed_schema_is_up_to_date() -> None:
    assert SDL.read_text() == f"{schema().as_str()}\n", "run: make schema"
