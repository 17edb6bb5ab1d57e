"""The page docs/permissions.md, printed from the code: who may do what, and which root field asks for it."""

from collections import defaultdict
from collections.abc import Iterable

from strawberry.types.base import get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition

from domain.features import Feature
from domain.permissions import DEVICE_PERMISSIONS, ENROLLING_PERMISSIONS, ROLE_PERMISSIONS, SCOPES, Permission
from models.team import Role
from resolvers import Mutation, Query, Subscription
from schema.features import Needs
from schema.permissions import Requires
from server.graphql.schema import schema

ROOTS = (Query, Mutation, Subscription)
COLUMNS = {
    **{role.value: ROLE_PERMISSIONS[role] for role in Role},
    "API key": SCOPES,
    "device": DEVICE_PERMISSIONS,
    "enrolling": ENROLLING_PERMISSIONS,
}
INTRODUCTION = """# Permissions

Printed by `make schema` from `domain/permissions.py` and from what each root field declares. Why it is so stands in
[decision 8](decisions/0008-roles.md).

## Who has which

A person has the permissions of their role in the app. An API key has those of these that it was given as scopes.
*Enrolling* is an owner or admin who has to set up the second factor that the app asks for: until then they have
nothing else.
"""
FEATURES = """
## What a feature flag switches off

While the flag is off in an app ([settings](settings.md)), these mutations answer FEATURE_DISABLED there.

"""
FIELDS = """## Which field asks for which

"""
Row = Iterable[str]


def page() -> str:
    """The whole page, as Markdown."""
    rights = _table(("permission", "for", *COLUMNS), _rights())
    return f"{INTRODUCTION}\n{rights}\n{FIELDS}{_fields()}{FEATURES}{_features()}"


def _rights() -> Iterable[Row]:
    definition: StrawberryEnumDefinition = Permission.__strawberry_definition__  # type: ignore[attr-defined]
    meanings = {value.name: value.description or "" for value in definition.values}
    for one in Permission:
        yield (f"`{one.value}`", meanings[one.name], *("yes" if one in has else "" for has in COLUMNS.values()))


def _fields() -> str:
    needing: defaultdict[Permission | None, list[list[str]]] = defaultdict(lambda: [[] for _ in ROOTS])
    for column, root in enumerate(ROOTS):
        for name, permission in _declared(root):
            needing[permission][column].append(name)
    rows = ((f"`{one.value}`" if one else "none", *map(_listed, needing[one])) for one in (None, *Permission))
    return _table(("permission", "queries", "mutations", "subscriptions"), rows)


def _features() -> str:
    needing: defaultdict[Feature, list[str]] = defaultdict(list)
    for field in get_object_definition(Mutation, strict=True).fields:
        for one in field.extensions:
            if isinstance(one, Needs):
                needing[one.feature].append(schema().config.name_converter.from_field(field))
    return _table(
        ("feature", "mutations"), ((f"`{one.value}`", _listed(needing[one])) for one in Feature if needing[one])
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _declared(root: type) -> Iterable[tuple[str, Permission | None]]:
    """The fields of a root and what each declares."""
    for field in get_object_definition(root, strict=True).fields:
        (requires,) = (extension for extension in field.extensions if isinstance(extension, Requires))
        yield schema().config.name_converter.from_field(field), requires.permission


def _table(head: Row, rows: Iterable[Row]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
