"""Floor 4: GraphQL verbs. The three roots, by inheritance from each noun's."""

import strawberry

from resolvers import auth, contacts, devices, in_app_messages
from resolvers.broadcasts import live as broadcasts_live
from resolvers.broadcasts import read as broadcasts_read
from resolvers.broadcasts import write as broadcasts_write


@strawberry.type(description="Read.")
class Query(auth.Query, contacts.Query, broadcasts_read.Query):
    """Read."""


@strawberry.type(description="Change.")
class Mutation(auth.Mutation, contacts.Mutation, devices.Mutation, in_app_messages.Mutation, broadcasts_write.Mutation):
    """Change."""


@strawberry.type(description="Watch.")
class Subscription(in_app_messages.Subscription, broadcasts_live.Subscription):
    """Watch."""
