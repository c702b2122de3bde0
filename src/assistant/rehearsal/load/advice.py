"""What to set, out of what was measured, with the arithmetic. Pure."""

from dataclasses import dataclass
from math import exp, sqrt

from assistant.refilling import AFTER_BURST_S
from assistant.rehearsal.load.refill import Refill

# In this share of all moments the pool shall hold a process for the next start.
CONFIDENCE = 0.99
# A worker leaves its pool alone while agents join: for so long when it is empty, and an average
# over starts that came together, or found no process, would hide that.
LEAST_REFILL_S = AFTER_BURST_S
MAX_POOL = 100  # PREWARM_POOL_SIZE's own limit
# Nobody said how long calls last, or how often they come.
ASSUMED_CALL_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Advice:
    """`value` of a setting, and why; None: it could not be found, and `why` says what lacks."""

    setting: str
    value: int | None
    why: tuple[str, ...]


def poisson_quantile(mean: float, share: float) -> int:
    """The least number that events with this mean do not exceed in that share of the cases."""
    if mean > 500:  # exp would underflow; the normal approximation is within one of it
        return round(mean + 2.33 * sqrt(mean))
    term = total = exp(-mean)
    count = 0
    while total < share:
        count += 1
        term *= mean / count
        total += term
    return count


def advise_max_jobs(
    *, callers: int, workers: int | None, same_machine: bool, limited_by: str | None
) -> Advice:
    """`callers` kept the bar together; `limited_by`: a setting that let no more in."""
    setting = "ASSISTANT_MAX_JOBS"
    if callers < 1:
        return Advice(setting=setting, value=None, why=("not even one caller kept the bar",))
    count = workers or 1
    value = max(callers // count, 1)
    why = [
        (
            f"callers at once that kept the bar: {callers}, on {count} "
            f"{'worker' if count == 1 else 'workers'}: {callers} / {count} = {callers / count:g}, "
            f"rounded down {value}"
        )
    ]
    if workers is None:
        why.append(
            "how many workers there are is not known (/stats needs a secret key): one assumed"
        )
    if same_machine:
        why.append("a lower bound, since the callers took a part of the same machine")
    if limited_by is not None:
        why.append(f"not the machine but {limited_by} set this limit: raise it, and measure again")
    return Advice(setting=setting, value=value, why=tuple(why))


def advise_pool_size(
    *,
    refill: Refill | None,
    starts_per_s: float | None,
    max_jobs: int | None,
    call_s: float | None,
    workers: int | None,
) -> Advice:
    """`starts_per_s` over the fleet; None: what full workers get with calls of `call_s`."""
    setting = "PREWARM_POOL_SIZE"
    if refill is None:
        lacks = "no pool was seen to refill (/stats needs a secret key, and a start to watch)"
        return Advice(setting=setting, value=None, why=(lacks,))
    count = workers or 1
    if starts_per_s is not None:
        rate = starts_per_s / count
        why = [f"{60 * starts_per_s:g} starts a minute on {count} workers: {rate:.3f}/s each"]
    elif max_jobs is not None:
        length_s = call_s or ASSUMED_CALL_S
        rate = max_jobs / length_s
        assumed = "" if call_s else ", assumed (--call-length says otherwise)"
        why = [
            (
                f"a full worker gets as many starts as calls end: {max_jobs} jobs / "
                f"{length_s:g} s a call{assumed} = {rate:.3f}/s"
            )
        ]
    else:
        return Advice(setting=setting, value=None, why=("the arrival rate is not known",))
    refill_s = max(refill.mean_s, LEAST_REFILL_S)
    mean = rate * refill_s
    needed = poisson_quantile(mean, CONFIDENCE) + 1
    value = min(max(needed, 1), max_jobs or MAX_POOL, MAX_POOL)
    more = "at least " if refill.ran_dry else ""
    why += [
        (
            f"a taken process was replaced within {more}{refill.mean_s:.2f} s, mean of "
            f"{refill.taken}, seen once a second"
        ),
    ]
    if refill_s > refill.mean_s:
        why.append(
            f"counted as {refill_s:g} s: so long a worker fills no pool, to let agents join first"
        )
    why += [
        (
            f"{rate:.3f}/s x {refill_s:.2f} s = {mean:.2f} starts meanwhile on average; in "
            f"{CONFIDENCE:.0%} of the cases at most {needed - 1}, and one for the next: {needed}"
        ),
    ]
    if value != needed:
        why.append(f"bounded to {value}")
    if refill.ran_dry:
        why.append("a pool was empty in this run, so the true refill time may be longer")
    why.append("for a burst that is known beforehand: its size, if that is larger")
    return Advice(setting=setting, value=value, why=tuple(why))
