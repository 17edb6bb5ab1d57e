"""Structured logs. They hold no secret and no message body: log ids, counts, codes."""

import logging
import sys

import structlog

from core.config import config
from core.redaction import redact, traced


def configure_logging() -> None:
    """Send structlog and the standard library's loggers to stderr, as JSON lines or for people.

    Libraries never log below INFO: what they tell about their work there holds messages and tokens.
    """
    level = logging.getLevelNamesMapping().get(config().log_level.upper(), logging.INFO)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_shared(), _renderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name], processors=[remove_meta, *_shared(), _renderer()]
        )
    )
    logging.basicConfig(level=max(level, logging.INFO), handlers=[handler], force=True)
    logging.getLogger("dramatiq").setLevel(max(level, logging.WARNING))


def _shared() -> list[structlog.types.Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(traced),
        redact,
    ]


def _renderer() -> structlog.types.Processor:
    if config().log_json:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
