"""Calls of workflows to the outside: servers and channels, what their answers mean, and what a crash leaves. E5, E6."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from channels.http import Http
from core.clock import now
from core.database import transaction
from domain import opt_outs
from domain.broadcasts.results import Result
from domain.executions import stepping
from domain.principals import SYSTEM
from jobs import workflows as jobs
from jobs.sending import Sent
from models.apps import App
from models.broadcasts import RecipientStatus
from models.channels import ChannelKind
from models.devices import Device
from models.executions import ExecutionStatus, WorkflowStep
from models.in_app_messages import InAppMessage
from models.opt_outs import OptOutReason
from models.workflows import Workflow
from tests.support import factories
from tests.support.executions import (
    active,
    due_in_the_past,
    execution,
    happens,
    step_rows,
    steps,
    take_up,
    track,
    work,
)
from tests.support.factories import Team
from tests.support.receiver import Receiver
from tests.support.workflows import node, of

TAG = node("tag", "add_tag", tag="well")


async def the_step(workflow: Workflow, node_id: str) -> WorkflowStep:
    (found,) = [row for row in await step_rows(workflow) if row.node_id == node_id]
    return found


async def test_a_server_gets_the_variables_and_its_answer_can_be_asked_of(team: Team, receiver: Receiver) -> None:
    contact = await factories.person(team.app_id, external_id="a/b", name="Ada")
    call = node(
        "call",
        "webhook",
        url=f"{receiver.url}?of={{{{ user_id }}}}",
        headers={"X-Secret": "s3cret"},
        body={"who": "{{ contact.name }}", "plan": "{{ event.properties.plan }}", "n": 3},
    )
    asked = node("asked", "condition", {"true": "tag", "false": None}, field="steps.call.output.body.score",
                 operator="gt", value=6)  # fmt: skip
    workflow = await active(team, of(call, asked, TAG, edges="call-asked"))
    await happens(team, contact.id, "user_signup", plan="pro")
    assert await steps(workflow) == [("call", "COMPLETED"), ("asked", "COMPLETED"), ("tag", "COMPLETED")]
    done = await the_step(workflow, "call")
    assert receiver.bodies == {str(done.id): {"who": "Ada", "plan": "pro", "n": 3}}
    assert done.output == {"status": 200, "body": {"ok": True, "score": 7}}
    assert done.input == {
        "method": "POST",
        "url": f"{receiver.url}?of=a%2Fb",
        "headers": ["X-Secret"],
        "body": {"who": "Ada", "plan": "pro", "n": 3},
    }


@pytest.mark.parametrize(
    ("status", "tries", "code"), [(500, 3, "SERVER_ERROR"), (429, 3, "SERVER_ERROR"), (404, 1, "SERVER_REFUSED")]
)
async def test_a_server_that_is_not_well_is_asked_again_and_then_the_way_of_failures_is_gone(
    team: Team, receiver: Receiver, status: int, tries: int, code: str
) -> None:
    receiver.status = status
    contact = await factories.person(team.app_id)
    call = node("call", "webhook", {"failed": "tag"}, url=receiver.url, retries=2)
    workflow = await active(team, of(call, TAG))
    with time_machine.travel(now(), tick=True) as clock:
        await happens(team, contact.id, "user_signup")
        for _ in range(3):
            clock.shift(60)
            await work()
    failed = await the_step(workflow, "call")
    assert list(receiver.calls.values()) == [tries]
    assert (failed.status.value, failed.branch, failed.error_code) == ("COMPLETED", "failed", code)
    assert (await execution(workflow)).status is ExecutionStatus.COMPLETED


async def test_a_server_says_when_it_wants_to_be_asked_again(team: Team, receiver: Receiver) -> None:
    receiver.status, receiver.headers = 503, {"Retry-After": "120"}
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("call", "webhook", url=receiver.url)))
    with time_machine.travel(now(), tick=True) as clock:
        await happens(team, contact.id, "user_signup")
        clock.shift(100)
        await work()
        assert receiver.calls.total() == 1
        receiver.status = 204
        clock.shift(30)
        await work()
    assert receiver.calls.total() == 2
    done = await the_step(workflow, "call")
    assert (done.status.value, done.error_code, done.failures) == ("COMPLETED", None, 1)


async def test_without_a_way_of_failures_the_execution_has_failed_and_says_where(
    team: Team, receiver: Receiver
) -> None:
    receiver.status = 400
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("call", "webhook", url=receiver.url), node("after"), edges="call-after"))
    await happens(team, contact.id, "user_signup")
    failed = await execution(workflow)
    assert (failed.status, failed.error_node_id, failed.error_code, failed.error_message) == (
        ExecutionStatus.FAILED,
        "call",
        "SERVER_REFUSED",
        "The server answered 400.",
    )
    assert await steps(workflow) == [("call", "FAILED")]


async def test_a_private_address_is_never_called(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    async def private(_host: str, _port: int) -> list[str]:
        return ["10.0.0.7"]

    client = Http(allow_loopback=False, lookup=private)
    monkeypatch.setattr(jobs, "http", lambda: client)
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("call", "webhook", url="https://inside.example.com/")))
    await happens(team, contact.id, "user_signup")
    await client.close()
    assert (await execution(workflow)).error_code == "ADDRESS_BLOCKED"


async def test_a_call_whose_worker_died_is_made_again_under_the_same_key(team: Team, receiver: Receiver) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("call", "webhook", url=receiver.url)))
    await track(team, contact.id, "user_signup")
    await jobs.take_all()
    lost = await take_up(workflow)
    async with transaction() as session:
        taken = await stepping.take(session, lost)
    assert taken.call
    await jobs._make(taken.call)
    await due_in_the_past()
    await work()
    step = await the_step(workflow, "call")
    assert (dict(receiver.calls), step.status.value, step.attempts) == ({str(step.id): 2}, "COMPLETED", 2)


async def messages_of(device_id: UUID) -> list[tuple[str, str, Any]]:
    async with transaction() as session:
        rows = await session.scalars(sa.select(InAppMessage).filter_by(device_id=device_id))
        return [(row.title, row.body, row.data) for row in rows]


async def person_with_device(team: Team, **fields: Any) -> tuple[UUID, UUID]:
    contact = await factories.person(team.app_id, **fields)
    await factories.devices_of(team.app_id, str(contact.id), 1)
    async with transaction() as session:
        device = await session.scalar(sa.select(Device.id).filter_by(contact_id=contact.id))
    assert device
    return contact.id, device


GREET = node("greet", "send_message", title="Hi", body='Hello {{ contact.name | default: "you" }}', data={"a": 1})


async def test_a_message_goes_once_however_often_its_worker_dies(team: Team) -> None:
    contact_id, device_id = await person_with_device(team, name="Ada")
    workflow = await active(team, of(GREET))
    await track(team, contact_id, "user_signup")
    await jobs.take_all()
    lost = await take_up(workflow)
    async with transaction() as session:
        taken = await stepping.take(session, lost)
    assert taken.call
    await jobs._make(taken.call)
    await due_in_the_past()
    await work()
    assert await messages_of(device_id) == [("Hi", "Hello Ada", {"a": 1})]
    step = await the_step(workflow, "greet")
    assert step.output == {
        "results": {str(device_id): "SENT"},
        "messageId": str(step.id),
        "status": "SENT",
    }


async def test_a_message_of_which_its_channel_says_nothing_is_sent_again(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact_id, device_id = await person_with_device(team)
    workflow = await active(team, of(GREET))

    async def silent(_app_id: UUID, _sends: Any) -> list[Any]:
        return []

    with time_machine.travel(now(), tick=True) as clock:
        monkeypatch.setattr("jobs.workflows.sending.send", silent)
        await happens(team, contact_id, "user_signup")
        assert await steps(workflow) == [("greet", "PENDING")]
        monkeypatch.undo()
        clock.shift(5)
        await work()
    assert await steps(workflow) == [("greet", "COMPLETED")]
    assert len(await messages_of(device_id)) == 1


async def push_that_lost_its_worker(team: Team) -> tuple[Workflow, UUID]:
    """A workflow whose only step was sending to a device when its worker died; and the device."""
    contact_id, device_id = await person_with_device(team)
    async with transaction() as session:
        (await session.get_one(Device, device_id)).push_token = "token"
    workflow = await active(team, of(node("greet", "send_message", body="Hi", channel="PUSH")))
    await track(team, contact_id, "user_signup")
    await jobs.take_all()
    lost = await take_up(workflow)
    async with transaction() as session:
        assert (await stepping.take(session, lost)).call
    return workflow, device_id


async def test_a_push_whose_worker_died_is_uncertain_and_not_sent_again(team: Team) -> None:
    workflow, _ = await push_that_lost_its_worker(team)
    await due_in_the_past()
    await work()
    step = await the_step(workflow, "greet")
    assert (step.status.value, (step.output or {})["status"]) == ("COMPLETED", "UNCERTAIN")


async def test_a_push_whose_worker_died_is_not_sent_again_after_quiet_hours_or_without_its_device(team: Team) -> None:
    workflow, device_id = await push_that_lost_its_worker(team)
    async with transaction() as session:
        (await session.get_one(Device, device_id)).push_token = None
        app, at = await session.get_one(App, team.app_id), now()
        app.quiet_start, app.quiet_end = (at - timedelta(hours=1)).time(), (at + timedelta(hours=1)).time()
    await due_in_the_past()
    await work()
    step = await the_step(workflow, "greet")
    assert (step.status.value, (step.output or {})["status"]) == ("COMPLETED", "UNCERTAIN")


async def test_a_speed_limit_is_no_failure_however_often_it_says_wait(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact_id, _ = await person_with_device(team)
    workflow = await active(team, of(GREET))

    async def busy(_app_id: UUID, sends: Any) -> list[Sent]:
        until = now() + timedelta(seconds=1)
        return [Sent(Result(one.seq, RecipientStatus.DEFERRED, "RATE_LIMITED", until)) for one in sends]

    with time_machine.travel(now(), tick=True) as clock:
        monkeypatch.setattr("jobs.workflows.sending.send", busy)
        await happens(team, contact_id, "user_signup")
        for _ in range(12):
            clock.shift(2)
            await work()
        waiting = await the_step(workflow, "greet")
        assert (waiting.status.value, waiting.failures) == ("PENDING", 0)
        monkeypatch.undo()
        clock.shift(2)
        await work()
    assert await steps(workflow) == [("greet", "COMPLETED")]


async def test_what_breaks_after_a_push_does_not_send_it_again(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    contact_id, device_id = await person_with_device(team)
    async with transaction() as session:
        (await session.get_one(Device, device_id)).push_token = "token"
    workflow = await active(team, of(node("greet", "send_message", body="Hi", channel="PUSH")))
    sent = []

    async def taken(_app_id: UUID, sends: Any) -> list[Sent]:
        sent.append(len(sends))
        return [Sent(Result(one.seq)) for one in sends]

    async def broken(*_args: Any) -> Any:
        raise RuntimeError("broken")

    with time_machine.travel(now(), tick=True) as clock:
        monkeypatch.setattr("jobs.workflows.sending.send", taken)
        with monkeypatch.context() as patch:
            patch.setattr(stepping, "answered", broken)
            await happens(team, contact_id, "user_signup")
        clock.shift(5)
        await work()
    step = await the_step(workflow, "greet")
    assert (sent, step.status.value, (step.output or {})["status"]) == ([1], "COMPLETED", "UNCERTAIN")


async def test_who_has_opted_out_is_passed_over_and_goes_on(team: Team) -> None:
    contact_id, device_id = await person_with_device(team)
    async with transaction() as session:
        said = {"contact_id": contact_id, "channel": ChannelKind.IN_APP, "reason": OptOutReason.MANUAL, "note": None}
        await opt_outs.opt_out(session, team.app_id, SYSTEM, said)  # type: ignore[arg-type]
    workflow = await active(team, of(GREET, TAG, edges="greet-tag"))
    await happens(team, contact_id, "user_signup")
    assert await messages_of(device_id) == []
    greeted = await the_step(workflow, "greet")
    assert ((greeted.output or {})["status"], (greeted.output or {})["code"]) == ("SKIPPED", "OPTED_OUT")
    assert await steps(workflow) == [("greet", "COMPLETED"), ("tag", "COMPLETED")]


async def test_who_cannot_be_reached_goes_the_way_of_failures(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of({**GREET, "branches": {"failed": "tag"}}, TAG))
    await happens(team, contact.id, "user_signup")
    assert await steps(workflow) == [("greet", "COMPLETED"), ("tag", "COMPLETED")]
    assert (await the_step(workflow, "greet")).error_code == "UNREACHABLE"


async def test_a_message_waits_for_the_end_of_the_quiet_hours(team: Team) -> None:
    contact_id, device_id = await person_with_device(team)
    async with transaction() as session:
        app = await session.get_one(App, team.app_id)
        at = now()
        app.quiet_start, app.quiet_end = (at - timedelta(hours=1)).time(), (at + timedelta(hours=1)).time()
    await active(team, of(GREET))
    with time_machine.travel(at, tick=True) as clock:
        await happens(team, contact_id, "user_signup")
        assert await messages_of(device_id) == []
        clock.shift(3_700)
        await work()
    assert await messages_of(device_id) == [("Hi", "Hello you", {"a": 1})]


async def test_a_variable_without_a_value_fails_the_step_and_says_which(team: Team) -> None:
    contact_id, _ = await person_with_device(team)
    workflow = await active(team, of(node("greet", "send_message", body="Hello {{ contact.plan }}")))
    await happens(team, contact_id, "user_signup")
    failed = await execution(workflow)
    assert (failed.error_code, failed.error_message) == (
        "MISSING_VARIABLE",
        "contact.plan has no value, and its placeholder no default.",
    )
