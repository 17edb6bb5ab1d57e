"""Push tokens: that of a browser is its subscription."""

import orjson
import pytest
import sqlalchemy as sa

from core.database import transaction
from core.errors import Invalid
from domain import bulk
from domain.push_tokens import checked
from models.devices import Device, Platform
from models.facts import Fact, FactKind
from server.simulator.providers import credentials
from tests.support import factories
from tests.support.factories import Team

KEYS = credentials.Credentials(
    fcm="",
    apns="",
    browser="q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94",
    auth="BTBZMqHH6r4Tts7J_aSIgg",
)
RIGHT = KEYS.subscription("https://push.example.net", "x")


def changed(**keys: object) -> str:
    found = orjson.loads(RIGHT)
    return orjson.dumps(found | {"keys": found["keys"] | keys}).decode()


def test_a_subscription_is_kept_as_it_came() -> None:
    assert checked(Platform.WEB, f" {RIGHT} ", "pushToken") == RIGHT
    assert checked(Platform.WEB, None, "pushToken") is None


@pytest.mark.parametrize("platform", [Platform.IOS, Platform.ANDROID])
def test_of_others_any_text_will_do(platform: Platform) -> None:
    assert checked(platform, "token:1", "pushToken") == "token:1"
    with pytest.raises(Invalid):
        checked(platform, "x" * 4_097, "pushToken")


@pytest.mark.parametrize(
    "text",
    [
        *("token", "null", "[]", '"x"', "{}", '{"endpoint": "https://x.example", "keys": []}'),
        *(changed(p256dh="AAAA"), changed(p256dh=7), changed(auth="AAAA"), changed(auth=None)),
        RIGHT.replace("https://push.example.net/push/x", "http://push.example.net"),
        RIGHT.replace("push.example.net", "127.0.0.1"),
        RIGHT.replace("push.example.net", "169.254.169.254"),
        RIGHT.replace('"https://push.example.net/push/x"', "7"),
    ],
)
def test_what_no_browser_could_be_reached_by(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked(Platform.WEB, text, "pushToken")
    assert refused.value.field == "pushToken"


async def test_a_dead_token_is_forgotten_unless_another_came(team: Team) -> None:
    dead, renewed, other = await factories.contacts(team.app_id, 3)
    (foreign,) = await factories.contacts((await factories.team()).app_id, 1)
    everybody = (dead, renewed, other, foreign)
    async with transaction() as session:
        await session.execute(sa.update(Device).where(Device.id.in_(everybody)).values(push_token="now"))
    async with transaction() as session:
        said = {dead: "now", renewed: "before", foreign: "now"}
        assert await bulk.forget_push_tokens(session, team.app_id, said) == [dead]
    async with transaction() as session:
        left = set(
            await session.scalars(sa.select(Device.id).where(Device.push_token == "now", Device.id.in_(everybody)))
        )
        removed = FactKind.DEVICE_PUSH_ENDED
        told = list(
            await session.scalars(sa.select(Fact.entity_id).where(Fact.kind == removed, Fact.app_id == team.app_id))
        )
    assert left == {renewed, other, foreign}
    assert told == [dead]
