"""The inbox as it lives: over real websockets, the state, each event, lists, and what a device may follow."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from websockets.exceptions import ConnectionClosed

from core.database import transaction
from domain import contacts, labels, sessions
from domain.conversations import control, reads
from domain.conversations.assignment import control as assignment
from domain.messages import changing, receipts
from domain.messages.receipts import Receipt
from domain.principals import SYSTEM
from domain.team import members
from models.conversations import ConversationStatus, Priority
from models.team import Membership, Role
from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.graph import Graph, Socket
from tests.support.inbox import Line

PLACE = "__typename ... on StreamEvent { cursor sequence }"
ADDED = f"""subscription($id: ID!, $after: String) {{ messageAdded(conversationId: $id, after: $after) {{ {PLACE}
  ... on MessagesSnapshot {{ messages {{ body }} }}
  ... on MessageChange {{ actor message {{ body isNote direction clientKey }} }} }} }}"""
CHANGED = f"""subscription($id: ID!) {{ messageChanged(conversationId: $id) {{ {PLACE}
  ... on MessageChange {{ action message {{ body deletedAt }} }} }} }}"""
RECEIPTS = f"""subscription($id: ID!) {{ messageReceiptChanged(conversationId: $id) {{ {PLACE}
  ... on MessageReceiptChange {{ messages {{ id status }} }} }} }}"""
CONVERSATION = f"""subscription($id: ID!) {{ conversationChanged(conversationId: $id) {{ {PLACE}
  ... on ConversationSnapshot {{ conversation {{ status unreadCount }} }}
  ... on ConversationChange {{ action conversation {{ status priority unreadCount }} }} }} }}"""
LIST = f"""subscription($filter: ConversationFilterInput, $after: String) {{
  conversationList(filter: $filter, after: $after) {{ {PLACE}
  ... on ConversationListSnapshot {{ conversations {{ id }} counts {{ open unread }} }}
  ... on ConversationListChange {{ move conversationId conversation {{ status }} counts {{ open unread }} }} }} }}"""
OWN = f"""subscription($id: ID!) {{ ownMessageChanged(conversationId: $id) {{ {PLACE}
  ... on OwnMessagesSnapshot {{ messages {{ body }} }}
  ... on OwnMessageChange {{ action messages {{ body status }} }} }} }}"""


@pytest.fixture
async def line(team: Team) -> Line:
    return await inbox.line(team)


class Watch:
    """An open subscription, and the next thing it tells."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def next(self) -> dict[str, Any]:
        message = await self._socket.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (told,) = message["payload"]["data"].values()
        return told

    async def refusal(self) -> list[str]:
        """The codes with which it is refused."""
        message = await self._socket.receive()
        assert message["type"] == "error", message
        return [error["extensions"]["code"] for error in message["payload"]]

    async def silent(self) -> bool:
        """Whether nothing was told before the answer to a ping."""
        await self._socket.wire.send('{"type": "ping"}')
        return (await self._socket.receive())["type"] == "pong"


@asynccontextmanager
async def watching(graph: Graph, query: str, **variables: Any) -> AsyncIterator[Watch]:
    async with graph.connect() as socket:
        await socket.start(query, **variables)
        yield Watch(socket)


async def moved(line: Line, conversation_id: UUID, status: ConversationStatus) -> None:
    by = {ConversationStatus.RESOLVED: control.resolve, ConversationStatus.OPEN: control.reopen}
    async with transaction() as session:
        await by[status](session, line.agent, conversation_id)


async def test_a_conversation_is_told_as_it_stands_then_each_message(graph: Graph, line: Line) -> None:
    id_ = (await line.says("Hello")).conversation_id
    async with watching(graph, ADDED, id=str(id_)) as watch:
        state = await watch.next()
        assert (state["__typename"], state["messages"]) == ("MessagesSnapshot", [{"body": "Hello"}])
        await line.answers(id_, "Hi", key="1")
        await line.notes(id_, "Careful")
        first, second = await watch.next(), await watch.next()
    assert first["message"] == {"body": "Hi", "isNote": False, "direction": "OUTBOUND", "clientKey": "1"}
    assert (first["actor"], first["sequence"]) == (f"user:{line.team.user_id}", state["sequence"] + 1)
    assert (second["message"]["isNote"], second["sequence"]) == (True, state["sequence"] + 2)
    async with watching(graph, ADDED, id=str(id_), after=first["cursor"]) as watch:
        assert (await watch.next()) == second


