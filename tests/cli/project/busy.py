"""Tasks that wait for everything there is to wait for, for those who ask why."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from penstock import approval, current, pipeline, task, wait


@task
def hold(name: str, number: int = 0) -> int:
    Path(f"running-{current().id}").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    return number


@wait(poll=600, timeout=3600, on_timeout="skip")
def there() -> bool:
    Path("running-there").touch()
    return False


@task(retries=1, retry_delay=600)
def flaky() -> int:
    Path("running-flaky").touch()
    raise OSError("the line is busy")


@task
def after(*values: Any) -> int:
    return len(values)


@pipeline
def busy() -> Any:
    waited, failed = there.options(priority=20)(), flaky.options(priority=20)()
    pooled = hold.options(name="pooled", pools=["db"], priority=9)("pooled")
    limited = hold.options(name="limited", concurrency=1, priority=8).map_kwargs(
        [{"name": "limited", "number": number} for number in range(2)]
    )
    narrow = hold.options(name="narrow", max_parallel=1, priority=7).map_kwargs(
        [{"name": "narrow", "number": number} for number in range(3)]
    )
    refused = hold.options(name="refused", pools=["db"])("refused")
    queued = hold.options(name="queued", priority=-9)("queued")
    signed = approval("Ship it?", name="sign_off", deadline=7200, default="reject")()
    return after.options(name="deploy")(waited, failed, pooled, limited, narrow, refused, queued, signed.approved)


@pipeline(concurrency=1)
def same() -> Any:
    return hold.options(name="also")("pooled")
