"""Refresh tokens: `<session id>.<secret>.<seal>`. Of each session the hashes of the last two are kept, nothing else.

The secret of the first one is random. Each further token follows from the one before it and from the server's key: who
renews twice with one token, in parallel or because the answer got lost, gets the same successor, and nothing has to be
kept for that which would be worth stealing.

The seal tells the tokens that we gave out, however long ago, from made-up ones. Ids of sessions are no secret, so a
made-up token must not count as a stolen one, or whoever knows the id could end the session.
"""

from hmac import compare_digest
from uuid import UUID

from core.security import keyed_hashes, random_token


def first(session_id: UUID) -> str:
    """The first token of a session."""
    return _sealed(session_id, random_token())


def successors(token: str) -> list[str]:
    """The token that follows one of ours, the same each time; then what it was by each of the server's earlier keys."""
    id_, secrets = _session_id(token), keyed_hashes(token, "refresh token")
    return [_sealed(id_, secret, number) for number, secret in enumerate(secrets)]


def session_of(token: str) -> UUID | None:
    """The session that a token was given out for; None for a made-up one."""
    said, _, seal = token.rpartition(".")
    given = seal.encode(errors="replace")
    is_ours = any(compare_digest(given, one.encode()) for one in _seals(said))
    return _session_id(token) if is_ours else None


def _sealed(session_id: UUID, secret: str, key: int = 0) -> str:
    """A token, sealed by one of the server's keys: 0 is the newest."""
    said = f"{session_id.hex}.{secret}"
    return f"{said}.{_seals(said)[key]}"


def _seals(said: str) -> list[str]:
    return keyed_hashes(said, "refresh seal")


def _session_id(token: str) -> UUID:
    return UUID(token.partition(".")[0])
