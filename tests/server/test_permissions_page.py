"""The page of permissions is what the code says."""

from pathlib import Path

from server.permissions_page import page
from tests.schema.roots import roots
from tests.support.commands import replyhq

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"


def lines() -> dict[str, list[str]]:
    """The cells of each line of both tables, by their first; of a permission's two lines the second."""
    cells = [line.strip("| ").split(" | ") for line in page().splitlines() if line.startswith("| ")]
    return {first: rest for first, *rest in cells}


def test_the_printed_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: make schema"


async def test_the_command_prints_the_page() -> None:
    ended = await replyhq("permissions")
    assert (ended.code, ended.out, ended.err) == (0, page(), "")


def test_every_root_field_stands_in_the_line_of_its_permission() -> None:
    found = lines()
    for root in roots():
        line = found[f"`{root.permission.value}`" if root.permission else "none"]
        assert f"`{root.name}`" in " ".join(line), root


def test_a_right_is_marked_for_those_who_have_it() -> None:
    text = page().splitlines()
    assert "| permission | for | OWNER | ADMIN | AGENT | API key | device | enrolling |" in text
    told = "| `DELETE_BROADCASTS` | Delete drafts. | yes |  |  | yes |  |  |"
    assert told in text
    assert "| `MANAGE_TEAM` | Invite people, change roles, remove people. | yes |  |  |  |  |  |" in text
