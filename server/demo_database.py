"""The demo's database: brought up to date and filled."""

import asyncio

from core.database import dispose
from server.demo_address import SignIn
from server.demo_data import seed
from server.migrate import upgrade

__all__ = ["fill", "upgrade"]


def fill() -> SignIn:
    """Load the demo data, unless it is there; who can sign in."""
    return asyncio.run(_fill())


async def _fill() -> SignIn:
    try:
        return await seed()
    finally:
        await dispose()
