"""Ticks between processes: something happened to a topic, look at the database.

Ticks are droppable and carry ids, never the truth. A subscriber that may have missed some gets GAP and reads again.
The only place that knows broadcaster.
"""

from core.pubsub.backend import Bounds
from core.pubsub.hub import Hub, hub
from core.pubsub.publisher import publish
from core.pubsub.ring import Closed
from core.pubsub.subscription import Subscription
from core.pubsub.wire import GAP, Gap, Tick

__all__ = ["GAP", "Bounds", "Closed", "Gap", "Hub", "Subscription", "Tick", "hub", "publish"]
