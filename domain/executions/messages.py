"""A message of a workflow: to which devices or address it goes, whether it may go now, and what is known already."""

from collections.abc import Sequence
from datetime import datetime, time
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain import frequency, opt_outs, timing, unsubscribes
from domain.broadcasts.contents import Rendered
from domain.broadcasts.deciding import FREQUENCY_CAP, Send
from domain.executions.acting import Scene
from domain.executions.answers import RESULTS, Sending, concluded
from domain.workflows.nodes.acts import Again, Fails, Message, Result
from models.broadcasts import RecipientStatus
from models.channels import ChannelKind
from models.devices import Device, Platform
from models.executions import WorkflowStep

MIDNIGHT = time()
UNREACHABLE, NOT_OFFERED = "UNREACHABLE", "NOT_OFFERED"
OFFERED = (ChannelKind.IN_APP, ChannelKind.PUSH, ChannelKind.EMAIL)
TO_EMAIL = "email"
GONE = "gone"
"""Stands for targets that there are no more."""


class Target(NamedTuple):
    """Where a message goes; `name` tells it from the others of the step."""

    name: str
    device_id: UUID | None = None
    platform: Platform | None = None
    address: str | None = None


async def prepare(scene: Scene, message: Message) -> Result | Sending:
    """The sends of a message that are still to be made; or what has come of it, when there are none."""
    if message.channel not in OFFERED:
        return Fails(NOT_OFFERED, f"Workflows do not send by {message.channel} yet.")
    targets = await _targets(scene, message.channel)
    if scene.step.called_at is not None and message.channel is not ChannelKind.IN_APP:
        return _interrupted(scene.step, targets)
    if not targets:
        return Fails(UNREACHABLE, f"The contact cannot be reached by {message.channel}.")
    if (allowed := _allowed(scene)) > scene.at:
        return Again(allowed)
    results = await _known(scene, message.channel, targets)
    left = [one for one in targets if _is_open(results.get(one.name))]
    if not left:
        return concluded(scene.step, results, results_code(scene.step))
    _note(scene.step, results)
    sends = [_send(scene, message, seq, one) for seq, one in enumerate(left)]
    return Sending(scene.app.id, message, sends, [one.name for one in left])


async def _targets(scene: Scene, channel: ChannelKind) -> list[Target]:
    if channel is ChannelKind.EMAIL:
        return [Target(TO_EMAIL, address=one) for one in scene.contact.emails[:1]]
    own = sa.select(Device).where(Device.app_id == scene.app.id, Device.contact_id == scene.contact.id)
    devices = (await scene.session.scalars(own.order_by(Device.id))).all()
    if channel is ChannelKind.PUSH:
        return [Target(str(one.id), one.id, one.platform, one.push_token) for one in devices if one.push_token]
    return [Target(str(one.id), one.id, one.platform) for one in devices if one.platform is not Platform.WHATSAPP]


def _allowed(scene: Scene) -> datetime:
    """When the quiet hours of the app let it go."""
    quiet = timing.QuietHours(scene.app.quiet_start or MIDNIGHT, scene.app.quiet_end or MIDNIGHT)
    return quiet.allowed_at(scene.at, scene.contact.time_zone, scene.app.time_zone)


async def _known(scene: Scene, channel: ChannelKind, targets: Sequence[Target]) -> dict[str, str]:
    """What has become of some targets: of earlier tries, of opt-outs and caps."""
    step = scene.step
    results = _results(step)
    asked = [(scene.contact.id, channel, one.address if channel is ChannelKind.EMAIL else None) for one in targets]
    refused = await opt_outs.refused(scene.session, scene.app.id, asked)
    why = {targets[no].name: refusal.value for no, refusal in refused.items()}
    asked_for = [(scene.contact.id, channel, _key(step))]
    if len(why) < len(targets) and await frequency.reserve(scene.session, scene.app, asked_for, scene.at):
        why = {one.name: FREQUENCY_CAP for one in targets}
    passed = [name for name in why if _is_open(results.get(name))]
    if passed:
        step.output = {**(step.output or {}), "code": why[passed[0]]}
    return results | dict.fromkeys(passed, RecipientStatus.SKIPPED.value)


def _interrupted(step: WorkflowStep, targets: Sequence[Target]) -> Result:
    """A call that nobody has ended: nobody knows what came of it, so nothing is sent again.

    In-app messages are written once however often they are sent, and have no part in this.
    """
    results = _results(step)
    open_ = [one.name for one in targets if _is_open(results.get(one.name))]
    unknown = open_ or ([] if results else [GONE])
    return concluded(step, results | dict.fromkeys(unknown, RecipientStatus.UNCERTAIN.value), None)


def _results(step: WorkflowStep) -> dict[str, str]:
    return dict((step.output or {}).get(RESULTS, {}))


def _is_open(status: str | None) -> bool:
    """Whether a target is still to be sent to."""
    return status in {None, RecipientStatus.DEFERRED}


def _key(step: WorkflowStep) -> str:
    """By which a message counts towards the cap of its contact."""
    return f"w{step.id}"


async def release(session: AsyncSession, step: WorkflowStep) -> None:
    """A message that nobody has taken does not count towards the cap."""
    await frequency.release(session, step.app_id, [_key(step)])


def results_code(step: WorkflowStep) -> str | None:
    """Why targets were passed over, as it was noted."""
    code: str | None = (step.output or {}).get("code")
    return code


def _note(step: WorkflowStep, results: dict[str, str]) -> None:
    step.output = {**(step.output or {}), RESULTS: results}


def _send(scene: Scene, message: Message, seq: int, target: Target) -> Send:
    """The key of a send is the same however often it is made."""
    link = (
        unsubscribes.link(scene.app.id, scene.contact.id, message.channel, None)
        if message.channel is ChannelKind.EMAIL
        else None
    )
    return Send(
        seq,
        f"{_key(scene.step)}:{target.name}",
        message.channel,
        scene.contact.id,
        target.device_id,
        target.platform,
        target.address,
        None,
        Rendered(message.title or scene.app.name, message.body, message.data, link),
    )
