"""Secrets in pipelines: declared, checked, read by tasks, and kept out of what is recorded."""

from __future__ import annotations

import base64
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from searching import leaks

from penstock import (
    DefinitionError,
    HookContext,
    ParameterError,
    Pipeline,
    Run,
    Secret,
    SecretError,
    command,
    current,
    pipeline,
    task,
    when,
)


def run(made: Pipeline[..., Any], **parameters: Any) -> Run:
    return made.options(executor="inline").run(**parameters)


@task
def length(password: Secret = Secret("CANARY")) -> int:
    return len(password.reveal())


@dataclass
class Login:
    user: str
    password: Secret


@task
def logged_in(login: Login) -> str:
    return f"{login.user}:{len(login.password.reveal())}"


@pipeline
def through_parameters(password: Secret = Secret("env:CANARY")) -> int:
    return length(password)


@pipeline
def by_default() -> int:
    return length()


@pipeline
def in_a_record(login: Login) -> str:
    return logged_in(login)


@pipeline
def in_a_fan_out() -> list[int]:
    return length.map([Secret("CANARY"), Secret("file:other")])


def test_a_task_reads_a_secret_that_it_is_given(canary: str, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("twelve chars\n")
    assert run(through_parameters).result == len(canary)
    assert run(through_parameters, password="file:other").result == 12
    assert run(by_default).result == len(canary)
    assert run(in_a_fan_out).result == [len(canary), 12]
    told = run(in_a_record, login={"user": "me", "password": "env:CANARY"})
    assert told.result == f"me:{len(canary)}"
    assert told.parameters == {"login": {"user": "me", "password": "env:CANARY"}}
    assert leaks(tmp_path, canary) == []


@pytest.mark.usefixtures("canary")
def test_a_rotated_secret_leaves_results_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    run(through_parameters)
    monkeypatch.setenv("CANARY", "quite another value")
    assert run(through_parameters).document["tasks"][0]["state"] == "cached"


def test_secrets_that_are_missing_are_told_before_anything_runs() -> None:
    with pytest.raises(DefinitionError) as caught:
        run(in_a_fan_out)
    assert "2 secrets are missing" in str(caught.value)
    assert "environment variable CANARY" in str(caught.value)
    assert "No such file" in str(caught.value)
    assert "test_secrets_in_runs.py:" in str(caught.value)


@task
def never(password: Secret) -> str:
    return password.reveal()


@pipeline
def guarded(go: bool = False) -> int:
    with when(go):
        never(Secret("NOT_THERE"))
    return 1


def test_what_stands_behind_a_condition_is_not_asked_for_before() -> None:
    assert run(guarded).state == "succeeded"
    failed = run(guarded, go=True)
    [told] = [each for each in failed.document["tasks"] if each["state"] == "failed"]
    assert "there is no environment variable NOT_THERE" in told["error"]


@task(retries=3)
def reads_later(name: str) -> int:
    return len(Secret(name).reveal())


@pipeline
def later(name: str) -> int:
    return reads_later(name)


def test_a_missing_secret_is_not_tried_again() -> None:
    ended = run(later, name="NOT_THERE")
    assert [each["attempts"] for each in ended.document["tasks"]] == [1]
    with pytest.raises(SecretError, match="NOT_THERE"):
        _ = ended.result


@pytest.mark.parametrize("given", ["hunter2-plain", "postgres://me:hunter2-plain@db", 7])
def test_a_plain_value_for_a_secret_is_refused_and_not_shown(given: Any) -> None:
    with pytest.raises(ParameterError) as caught:
        run(through_parameters, password=given)
    assert "hunter2" not in str(caught.value)
    assert "env:NAME" in str(caught.value)


def test_a_text_is_no_secret_of_a_task() -> None:
    @pipeline
    def wrong() -> int:
        return length("hunter2-plain")  # type: ignore[arg-type]

    with pytest.raises(DefinitionError) as caught:
        run(wrong)
    assert "hunter2" not in str(caught.value)
    assert 'Secret("env:NAME")' in str(caught.value)


@task(secrets={"PGPASSWORD": "env:CANARY"})
def in_the_environment() -> bool:
    print("the password is", os.environ["PGPASSWORD"])
    return os.environ["PGPASSWORD"] == os.environ["CANARY"]


@pipeline
def with_variable() -> bool:
    return in_the_environment()


def test_a_secret_is_in_the_environment_of_an_attempt_only(
    canary: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = run(with_variable)
    assert ended.result is True
    assert "PGPASSWORD" not in os.environ
    assert "the password is ***" in capfd.readouterr().out
    assert leaks(tmp_path, canary) == []


@pytest.mark.parametrize("secrets", [["A B"], {"A": "hunter2!"}, ["file:/x"], {"a-b": "env:X"}, 7])
def test_wrong_options_are_refused_and_not_shown(secrets: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        task(secrets=secrets)
    assert "hunter2" not in str(caught.value)


def test_a_task_beside_others_has_no_environment_of_its_own() -> None:
    with pytest.raises(DefinitionError, match="password: Secret"):
        task(threads=True, secrets=["CANARY"])


@task
def gives_away(password: Secret, how: str) -> Any:
    value = password.reveal()
    forms: dict[str, Any] = {
        "text": f"pw={value}",
        "bytes": b"..." + value.encode() + b"...",
        "deep": {"a": [(1, {"b": value})]},
        "base64": base64.b64encode(b"x" + value.encode() + b"yyy").decode(),
        "large": "x" * 100_000 + value,
        "object": Held(value),
    }
    if how == "file":
        path = current().folder / "out.txt"
        path.write_text("x" * 5000 + value)
        return path
    return forms[how]


class Held:
    def __init__(self, value: str) -> None:
        self.value = value


@pipeline
def giving_away(how: str, password: Secret = Secret("CANARY")) -> Any:
    return gives_away(password, how)


@pytest.mark.parametrize("how", ["text", "bytes", "deep", "base64", "large", "object", "file"])
def test_a_result_with_a_secret_in_it_fails_its_task(how: str, canary: str, tmp_path: Path) -> None:
    ended = run(giving_away, how=how)
    with pytest.raises(SecretError, match="the result contains the secret env:CANARY") as caught:
        _ = ended.result
    assert "allow_secrets=True" in str(caught.value)
    assert leaks(tmp_path, canary) == []


@task(allow_secrets=True)
def writes_settings(password: Secret) -> str:
    return f"password = {password.reveal()}"


@pipeline
def writing_settings() -> str:
    return writes_settings(Secret("CANARY"))


def test_a_result_with_a_secret_may_be_allowed(canary: str) -> None:
    assert run(writing_settings).result == f"password = {canary}"


@task
def says(password: Secret) -> None:
    value = password.reveal()
    print("in the middle of", value, "a line")
    print(value[:7], end="")
    print(value[7:], "in two writes")
    print("x" * 9_990, value, end="")
    logging.getLogger("mine").warning("the password is %r", value)
    current().log_metric(f"metric of {value}", 1.0)
    current().log_artifact(f"artifact {value}", [1, 2])


@pipeline
def saying() -> None:
    says(Secret("CANARY"))


def test_what_a_task_says_is_masked(canary: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ended = run(saying)
    assert ended.state == "succeeded"
    assert ended.metrics == {"metric of ***": 1.0}
    shown = capfd.readouterr()
    assert "in the middle of *** a line" in shown.out + shown.err
    assert leaks(tmp_path, canary, shown.out, shown.err) == []


class OwnError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@task
def raises(password: Secret) -> None:
    value = password.reveal()
    try:
        raise ValueError(f"inner {value}")
    except ValueError as error:
        raise OwnError(f"outer {base64.b64encode(value.encode()).decode()} {value}") from error


@pipeline
def raising() -> None:
    raises(Secret("CANARY"))


def test_an_exception_comes_back_masked(canary: str, tmp_path: Path) -> None:
    with pytest.raises(OwnError) as caught:
        _ = run(raising).result
    assert caught.value.text.startswith("outer ***")
    assert "inner ***" in "".join(caught.value.__notes__)
    assert leaks(tmp_path, canary, repr(vars(caught.value)), str(caught.value.__notes__)) == []


told: list[str] = []


def reports(context: HookContext) -> None:
    told.append(f"{context.error_message} {context.traceback} {context.parameters}")
    raise RuntimeError(f"no answer to {Secret('CANARY').reveal()}")


@pipeline
def hooked() -> None:
    raises.options(on_failure=reports)(Secret("CANARY"))


def test_hooks_are_told_nothing_and_what_they_raise_is_masked(canary: str, tmp_path: Path) -> None:
    run(hooked)
    assert "outer ***" in told[0]
    assert leaks(tmp_path, canary, *told) == []


uses_variable = command(
    'printf "%s" "$TOKEN" | wc -c; echo "it is $TOKEN" >&2; exit 0', environment={"TOKEN": "{token}"}, inputs=["token"]
)
in_line = command("echo {token}", name="in_line")
in_arguments = command(["echo", "{token}"], name="in_arguments")
in_file = command(["wc", "-c", "token.txt"], files={"token": "token.txt"}, name="in_file")


def commanding(which: str) -> Pipeline[..., Any]:
    made: Any = {"variable": uses_variable, "line": in_line, "arguments": in_arguments, "file": in_file}[which]

    @pipeline
    def commands() -> Any:
        return made(token=Secret("CANARY"))

    return commands


@pytest.mark.parametrize("which", ["variable", "file"])
def test_commands_get_secrets_by_variables_and_files(which: str, canary: str, tmp_path: Path) -> None:
    ended = run(commanding(which))
    assert ended.state == "succeeded"
    assert leaks(tmp_path, canary) == []


@pytest.mark.parametrize("which", ["line", "arguments"])
@pytest.mark.usefixtures("canary")
def test_no_secret_stands_in_a_command_itself(which: str) -> None:
    ended = run(commanding(which))
    with pytest.raises(SecretError, match="all users of the machine") as caught:
        _ = ended.result
    assert 'environment={"TOKEN": "{token}"}' in str(caught.value)


@task
def connected(address: Any) -> int:
    return len(str(address))


@task
def three() -> int:
    return 3


@pipeline
def revealing(how: str, password: Secret = Secret("env:CANARY")) -> Any:
    value = password.reveal()
    match how:
        case "text":
            return connected(f"postgresql://app:{value}@db")
        case "tuple":
            return connected((1, value))
        case "bytes":
            return connected({"key": value.encode()})
        case "items":
            return connected.map([value, "other"])
        case "command":
            return command(f"echo '{value}'", name="connected")()
        case _:
            return [connected(1), value]


@pipeline
def revealing_later(how: str, password: Secret = Secret("env:CANARY")) -> Any:
    if three() == 3:
        value = password.reveal()
        if how == "returned":
            return value
        return connected(value if how == "text" else [{1: value}])
    return None


@pytest.mark.parametrize("how", ["text", "tuple", "bytes", "items", "command", "returned"])
def test_a_secret_that_a_body_has_revealed_is_not_recorded(how: str, canary: str, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="the value of the secret env:CANARY") as caught:
        run(revealing, how=how)
    assert ("returns" if how == "returned" else "connected") in caught.value.what
    assert "Pass on the Secret itself" in (caught.value.remedy or "")
    assert leaks(tmp_path, canary, str(caught.value)) == []


@pytest.mark.parametrize("how", ["text", "list", "returned"])
def test_nor_is_one_that_was_revealed_while_the_run_goes_on(how: str, canary: str, tmp_path: Path) -> None:
    ended = run(revealing_later, how=how)
    assert ended.state == "failed"
    with pytest.raises(DefinitionError, match="the value of the secret env:CANARY"):
        _ = ended.result
    assert leaks(tmp_path, canary) == []


def test_nor_is_one_that_is_given_as_a_parameter(canary: str, tmp_path: Path) -> None:
    @pipeline
    def plain(address: str) -> int:
        return connected(address)

    address = f"at {Secret('env:CANARY').reveal()}"
    with pytest.raises(DefinitionError, match="the parameter address has the value of the secret env:CANARY"):
        run(plain, address=address)
    assert leaks(tmp_path, canary) == []
