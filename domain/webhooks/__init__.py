"""Webhooks: where an app is told what happened. What is told stands in `domain.webhook_events`."""
