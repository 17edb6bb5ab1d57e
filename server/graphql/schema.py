"""The schema of the product: the only schema object of a process."""

from functools import cache

from resolvers import Mutation, Query, Subscription
from server.graphql.build import Schema, build_schema


@cache
def schema() -> Schema:
    """Built at first use, with the limits of this process's configuration."""
    return build_schema(Query, Mutation, Subscription)
