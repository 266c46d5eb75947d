"""Flows whose graph is not known as a whole, as `penstock convert` shows them: their own text, for penstock."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from penstock.registering.exporting import exported
from penstock.registering.loading import load_pipeline

PARTS = '''
from prefect import flow, get_run_logger, task, unmapped

HIGH = 20
SEEN = []


@task(retries=2, retry_delay_seconds=[0.1, 1], timeout_seconds=30)
def step(x: int) -> int:
    get_run_logger().info("at %s", x)
    return x * 2


@task
def pages(n: int) -> list[int]:
    return list(range(n))


@task(persist_result=False)
def scaled(page: int, by: int) -> int:
    return page * by


@task(name="sum up")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task(persist_result=False)
def seen(text: str) -> None:
    SEEN.append(text)


@task(persist_result=False)
def so_far() -> list[str]:
    found = list(SEEN)
    SEEN.clear()
    return found


def label(number: int) -> str:
    """How a number is shown."""
    return f"<{number:03}>"


@flow(name="climb up")
def climb(start: int, limit: int = HIGH) -> int:
    """Climb."""
    x = start
    # until it is there
    while x < limit:
        x = step(x)
    return x

'''
WHOLE = """
@flow
def whole(n: int = 3, by: int = 2) -> dict:
    logger = get_run_logger()
    found = pages(n)
    logger.info("found %s pages", len(found))

    # all pages at once
    futures = [scaled.submit(page, by=by) for page in found]
    sizes = [future.result() for future in futures]
    mapped = scaled.map(found, unmapped(by))
    late = step.submit(1, wait_for=[mapped, futures])  # é
    if max(sizes) > HIGH:
        return {}
    top = climb(total(mapped), limit=30)
    return {"sizes": sizes, "sum": total(mapped.result()), "late": late.result(), "label": label(top)}
"""
FLOWS = {
    "order": """
    seen("a")
    seen.submit("b").result()
    for each in pages(2):
        seen(str(each))
    x = step(1)
    seen("c")
    return so_far(), x
    """,
    "futures": """
    futures, by = [], {}
    for number, page in enumerate(pages(3)):
        futures.append(step.submit(page))
        by[number] = step.submit(number + 10)
    last = futures[-1].result()
    if last > 3:
        futures = futures[:2]
    return {"all": [each.result() for each in futures], "by": {k: f.result() for k, f in by.items()}, "last": last}
    """,
    "fixed": """
    found = scaled.map(pages(n), n)
    more = scaled.map(found, by=10).result()
    return [label(each) for each in more if each > 5] + more
    """,
    "parts": """
    future = step.submit(n)
    x = step(n)
    y = climb(x)
    return [climb(future), climb(x + 1, limit=9), y, climb(start=future.result())]
    """,
    "values": """
    value = step(n)
    if isinstance(value, int) and n is not None:
        value = step(total([value, n]))
    words = {step(1): "two", "n": label(n)}
    return [value, words[2], words["n"], step(3) if total([n, 1]) > 2 else None]
    """,
    "waiting": """
    first = seen.submit("first")
    second = seen.submit(wait_for=[first], text="second")
    third = so_far.submit(wait_for=[second])
    if len(third.result()) > 5:
        seen("never")
    return third.result()
    """,
}
#: what has no counterpart, so that it stays a comment
LEFT = {
    "caught": """
    try:
        return label(step.submit(n).result())
    except ValueError:
        return label(0)
    """,
    "states": """
    found = step(n, return_state=True)
    return label(found.result())
    """,
    "options": """
    return label(step.with_options(retries=1)(n))
    """,
    "handed": """
    future = step.submit(n)
    return isinstance(future, int), label(step(n))
    """,
    "indirect": """
    return [label(each) for each in map(step, pages(n))]
    """,
    "texts": '''
    return label(step(n)) + """
    and more"""
    ''',
}


def flow_file(folder: Path, name: str, body: str) -> Path:
    file = folder / f"{name}.py"
    file.write_text(f"{PARTS}\n@flow\ndef {name}(n: int = 3):\n{textwrap.indent(textwrap.dedent(body), '    ')}")
    return file


def converted(file: Path, name: str) -> str:
    return exported(load_pipeline(f"{file}:{name}"), "penstock", stem="it", draft=True).written.text


def outputs_of(file: Path, name: str, home: Path) -> Any:
    run = load_pipeline(f"{file}:{name}").options(executor="inline", progress=False, home=str(home)).run()
    assert run.state == "succeeded"
    return run.outputs


def same(tmp_path: Path, file: Path, name: str) -> str:
    """The native form of a flow, which gives the same."""
    native = tmp_path / f"{name}_native.py"
    native.write_text(converted(file, name))
    assert outputs_of(native, name, tmp_path / "native") == outputs_of(file, name, tmp_path / "original")
    return native.read_text()


def test_a_dynamic_flow_becomes_a_pipeline_that_gives_the_same(tmp_path: Path) -> None:
    file = tmp_path / "whole.py"
    file.write_text(PARTS + WHOLE)
    text = same(tmp_path, file, "whole")
    assert "@task(retries=2, timeout=30, retry_delay=[0.1, 1])\ndef step(x: int) -> int:" in text
    assert '@pipeline(name="climb up")\ndef climb(start: int, limit: int = HIGH) -> int:\n    """Climb."""' in text
    assert "    # until it is there\n    while x < limit:\n        x = step(x)\n" in text
    assert "    # all pages at once\n    futures = [scaled(page, by=by) for page in found]\n" in text
    assert "late = step.options(after=[mapped, futures])(1)  # é" in text
    assert "prefect" not in text


def test_direct_calls_run_one_after_the_other(tmp_path: Path) -> None:
    text = same(tmp_path, flow_file(tmp_path, "order", FLOWS["order"]), "order")
    assert 'value(seen("a"))\n    value(seen("b"))' in text


ANSWERED = """
from prefect import flow, task

