"""Processes as the operating system sees them: CPU seconds and memory, of Linux alone."""

import os
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def below(pid: int) -> list[int]:
    """`pid` and every process below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [pid, *(one for child in found for one in below(child))]


def cpu_seconds(pids: list[int]) -> float:
    """CPU seconds, in the program and in the system, that the processes have taken."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids if _is_there(pid)]
    return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS


def megabytes(pid: int) -> float:
    """Resident memory of a process; 0 when it is gone."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6 if _is_there(pid) else 0.0


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists()


@dataclass
class Memory:
    """The most memory that each process of some was seen to take, in MB."""

    pids: list[int]
    most: dict[int, float] = field(default_factory=dict)

    def look(self) -> None:
        """Look once."""
        for pid in self.pids:
            self.most[pid] = max(self.most.get(pid, 0.0), megabytes(pid))
