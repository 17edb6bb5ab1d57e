"""Floor 4: GraphQL verbs. The three roots, by inheritance from each noun's."""

import strawberry

from resolvers import (
    api_keys,
    assignment,
    attachments,
    audit,
    auth,
    automations,
    channel_accounts,
    contacts,
    conversations,
    devices,
    enrolments,
    events,
    executions,
    in_app_messages,
    labels,
    live_conversations,
    messages,
    notifications,
    opt_outs,
    passwords,
    presence,
    rate_limits,
    segments,
    sending_limits,
    settings,
    suppressions,
    team,
    two_factors,
    typists,
    viewer,
    webhooks,
    workflows,
)
from resolvers.broadcasts import live as broadcasts_live
from resolvers.broadcasts import read as broadcasts_read
from resolvers.broadcasts import write as broadcasts_write


@strawberry.type(description="Read.")
class Query(
    auth.Query,
    viewer.Query,
    two_factors.Query,
    settings.Query,
    team.Query,
    api_keys.Query,
    audit.Query,
    channel_accounts.Query,
    contacts.Query,
    suppressions.Query,
    segments.Query,
    attachments.Query,
    broadcasts_read.Query,
    conversations.Query,
    assignment.Query,
    messages.Query,
    labels.Query,
    workflows.Query,
    executions.Query,
    webhooks.Query,
    notifications.Query,
    enrolments.Query,
):
    """Read."""


@strawberry.type(description="Change.")
class Mutation(
    auth.Mutation,
    viewer.Mutation,
    passwords.Mutation,
    two_factors.Mutation,
    team.Mutation,
    api_keys.Mutation,
    settings.Mutation,
    rate_limits.Mutation,
    sending_limits.Mutation,
    channel_accounts.Mutation,
    contacts.Mutation,
    opt_outs.Mutation,
    suppressions.Mutation,
    devices.Mutation,
    events.Mutation,
    segments.Mutation,
    in_app_messages.Mutation,
    broadcasts_write.Mutation,
    conversations.Mutation,
    assignment.Mutation,
    messages.Mutation,
    labels.Mutation,
    typists.Mutation,
    workflows.Mutation,
    executions.Mutation,
    webhooks.Mutation,
    notifications.Mutation,
    automations.Mutation,
    enrolments.Mutation,
):
    """Change."""


@strawberry.type(description="Watch.")
class Subscription(
    in_app_messages.Subscription,
    broadcasts_live.Subscription,
    live_conversations.Subscription,
    typists.Subscription,
    presence.Subscription,
    settings.Subscription,
    executions.Subscription,
    webhooks.Subscription,
    notifications.Subscription,
):
    """Watch."""
