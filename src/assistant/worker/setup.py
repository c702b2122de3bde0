"""What every job process begins with; each gets it as it is when the process is started."""

from dataclasses import dataclass

from livekit.agents import JobProcess

from assistant.worker import job


@dataclass
class Setup:
    """Sent to each new job process, and called there.

    `source` is that of the catalog in force: no process reads agents.yaml by itself, so that a
    file which is wrong, or half written, keeps none of them from getting ready.
    `worker` is the name under which the worker beats; `default_agent` talks in jobs that come
    without a session, None: the catalog's default.
    """

    worker: str
    source: str
    default_agent: str | None = None

    def __call__(self, process: JobProcess) -> None:
        job.prewarm(
            process, worker=self.worker, source=self.source, default_agent=self.default_agent
        )
