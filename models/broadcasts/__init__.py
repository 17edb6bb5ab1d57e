"""A message to many: its rows, and its counts."""

from models.broadcasts.counts import (
    TALLY_SHARDS,
    BroadcastRollup,
    BroadcastTally,
    Dimension,
    Measure,
)
from models.broadcasts.records import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    ChunkStatus,
    QuietPolicy,
    RecipientStatus,
    Redo,
    TargetType,
    WinnerMetric,
)

__all__ = [
    "TALLY_SHARDS",
    "Broadcast",
    "BroadcastChunk",
    "BroadcastRecipient",
    "BroadcastRollup",
    "BroadcastStatus",
    "BroadcastTally",
    "ChunkStatus",
    "Dimension",
    "Measure",
    "QuietPolicy",
    "RecipientStatus",
    "Redo",
    "TargetType",
    "WinnerMetric",
]
