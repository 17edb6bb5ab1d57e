"""The page of webhook events is what the code says, and what the code says is sent."""

from json import loads
from pathlib import Path

import pytest

from domain.webhook_events.vocabulary import EVENTS, example
from models.facts import FactKind
from models.webhooks import WebhookEventType
from server.webhook_events_page import page
from tests.support.commands import replyhq

PAGE = Path(__file__).parents[2] / "docs" / "webhook-events.md"


def test_the_printed_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: make schema"


async def test_the_command_prints_the_page() -> None:
    ended = await replyhq("webhook-events")
    assert (ended.code, ended.out, ended.err) == (0, page(), "")


def test_what_is_told_is_a_fact_and_each_says_how() -> None:
    assert {one.value for one in WebhookEventType} <= {one.value for one in FactKind}
    assert list(EVENTS) == list(WebhookEventType)


@pytest.mark.parametrize("event_type", WebhookEventType)
def test_an_example_is_whole_and_stands_on_the_page(event_type: WebhookEventType) -> None:
    said = loads(example(event_type))
    assert list(said) == ["id", "type", "version", "timestamp", "sequence", "appId", "actor", "data"]
    assert (said["type"], said["version"]) == (event_type.value, EVENTS[event_type].version)
    blocks = [block.split("```")[0] for block in page().split("```json\n")[1:]]
    assert said in [loads(block) for block in blocks]
