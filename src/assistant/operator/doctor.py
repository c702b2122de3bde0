"""`python -m assistant doctor`: looks at every part of a deployment, and tries it once."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field

from redis.asyncio import Redis
from rich.console import Console
from rich.markup import escape

from assistant.findings import Finding, Level, fail
from assistant.operator.check_environment import check_agents, read_settings
from assistant.operator.check_livekit import check_livekit
from assistant.operator.check_redis import check_redis
from assistant.operator.check_service import check_service, check_workers
from assistant.operator.check_vendors import check_vendors
from assistant.operator.location import find_url, read_local_stack
from assistant.operator.service import Service
from assistant.operator.sessions import print_stages
from assistant.operator.trial import Trial
from assistant.sessions.store.client import connect
from assistant.sessions.store.workers import WorkerRegistry
from assistant.settings import WorkerSettings

EXIT_OK = 0
EXIT_FAILED = 1
_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@dataclass(frozen=True)
class DoctorOptions:
    """`url` None: as `location.find_url` finds it. `has_trial`: start a session for a moment."""

    url: str | None = None
    key: str | None = field(default=None, repr=False)
    has_trial: bool = True
    asks_vendors: bool = False
    as_json: bool = False


async def examine(options: DoctorOptions, environ: Mapping[str, str], console: Console) -> int:
    """Print each finding as it is made; returns the exit code: 0 if nothing failed."""
    stack = read_local_stack(environ)
    url = find_url(options.url, environ)
    if stack is not None and stack.service_url == url:
        environ = stack.fill_in(environ)
    findings: list[Finding] = []
    settings, found = read_settings(environ)
    async with Service(url, key=options.key) as service:
        trial = Trial(service)
        for finding in found:
            _print(console, finding, options)
        findings += found
        if settings is not None:
            has_stand_ins = stack is not None and stack.has_stand_ins
            for finding in check_agents(settings, environ, has_stand_ins=has_stand_ins):
                findings.append(finding)
                _print(console, finding, options)
        async for finding in _network(settings, service, trial, options):
            findings.append(finding)
            _print(console, finding, options)
    failed = sum(finding.level is Level.FAIL for finding in findings)
    if options.as_json:
        stages = [asdict(stage) for stage in trial.stages]
        told = {"findings": [asdict(f) for f in findings], "trial": stages, "failed": failed}
        console.out(json.dumps(told), highlight=False)
    else:
        print_stages(console, trial.stages)
        works = "everything works"
        if not options.asks_vendors and not (stack is not None and stack.has_stand_ins):
            works += ", as far as it was tried; --vendors asks the vendors too"
        console.print(
            f"{failed} of {len(findings)} checks failed" if failed else works,
            style="red" if failed else "green",
        )
    return EXIT_FAILED if failed else EXIT_OK


async def _network(
    settings: WorkerSettings | None, service: Service, trial: Trial, options: DoctorOptions
) -> AsyncIterator[Finding]:
    if settings is not None:
        async for finding in _servers(settings, service):
            yield finding
        if options.asks_vendors:
            async for finding in check_vendors(settings):
                yield finding
    is_there = True
    async for finding in check_service(service):
        is_there = finding.level is not Level.FAIL or "no token service" not in finding.detail
        yield finding
    if options.has_trial and is_there:
        async for finding in trial.run():
            yield finding


async def _servers(settings: WorkerSettings, service: Service) -> AsyncIterator[Finding]:
    try:
        redis: Redis = connect(settings.redis_url)
    except ValueError as error:
        yield fail("redis", f"REDIS_URL: {error}", "write it as redis://host:port/0")
        return
    try:
        async for finding in check_redis(redis):
            yield finding
        async for finding in check_livekit(settings, settings.room_prefix):
            yield finding
        registry = WorkerRegistry(redis, keep_s=settings.session_retention_s)
        async for finding in check_workers(registry, service, settings.agent_name):
            yield finding
    finally:
        await redis.aclose()


def _print(console: Console, finding: Finding, options: DoctorOptions) -> None:
    if options.as_json:
        return
    level = f"[{_COLOURS[finding.level]}]{finding.level:<4}[/]"
    console.print(f"{level} {finding.check:<18} {escape(finding.detail)}")
    if finding.remedy is not None:
        console.print(f"     {'':<18} -> {escape(finding.remedy)}", style="bold")
