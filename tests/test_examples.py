"""Every operation of graphql-examples is valid, and works when it is sent as it stands there."""

from pathlib import Path
from typing import Any

import pytest
from graphql import OperationType, parse, validate

from domain.permissions import DEVICES_ONLY
from tests.schema.roots import GRAPH, roots
from tests.support import factories
from tests.support.examples import FOLDER, Example, documents, examples, page_documents, variables_of
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.placeholders import PLACEHOLDERS, Scene, filled, placeholders, scene
from tests.support.processes import Process

EXAMPLES = examples()
PERMISSIONS = {root.name: root.permission for root in roots()}


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_a_document_is_valid(path: Path) -> None:
    assert validate(GRAPH, parse(path.read_text())) == []


@pytest.mark.parametrize("source", page_documents().values(), ids=page_documents())
def test_a_document_of_the_page_is_valid(source: str) -> None:
    assert validate(GRAPH, parse(source)) == []


def test_every_root_field_has_an_example() -> None:
    assert {name for example in EXAMPLES for name in example.fields} == set(PERMISSIONS)


def test_no_two_operations_have_one_name() -> None:
    names = [example.name for example in EXAMPLES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_variables_stand_beside_the_operation_that_takes_them(path: Path) -> None:
    names = {example.name for example in EXAMPLES}
    assert set(variables_of(path)) - names == set()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_operation_says_what_it_is_for_and_has_all_its_variables(example: Example) -> None:
    assert example.comment.startswith("# ")
    assert list(example.variables or {}) == example.takes
    assert len(example.fields) == 1
    if example.node.operation is OperationType.MUTATION:
        assert "userErrors" in example.source


def test_every_placeholder_is_explained_and_can_be_filled() -> None:
    used = placeholders([example.variables for example in EXAMPLES if example.variables])
    explained = (FOLDER / "README.md").read_text()
    assert used == set(PLACEHOLDERS)
    assert [one for one in PLACEHOLDERS if f"`{one}`" not in explained] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_an_operation_works(graph: Graph, team: Team, worker: Process, example: Example) -> None:
    stage = await scene(team)
    variables = await filled(example.variables or {}, stage)
    answer = await run(await signed_in(graph, example, stage), example, variables)
    assert answer is not None
    if example.node.operation is OperationType.MUTATION:
        assert answer["userErrors"] == []


async def signed_in(graph: Graph, example: Example, stage: Scene) -> Graph:
    """Whoever the operation is for: nobody, a device, or the owner of the app."""
    permission = PERMISSIONS[example.fields[0]]
    if permission is None:
        return graph.as_(None)
    return graph.as_(await factories.device_token(stage.device_id)) if permission in DEVICES_ONLY else graph


async def run(graph: Graph, example: Example, variables: dict[str, Any]) -> Any:
    """What the operation answers; of a subscription, the first frame."""
    if example.node.operation is not OperationType.SUBSCRIPTION:
        return (await graph.data(example.source, **variables))[example.fields[0]]
    async with graph.connect() as socket:
        return await anext(socket.frames(example.source, **variables))
