"""How a worker process begins."""

import gc
import os

from dramatiq import Broker, Middleware

from core.config import config

OBJECTS = 100_000
"""So many are made before garbage is looked for among them: a micro-batch alone has tens of thousands that it keeps
until its end, and with Python's 700 a third of the time went to looking."""


class Booting(Middleware):
    """Sets what is the process's own, in the process."""

    def after_process_boot(self, broker: Broker) -> None:  # noqa: ARG002 - as Dramatiq calls it
        """Leave the processor to those who answer people; what is loaded by now stays for good."""
        gc.freeze()
        gc.set_threshold(OBJECTS, 20, 50)
        if hasattr(os, "nice"):
            os.nice(config().worker_niceness)