def tell(*about): ...

@task(on_failure=[tell])
def risky(x: int) -> int:
    if x > 2:
        raise ValueError(f"{x} is too large")
    return x

@flow(retries=1, on_failure=[tell])
def answered(n: int = 3):
    try:
        found = risky(n)
    except ValueError as error:
        return f"{error}, not {risky(2)}"
    return f"fine: {found}"
"""


def test_failures_are_answered_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    file = tmp_path / "answered.py"
    file.write_text(ANSWERED)
    assert "    try:\n        found = value(risky(n))\n    except ValueError as error:\n" in same(
        tmp_path, file, "answered"
    )
    written = exported(load_pipeline(f"{file}:answered"), "penstock", stem="it", draft=True).written
    told = [each.how for each in written.accounts if each.grade == "changed"]
    assert "on_failure is left out: tell, which takes what Prefect tells" in told
    assert "answered is not repeated as a whole where it fails: give its tasks retries" in told
    assert "the hooks of risky are left out: they take what Prefect tells" in told


def test_what_has_no_counterpart_stays_a_comment(tmp_path: Path) -> None:
    for name in ("caught", "handed"):
        assert "raise NotImplementedError(" in converted(flow_file(tmp_path, name, LEFT[name]), name)


STARTED = """
from prefect.deployments import run_deployment


@flow
def child(n: int = 1):
    return step(n) if step(n) > n else n


@flow
def parent():
    run = run_deployment("child/nightly")
    return run.state.result()
"""


def test_the_comment_shows_the_flow_itself_where_another_asks_for_a_value(tmp_path: Path) -> None:
    file = tmp_path / "started.py"
    file.write_text(PARTS + STARTED)
    text = converted(file, "parent")
    assert '#         run = run_deployment("child/nightly")\n' in text
    assert "def child" not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in FLOWS if each != "order"])
def test_rewritten_flows_give_the_same(tmp_path: Path, name: str) -> None:
    assert "prefect" not in same(tmp_path, flow_file(tmp_path, name, FLOWS[name]), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in LEFT if each not in ("caught", "handed")])
def test_more_of_what_has_no_counterpart(tmp_path: Path, name: str) -> None:
    assert "raise NotImplementedError(" in converted(flow_file(tmp_path, name, LEFT[name]), name)


@pytest.mark.slow
def test_what_is_not_waited_for_is_told(tmp_path: Path) -> None:
    file = flow_file(tmp_path, "unseen", 'lost = seen.submit("x")\nseen.submit("y")\nreturn label(step(n))')
    written = exported(load_pipeline(f"{file}:unseen"), "penstock", stem="it", draft=True).written
    changed = [each.how for each in written.accounts if each.grade == "changed"]
    assert [each.partition(" and ")[0] for each in changed] == [
        f"what is submitted in line {line}" for line in (58, 59)
    ]


@pytest.mark.slow
def test_tasks_that_plain_functions_call_stay_a_comment(tmp_path: Path) -> None:
    file = flow_file(tmp_path, "hidden", "return twice(n), label(step(n))")
    file.write_text(file.read_text() + "\n\ndef twice(n: int) -> int:\n    return step(step(n))\n")
    assert "raise NotImplementedError(" in converted(file, "hidden")


@pytest.mark.slow
def test_a_body_on_the_line_of_its_head_stays_a_comment(tmp_path: Path) -> None:
    file = tmp_path / "short.py"
    file.write_text(
        PARTS + "\n@flow\ndef short(n: int = 3,\n          m: int = 2) -> list: return [label(step(n)), m]\n"
    )
    assert "raise NotImplementedError(" in converted(file, "short")


@pytest.mark.slow
def test_tasks_and_flows_of_other_files_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rewritten_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "calling.py"
    head = "import rewritten_parts\nfrom prefect import flow\nfrom rewritten_parts import climb, label, step\n"
    body = "\n\n@flow\ndef calling(n: int = 2) -> list:\n    found = step(n)\n    return [label(found), climb(found)]\n"
    file.write_text(head + body)
    assert "def climb(start: int, limit: int = HIGH)" in same(tmp_path, file, "calling")
    by_module = tmp_path / "by_module.py"
    by_module.write_text(head + body.replace("label(found)", "label(rewritten_parts.step(n))"))
    assert "raise NotImplementedError(" in converted(by_module, "calling")
