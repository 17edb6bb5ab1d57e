"""The people of the demo, the same every time: names, places, plans, tags and the devices they have."""

from dataclasses import dataclass
from random import Random
from typing import Any

from domain import contacts
from domain.contacts import ContactFields
from models.devices import Platform

PEOPLE = 300
PLANS = ("free", "free", "free", "pro", "pro", "team")
TAGS = ("newsletter", "beta", "trial", "vip", "churn-risk", "student")
VERSIONS = ("2.9.4", "3.0.0", "3.0.1", "3.1.0")
SOURCES = ("website", "app store", "friend", "conference")
FIRST_NAMES = (
    *("Amara", "Ben", "Chloe", "Daniel", "Elif", "Felix", "Grace", "Hiro", "Ines", "Jonas", "Kavya", "Liam"),
    *("Mei", "Noah", "Olivia", "Paulo", "Quinn", "Rosa", "Samir", "Tara", "Ugo", "Valeria", "Wei", "Yuki", "Zoe"),
)
LAST_NAMES = (
    *("Adeyemi", "Bauer", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Hughes", "Ito", "Jensen", "Khan"),
    *("Lopez", "Meyer", "Novak", "Okafor", "Patel", "Rossi", "Silva", "Tanaka", "Weber", "Young"),
)


@dataclass(frozen=True)
class Place:
    """Where people are.

    Attributes:
        phone: a pattern of numbers that the country keeps for fiction; empty where it keeps none.
    """

    country: str
    locale: str
    zones: tuple[str, ...]
    phone: str = ""


PLACES = (
    Place("US", "en-US", ("America/New_York", "America/Chicago", "America/Los_Angeles"), "+120255501{:02d}"),
    Place("GB", "en-GB", ("Europe/London",), "+447700900{:03d}"),
    Place("DE", "de-DE", ("Europe/Berlin",), "+4917139200{:02d}"),
    Place("FR", "fr-FR", ("Europe/Paris",), "+33639980{:03d}"),
    Place("BR", "pt-BR", ("America/Sao_Paulo", "America/Manaus")),
    Place("IN", "en-IN", ("Asia/Kolkata",)),
    Place("JP", "ja-JP", ("Asia/Tokyo",)),
)
ON_SCREENS = (Platform.IOS, Platform.ANDROID, Platform.WEB)


@dataclass(frozen=True)
class Person:
    """A contact, as `contacts.clean` returns it, and the devices they have."""

    contact: dict[str, Any]
    platforms: tuple[Platform, ...]
    app_version: str


def people(chance: Random) -> list[Person]:
    """The 300 people that `chance` draws."""
    return [_person(number, chance) for number in range(PEOPLE)]


def _person(number: int, chance: Random) -> Person:
    place = PLACES[number % len(PLACES)]
    phones = [place.phone.format(number // len(PLACES))] if place.phone else []
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    fields: ContactFields = {
        "external_id": f"user-{number + 1}",
        "name": f"{first} {last}",
        "emails": [f"{first}.{last}.{number + 1}@example.com"],
        "phones": phones,
        "locale": place.locale,
        "time_zone": chance.choice(place.zones),
        "country": place.country,
        "plan": chance.choice(PLANS),
        "tags": chance.sample(TAGS, chance.randint(0, 3)),
        "attributes": {"source": chance.choice(SOURCES), "seats": chance.randint(1, 40)},
    }
    return Person(contacts.clean(fields), _platforms(chance, has_phone=bool(phones)), chance.choice(VERSIONS))


def _platforms(chance: Random, *, has_phone: bool) -> tuple[Platform, ...]:
    """One or two devices; a few people have none, and WhatsApp needs a number."""
    if chance.random() < 0.05:
        return ()
    chosen = chance.sample(ON_SCREENS, chance.choice((1, 1, 2)))
    whatsapp = (Platform.WHATSAPP,) if has_phone and chance.random() < 0.2 else ()
    return (*chosen, *whatsapp)
