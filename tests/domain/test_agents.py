"""Who follows a link or loads a picture."""

import pytest

from domain.links.agents import SIGNS, Visitor, classify, is_ahead, is_person

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
    " Mobile/15E148 Safari/604.1"
)
CUBOT = "Mozilla/5.0 (Linux; Android 9; CUBOT_NOTE_S) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile"


@pytest.mark.parametrize(
    ("agent", "visitor"),
    [
        (CHROME, Visitor.PERSON),
        (IPHONE, Visitor.PERSON),
        (CUBOT, Visitor.PERSON),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Visitor.PERSON),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0", Visitor.PERSON),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", Visitor.PERSON),
        ("Microsoft Office/16.0 (Microsoft Outlook 16.0.12026; Pro)", Visitor.PERSON),
        ("okhttp/4.12.0", Visitor.PERSON),
        ("Mozilla/5.0", Visitor.MAIL_PROXY),
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            Visitor.MAIL_PROXY,
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", Visitor.MAIL_PROXY),
        ("", Visitor.SCANNER),
        ("  ", Visitor.SCANNER),
        ("BarracudaCentral/1.0", Visitor.SCANNER),
        (f"{CHROME} proofpoint", Visitor.SCANNER),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", Visitor.PREVIEW),
        ("WhatsApp/2.23.20.0 A", Visitor.PREVIEW),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", Visitor.PREVIEW),
        (f"{CHROME} BingPreview/1.0b", Visitor.PREVIEW),
        ("python-requests/2.32.3", Visitor.ROBOT),
        ("curl/8.9.1", Visitor.ROBOT),
        ("Go-http-client/2.0", Visitor.ROBOT),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Visitor.ROBOT),
        (CHROME.replace("Chrome", "HeadlessChrome"), Visitor.ROBOT),
    ],
)
def test_who_it_is(agent: str, visitor: Visitor) -> None:
    assert classify(agent) is visitor
    assert is_person({"user-agent": agent}) is (visitor is Visitor.PERSON)


def test_every_sign_says_who_says_so() -> None:
    assert all(sign.source.startswith("https://") and sign.visitor is not Visitor.PERSON for sign in SIGNS)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender"},
        {"sec-purpose": "prefetch;anonymous-client-ip"},
        {"purpose": "prefetch"},
        {"purpose": "Prefetch"},
        {"x-purpose": "preview"},
        {"x-moz": "prefetch"},
    ],
)
def test_what_is_fetched_ahead(headers: dict[str, str]) -> None:
    assert is_ahead(headers)
    assert not is_person(headers | {"user-agent": CHROME})


@pytest.mark.parametrize("headers", [{}, {"purpose": ""}, {"sec-purpose": "other"}, {"sec-fetch-mode": "navigate"}])
def test_what_is_asked_for_now(headers: dict[str, str]) -> None:
    assert not is_ahead(headers)
    assert is_person(headers | {"user-agent": CHROME})


def test_nobody_says_nothing() -> None:
    assert not is_person({})