async def test_edits_deletions_and_receipts_are_told(graph: Graph, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    answer = await line.answers(id_, "Hi")
    async with watching(graph, CHANGED, id=str(id_)) as changes, watching(graph, RECEIPTS, id=str(id_)) as ticks:
        for watch in (changes, ticks):
            assert (await watch.next())["__typename"] == "MessagesSnapshot"
        async with transaction() as session:
            await receipts.mark(session, line.device, answer.id, Receipt.READ)
        assert (await ticks.next())["messages"] == [{"id": str(answer.id), "status": "READ"}]
        async with transaction() as session:
            await changing.edit(session, line.agent, answer.id, "Hello")
        assert (await changes.next())["message"] == {"body": "Hello", "deletedAt": None}
        async with transaction() as session:
            await changing.delete(session, line.agent, answer.id)
        told = await changes.next()
        assert (told["action"], told["message"]["body"]) == ("message.deleted", "")


async def test_a_conversation_tells_what_becomes_of_it_and_what_is_unread_to_the_viewer(
    graph: Graph, line: Line
) -> None:
    id_ = (await line.says()).conversation_id
    async with watching(graph, CONVERSATION, id=str(id_)) as watch:
        assert (await watch.next())["conversation"] == {"status": "OPEN", "unreadCount": 1}
        async with transaction() as session:
            await control.prioritise(session, line.agent, id_, Priority.URGENT)
        assert (await watch.next())["conversation"]["priority"] == "URGENT"
        async with transaction() as session:
            await reads.mark_read(session, line.agent, id_)
        told = await watch.next()
        assert (told["action"], told["conversation"]["unreadCount"]) == ("conversation.read", 0)


async def test_assigning_moves_a_conversation_from_list_to_list(graph: Graph, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    async with (
        watching(graph, LIST, filter={"assignee": "ME"}) as mine,
        watching(graph, LIST, filter={"assignee": "NOBODY"}) as nobodys,
    ):
        assert (await mine.next())["conversations"] == []
        assert (await nobodys.next())["conversations"] == [{"id": str(id_)}]
        async with transaction() as session:
            await assignment.assign(session, line.agent, id_, line.team.user_id)
        assert [(await watch.next())["move"] for watch in (mine, nobodys)] == ["ENTERED", "LEFT"]
        async with transaction() as session:
            await assignment.unassign(session, line.agent, id_)
        assert [(await watch.next())["move"] for watch in (mine, nobodys)] == ["LEFT", "ENTERED"]


async def test_a_list_tells_what_enters_changes_and_leaves(graph: Graph, line: Line) -> None:
    async with watching(graph, LIST, filter={"statuses": ["OPEN"]}) as watch:
        state = await watch.next()
        assert (state["conversations"], state["counts"]) == ([], {"open": 0, "unread": 0})
        id_ = (await line.says()).conversation_id
        entered, updated = await watch.next(), await watch.next()
        await moved(line, id_, ConversationStatus.RESOLVED)
        left = await watch.next()
        await moved(line, id_, ConversationStatus.OPEN)
        back = await watch.next()
    assert [one["move"] for one in (entered, updated, left, back)] == ["ENTERED", "UPDATED", "LEFT", "ENTERED"]
    assert {one["conversationId"] for one in (entered, updated, left, back)} == {str(id_)}
    assert (entered["counts"], left["counts"]) == ({"open": 1, "unread": 1}, {"open": 0, "unread": 0})
    assert (left["conversation"], back["conversation"]) == (None, {"status": "OPEN"})
    async with watching(graph, LIST, filter={"statuses": ["OPEN"]}, after=updated["cursor"]) as watch:
        # whether it belongs to the list is asked as of now, so who comes back is not shown what is over
        assert [(await watch.next())["move"], (await watch.next())["move"]] == ["ENTERED", "ENTERED"]


async def test_a_list_by_label_is_told_of_that_label_alone(graph: Graph, line: Line) -> None:
    vip, other = await inbox.label(line.team, "VIP"), await inbox.label(line.team, "Other")
    id_ = (await line.says()).conversation_id
    async with watching(graph, LIST, filter={"labelId": str(vip.id)}) as watch:
        assert (await watch.next())["conversations"] == []
        moves = []
        for label, put in ((vip, labels.put_on), (other, labels.put_on), (vip, labels.take_off)):
            async with transaction() as session:
                await put(session, line.agent, id_, label.id)
            moves.append((await watch.next())["move"])
    assert moves == ["ENTERED", "UPDATED", "LEFT"]


async def test_a_contact_that_is_erased_leaves_every_list(graph: Graph, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    async with watching(graph, LIST) as list_, watching(graph, CONVERSATION, id=str(id_)) as watch:
        assert (await list_.next())["conversations"] == [{"id": str(id_)}]
        await watch.next()
        async with transaction() as session:
            await contacts.delete(session, line.agent, line.contact_id)
        left, gone = await list_.next(), await watch.next()
    assert (left["move"], left["conversationId"], left["counts"]["open"]) == ("LEFT", str(id_), 0)
    assert (gone["action"], gone["conversation"]) == ("conversation.deleted", None)


async def test_a_device_follows_its_own_conversation_without_the_notes(graph: Graph, line: Line) -> None:
    id_ = (await line.says("Hello")).conversation_id
    stranger = await inbox.line(line.team)
    device = graph.as_(await factories.device_token(line.device.device()))
    other = graph.as_(await factories.device_token(stranger.device.device()))
    async with watching(device, OWN, id=str(id_)) as watch:
        assert (await watch.next())["messages"] == [{"body": "Hello"}]
        await line.notes(id_, "Careful")
        answer = await line.answers(id_, "Hi")
        told = await watch.next()
        assert (told["messages"], told["sequence"]) == ([{"body": "Hi", "status": "SENT"}], 2)
        async with transaction() as session:
            await receipts.mark(session, line.device, answer.id, Receipt.DELIVERED)
        assert (await watch.next())["messages"] == [{"body": "Hi", "status": "DELIVERED"}]
        assert await watch.silent()
    async with watching(other, OWN, id=str(id_)) as watch:
        assert await watch.refusal() == ["NOT_FOUND"]
    async with watching(device, ADDED, id=str(id_)) as watch:
        assert await watch.refusal() == ["FORBIDDEN"]


async def test_another_app_is_refused_and_hears_nothing(graph: Graph, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    stranger = graph.as_((await factories.team()).token)
    async with watching(stranger, ADDED, id=str(id_)) as watch:
        assert await watch.refusal() == ["NOT_FOUND"]
    async with watching(stranger, LIST) as watch:
        assert (await watch.next())["conversations"] == []
        await line.answers(id_)
        assert await watch.silent()


async def test_of_many_agents_who_watch_alike_each_is_told_once_and_in_order(graph: Graph, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    agents = [graph.as_((await factories.team(Role.AGENT, line.team.app_id)).token) for _ in range(5)]

    async def follow(agent: Graph, ready: asyncio.Event) -> list[str]:
        async with watching(agent, ADDED, id=str(id_)) as watch:
            await watch.next()
            ready.set()
            return [(await watch.next())["message"]["body"] for _ in range(20)]

    ready = [asyncio.Event() for _ in agents]
    async with asyncio.TaskGroup() as group:
        following = [group.create_task(follow(agent, one)) for agent, one in zip(agents, ready, strict=True)]
        for one in ready:
            await one.wait()
        for no in range(20):
            await line.answers(id_, str(no))
    assert [task.result() for task in following] == [[str(no) for no in range(20)]] * 5


async def leave_the_app(agent: Team, line: Line) -> None:
    async with transaction() as session:
        await members.remove(session, line.agent, (await _membership(session, agent)).id)


async def lose_the_session(agent: Team, _line: Line) -> None:
    async with transaction() as session:
        await sessions.end_all(session, SYSTEM, agent.user_id)


async def lose_the_role(agent: Team, line: Line) -> None:
    """Another role: the websocket begins anew, with what that one may."""
    async with transaction() as session:
        await members.update(session, line.agent, (await _membership(session, agent)).id, Role.ADMIN)


async def _membership(session: AsyncSession, agent: Team) -> Membership:
    own = sa.select(Membership).filter_by(user_id=agent.user_id, app_id=agent.app_id)
    return (await session.scalars(own)).one()


@pytest.mark.parametrize("loss", [leave_the_app, lose_the_session, lose_the_role], ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("query", [ADDED, LIST], ids=["messageAdded", "conversationList"])
async def test_who_loses_their_rights_sees_nothing_of_the_next_event_and_others_do(
    graph: Graph, line: Line, query: str, loss: Callable[[Team, Line], Awaitable[None]]
) -> None:
    id_ = (await line.says()).conversation_id
    agent = await factories.team(Role.AGENT, line.team.app_id)
    given = {"id": str(id_)} if query is ADDED else {}
    async with watching(graph, query, **given) as stays, watching(graph.as_(agent.token), query, **given) as leaves:
        for watch in (stays, leaves):
            await watch.next()
        await loss(agent, line)
        await line.answers(id_, "Hi")
        assert (await stays.next())["__typename"] in {"MessageChange", "ConversationListChange"}
        with pytest.raises(ConnectionClosed) as closed:
            await leaves.next()
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 4403
