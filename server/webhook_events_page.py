"""The page docs/webhook-events.md, printed from the code: what webhooks are told, each with an example."""

from collections.abc import Iterable
from json import dumps, loads

from domain.webhook_events.vocabulary import EVENTS, example
from models.webhooks import WebhookEventType

INTRODUCTION = """# What webhooks are told

Printed by `make schema` from `domain/webhook_events/vocabulary.py`. How it is delivered stands in
[webhooks.md](webhooks.md).

Every payload has the same envelope; `data` is that of its type. A version of `data` only ever gets new fields: ignore
those that you do not know. Times are in UTC. A thing is shown as it is when the transaction of the event has ended.

| field | what it is |
|---|---|
| `id` | of the event, the same as the header `webhook-id`: by it you know what comes twice |
| `type` | what happened |
| `version` | of `data` |
| `timestamp` | when it happened; the header `webhook-timestamp` tells when it was sent |
| `sequence` | a number that grows with what happens to one thing; it has gaps |
| `appId` | in which app |
| `actor` | who did it: `user:<id>`, `key:<id>`, `device:<id>`, `contact:<id>` or `system` |
| `test` | true when `testWebhook` has sent it; else it is not there |
| `data` | the thing it happened to |

"""


def page() -> str:
    """The whole page, as Markdown."""
    return INTRODUCTION + "\n".join(_section(one) for one in WebhookEventType)


def _section(event_type: WebhookEventType) -> str:
    kind = EVENTS[event_type]
    head = f"## {event_type.value}\n\n{kind.description} `{event_type.name}` in the API; version {kind.version}.\n"
    return f"{head}\n```json\n{_shown(loads(example(event_type)))}\n```\n"


def _shown(payload: dict[str, object]) -> str:
    """Each field on a line; lists stay on one."""
    return "\n".join(_short(dumps(payload, indent=2).splitlines()))


def _short(lines: Iterable[str]) -> Iterable[str]:
    held: list[str] = []
    for line in lines:
        if held or line.endswith("["):
            held.append(line if not held else line.strip())
            if line.strip().rstrip(",") == "]":
                yield held[0] + " ".join(held[1:-1]) + held[-1]
                held = []
        else:
            yield line
