"""The counts of a workflow."""

from domain.executions import analytics
from schema.views import plain, view


@view(analytics.Stats, description="What has become of those who came into a workflow; exact at every moment.")
class WorkflowStats:
    """Counts."""

    total_executions: int = plain("Executions that ever began.")
    running: int = plain("RUNNING ones.")
    completed: int = plain("COMPLETED ones.")
    failed: int = plain("FAILED ones.")
    exited: int = plain("EXITED ones: by the goal, by the exit condition, or by an exit node.")
    cancelled: int = plain("CANCELLED ones.")
    converted: int = plain("Those with the goal reached, also after their end.")
    completion_rate: float | None = plain("COMPLETED over all, 0 to 1; null where nobody came in.")
    conversion_rate: float | None = plain("With the goal reached, over all, 0 to 1; null where nobody came in.")
    avg_duration: float | None = plain("Seconds that a COMPLETED one took; null before the first.")
