"""E-mails as files, for development: each is one `.eml`, which every mail program opens."""

import asyncio
import os
from pathlib import Path

from channels.letters import Letter


async def write(letter: Letter, folder: Path) -> Path:
    """Write a letter into `folder`, for the eyes of this user alone; the same one once, however often it comes.

    Raises:
        Refused: it cannot be written as an e-mail.
        OSError: the folder cannot be written to.
    """
    name = f"{letter.written_at:%Y%m%dT%H%M%S}-{letter.id}.eml"
    content = letter.message().as_bytes()
    await asyncio.to_thread(_write, folder / name, content)
    return folder / name


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
