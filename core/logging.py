"""Structured logs. They hold no secret and no message body: log ids, counts, codes."""

import logging
import sys

import structlog

from core.config import config


def configure_logging() -> None:
    """Send structlog and the standard library's loggers to stderr, as JSON lines or for people."""
    level = logging.getLevelNamesMapping().get(config().log_level.upper(), logging.INFO)
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if config().log_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", force=True)
    logging.getLogger("dramatiq").setLevel(max(level, logging.WARNING))
