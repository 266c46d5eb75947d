"""A pipeline whose tasks try hard to give a secret away; where a task may fail of it, it does, and the run goes on."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from penstock import Fail, HookContext, Retry, Secret, Skip, command, current, pipeline, task, wait

PASSWORD = Secret("env:CANARY")
log = logging.getLogger("leaky")


@dataclass
class Settings:
    """Shows its password in its repr."""

    user: str
    secret: Secret = PASSWORD
    text: list[str] = field(default_factory=list)


class OwnError(Exception):
    def __init__(self, value: str) -> None:
        super().__init__(f"with {value}", {"deep": [value]}, value.encode())
        self.value = value
        self.add_note(f"note {value}")


def disguised(value: str) -> list[str]:
    data = value.encode()
    return [
        value,
        f"postgresql://me:{quote(value, safe='')}@host/db",
        json.dumps({"password": value}),
        json.dumps(json.dumps({"password": value}, ensure_ascii=False)),
        repr({"password": value}),
        data.hex(),
        data.hex().upper(),
        *(base64.b64encode(b"." * before + data + b"....").decode() for before in range(3)),
        *(base64.urlsafe_b64encode(b"." * before + data).decode() for before in range(3)),
    ]


@task
def prints(password: Secret) -> int:
    value = password.reveal()
    for text in disguised(value):
        print(text)
        print("before", text, "after", file=sys.stderr)
    for letter in value:
        print(letter, end="", flush=True)
    print()
    sys.stdout.buffer.write(value.encode())
    print("x" * 9_990 + value + "y" * 9_999 + value)
    print(f"\rprogress {value}\rlast {value}", end="")
    return len(value)


@task
def logs(password: Secret) -> None:
    value = password.reveal()
    log.error("of %s", {"password": value})
    logging.getLogger().warning(value)
    warnings.warn(f"warning {value}", stacklevel=1)
    try:
        raise OwnError(value)
    except OwnError:
        log.exception("logged with its traceback")


@task
def in_threads(password: Secret) -> None:
    value = password.reveal()

    def fails() -> None:
        print(f"in a thread {value}")
        raise OwnError(value)

    thread = threading.Thread(target=fails, name=f"thread {value}")
    thread.start()
    thread.join()


@task(retries=1)
def raises(password: Secret) -> None:
    value = password.reveal()
    try:
        try:
            raise KeyError(value)
        except KeyError as error:
            raise OwnError(value) from error
    except OwnError as error:
        raise ExceptionGroup(f"group of {value}", [error, ValueError(base64.b64encode(value.encode()))]) from None


@task
def skips(password: Secret) -> None:
    raise Skip(f"because of {password.reveal()}")


@task
def gives_up(password: Secret) -> None:
    raise Fail(f"because of {password.reveal()}")


@task(retries=1)
def asks_again(password: Secret) -> None:
    raise Retry(f"because of {password.reveal()}", after=0.01)


@wait(poll=0.05, timeout=0.3)
def waits(password: Secret) -> bool:
    raise Retry(f"not yet, {password.reveal()}")


@task
def records(password: Secret) -> None:
    value = password.reveal()
    context = current()
    context.log_metric(f"metric {value}", 1.0)
    context.log_artifact(f"name {value}", {"fine": 1})
    context.progress(1, 2)
    context.log_artifact("content", {"value": value})


@task
def returns(password: Secret, how: str) -> Any:
    value = password.reveal()
    path = current().folder / "settings.ini"
    path.write_text(f"password={value}")
    return {
        "text": value,
        "settings": Settings("me", text=[value] * 500),
        "bytes": base64.b64encode(value.encode()),
        "large": [value] * 5000,
        "file": path,
    }[how]


@task
def yields(password: Secret) -> Iterator[str]:
    yield "fine"
    yield password.reveal()


@task(allow_secrets=True)
def previews(password: Secret) -> int:
    return len(password.reveal())


@task
def settles(settings: Settings) -> str:
    print(settings, settings.secret.reveal())
    return settings.user


@task(timeout=0.5, retries=1)
def takes_too_long(password: Secret) -> None:
    print(password.reveal(), end="")
    time.sleep(30)


@task(lost_retries=0)
def is_killed(password: Secret) -> None:
    print(password.reveal())
    print(password.reveal(), end="")
    time.sleep(0.3)
    if current().parameters["deadly"]:
        os.kill(os.getpid(), signal.SIGKILL)


@task
async def asynchronous(password: Secret) -> None:
    print(password.reveal())
    await asyncio.sleep(0)
    raise OwnError(password.reveal())


@task(threads=True)
def beside_others(password: Secret) -> None:
    print(password.reveal())
    raise OwnError(password.reveal())


@task(secrets={"PGPASSWORD": "env:CANARY"})
def by_environment() -> None:
    os.system("true")
    raise OwnError(repr(dict(os.environ)))


@task
def bad_repr(password: Secret) -> Any:
    value = password.reveal()

    class Shows:
        def __repr__(self) -> str:
            return value

        def __reduce__(self) -> Any:
            raise OwnError(value)

    return Shows()


in_shell = command(
    'echo "$TOKEN"; echo "$TOKEN" >&2; echo "$TOKEN" | base64 -w0; cat token.txt; exit 3',
    environment={"TOKEN": "{token}"},
    files={"token": "token.txt"},
    inputs=["token"],
    name="in_shell",
)
in_output = command("printenv PGPASSWORD", name="in_output", secrets={"PGPASSWORD": "env:CANARY"})
in_arguments = command(["echo", "{token}"], name="in_arguments")


def hook(context: HookContext) -> None:
    raise OwnError(f"{Secret('CANARY').reveal()} {context.error_message} {context.traceback}")


@task
def numbers(password: Secret) -> list[int]:
    return [1] * (len(password.reveal()) > 0) * 2


@pipeline(on_failure=hook)
def leaking(password: Secret = PASSWORD, deadly: bool = False) -> Any:
    prints.options(on_success=hook)(password)
    logs(password)
    in_threads(password)
    raises.options(on_failure=hook, on_retry=hook)(password)
    skips(password)
    gives_up(password)
    asks_again(password)
    waits(password)
    records(password)
    for how in ("text", "settings", "bytes", "large", "file"):
        returns.options(name=f"returns_{how}")(password, how)
    yields(password)
    settles(Settings("me"))
    takes_too_long(password)
    is_killed(password)
    asynchronous(password)
    beside_others(password)
    by_environment()
    bad_repr(password)
    in_shell(token=password)
    in_output()
    in_arguments(token=password)
    prints.options(name="mapped").map([password, Secret("CANARY")])
    raises.options(name="mapped_failure").map([Secret("CANARY")])
    return previews(password)


@pipeline
def growing(password: Secret = PASSWORD) -> Any:
    if len(numbers(password)) == 2:
        prints(password)
    for number in numbers(password):
        raises.options(name=f"raises_{number}", retries=0)(password)
    return numbers(password)
