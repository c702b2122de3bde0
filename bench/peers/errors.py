"""What can go wrong with a peer."""

from dataclasses import dataclass

from bench.errors import BenchError


@dataclass
class EnvironmentFailedError(BenchError):
    """A peer's packages could not be installed."""

    peer: str
    reason: str

    def __str__(self) -> str:
        return (
            f"the environment of {self.peer} could not be made: {self.reason}; install what "
            f"bench/peers/{self.peer}/requirements.txt names by hand to see why"
        )
