"""The options of tasks, and the policy that they amount to."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from refusals import in_body, refusal

from penstock import DefinitionError, NotFoundError, Task, pipeline, task
from penstock.authoring.options.hooks import Attached, Hooks
from penstock.model.expression import Constant
from penstock.model.graph import Fallback, Node
from penstock.model.policy import Policy, Resources, Retries, Timeouts


@task
def fit(depth: int = 1) -> float:
    return float(depth)


@task
def cheap(depth: int = 1) -> float:
    return 0.0


def told(context: Any) -> None: ...


def also_told(context: Any) -> None: ...


def transient(error: BaseException) -> bool:
    return "busy" in str(error)


def test_retries() -> None:
    made = fit.options(
        retries=3, retry_delay=[1, timedelta(seconds=5)], backoff=2, retry_cap=60, retry_jitter=0.1,
        retry_on=(OSError, NotFoundError), never_retry_on=ValueError, lost_retries=1,
    )  # fmt: skip
    assert made.policy.retries == Retries(
        count=3,
        delays=(1.0, 5.0),
        factor=2.0,
        cap=60.0,
        jitter=0.1,
        on=("builtins.OSError", "penstock.errors.NotFoundError"),
        never=("builtins.ValueError",),
        lost=1,
    )


def test_all_else() -> None:
    made = fit.options(
        timeout=timedelta(minutes=1), total_timeout=90, queue_timeout=None, cpu=2, memory="2GB", memory_cap="16 GiB", gpu=1,
        pools=["db"], strict=True, cache=False, concurrency=4, priority=-1, deadline=3600, threads=True, tags=["slow"],
    )  # fmt: skip
    assert made.policy == Policy(
        timeouts=Timeouts(60.0, 90.0),
        resources=Resources(2.0, 2_000_000_000, 16 * 2**30, 1, {"db": 1}, strict=True),
        cache=False,
        concurrency=4,
        priority=-1,
        deadline=3600.0,
        run_in="thread",
        tags=("slow",),
    )
    assert fit.policy == Policy()


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2_000_000_000), ("512 MiB", 512 * 2**20), ("1.5k", 1500), ("10", 10), ("1ti", 2**40), (7, 7), ("3 gb", 3 * 10**9)],
)  # fmt: skip
def test_sizes(text: str | int, size: int) -> None:
    assert fit.options(memory=text).policy.resources.memory == size


def test_pools_with_amounts() -> None:
    assert fit.options(pools={"db": 2, "api": 1}).policy.resources.pools == {"db": 2, "api": 1}


def test_what_is_given_later_goes_first() -> None:
    made = fit.options(retries=2, timeout=5).options(retries=0).options(timeout=None)
    assert made.policy == Policy()


def test_an_async_function_shares_a_loop() -> None:
    @task
    async def fetch(url: str) -> int:
        return len(url)

    assert fetch.policy.run_in == "loop"
    assert fetch.outputs.annotation is int


def nodes_of(body: Any, **options: Any) -> dict[str, Node]:
    return {node.id: node for node in pipeline(**options)(body).graph().nodes}


def test_defaults_of_a_pipeline_give_way_to_options() -> None:
    def body() -> None:
        fit()
        fit.options(name="own", retries=0)()
        fit.options(name="more", cache=False)()

    nodes = nodes_of(body, defaults={"retries": 2, "timeout": 9})
    found = {name: (node.policy.retries.count, node.policy.timeouts.attempt) for name, node in nodes.items()}
    assert found == {"fit": (2, 9.0), "own": (0, 9.0), "more": (2, 9.0)}


def test_a_fallback_is_a_task_or_a_value() -> None:
    def body() -> None:
        fit.options(fallback=cheap)()
        fit.options(name="none", fallback=None)()

    pipe = pipeline(body)
    graph = pipe.graph()
    first, second = graph.nodes
    assert first.fallback == Fallback("cheap")
    assert "cheap" in graph.tasks and "cheap" in pipe.define({}).functions
    assert second.fallback == Fallback(None, Constant(None))


def test_functions_of_the_user_belong_to_nodes() -> None:
    @pipeline
    def part(x: int) -> float:
        return fit.options(on_failure=told)(x)

    @pipeline
    def pipe() -> None:
        fit.options(on_success=told, on_retry=[told, also_told], retry_if=transient)()
        fit()
        part.map([1, 2])

    assert pipe.define({}).attached == {
        ("", "fit"): Attached(Hooks(success=(told,), retry=(told, also_told)), transient),
        ("part", "fit"): Attached(Hooks(failure=(told,))),
    }


def test_options_keep_the_kind_of_a_task() -> None:
    again = fit.options(name="again")
    assert isinstance(again, Task) and again is not fit
    assert fit.placing.name is None


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("retrys=1", "there is no option 'retrys'; did you mean 'retries'?"),
        ("retries=1.5", "retries must be a whole number from 0 up, not 1.5"),
        ("retry_delay=[]", "retry_delay must be a number of seconds, or a list of them"),
        ("backoff=0.5", "backoff must be a number from 1 up, not 0.5"),
        ("retry_jitter=2", "retry_jitter must be a number from 0 to 1, not 2"),
        ("retry_on='OSError'", "retry_on must be an exception class, or a tuple of them, not 'OSError'"),
        ("retry_if=3", "retry_if must be a function that takes the exception, not 3"),
        ("timeout=0", "timeout must be a number of seconds above 0, or a timedelta, not 0"),
        ("memory='2 apples'", 'memory must be a size: bytes above 0, or text such as "2GB"'),
        ("memory=-1", "memory must be a size"),
        ("memory_cap='2GB'", "memory_cap is given without memory"),
        ("memory='2GB', memory_cap='1GB'", "memory_cap is less than memory"),
        ("gpu=0.5", "gpu must be a whole number from 0 up, not 0.5"),
        ("pools='db'", "pools must be a list of texts, not 'db'"),
        ("pools={'db': 0}", "pools must be names of pools, each with a whole number from 1 up"),
        ("concurrency=0", "concurrency must be a whole number from 1 up"),
        ("cache=1", "cache must be true or false, not 1"),
        ("on_failure=3", "on_failure must be a function or a list of functions, not 3"),
        ("join='all_sucess'", "there is no join rule 'all_sucess'; did you mean 'all_success'?"),
        ("join=3", "join must be the name of a rule or an expression over states, not 3"),
        ("max_parallel=0", "max_parallel must be a whole number from 1 up, not 0"),
        ("failure_threshold=1.5", "failure_threshold is a share of 1.5, which is more than all"),
        ("failure_threshold=-1", "failure_threshold must be a count, or a share"),
        ("key='name'", "key must be a function of an item, not 'name'"),
        ("max_parallel=2", "load is called once, and has options of a fan-out"),
        ("fallback=count", r"count cannot stand in for load: it takes data, and is given rows"),
        ("fallback=load()", "the fallback of load is the result of another task"),
        ("join=load()", "a join is decided by how tasks ended, and load takes a result"),
    ],
)
def test_wrong_options(option: str, message: str, project: Path) -> None:
    error = refusal(in_body(f"load.options({option})()  #!"), project)
    assert re.search(re.escape(message), error.what), error.what


def test_wrong_options_of_the_decorator() -> None:
    with pytest.raises(DefinitionError, match="there is no option 'timout'; did you mean 'timeout'"):
        task(timout=3)  # pyright: ignore[reportCallIssue]
