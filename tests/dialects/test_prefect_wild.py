"""Files written for Prefect as people have them: deployments made in functions, blocks, other people's packages, hooks."""

from __future__ import annotations

import json
import sys
import textwrap
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.dialects import Reading
from penstock.errors import NotCoveredError
from penstock.registering.exporting import exported
from penstock.registering.loading import load_module, load_pipeline, reading_of

START = "from prefect import flow, task\n"
Written = Callable[..., Path]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Written]:
    """Writes a file that begins with the usual imports, in a folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / ".penstock"))
    modules = set(sys.modules)

    def write(text: str, name: str = "wild.py") -> Path:
        file = tmp_path / name
        file.write_text(START + textwrap.dedent(text))
        return file

    yield write
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def read(file: Path) -> Reading:
    found = reading_of(load_module(str(file)))
    assert found is not None
    return found


def run(target: Path | str) -> dict[str, Any]:
    return load_pipeline(str(target)).options(executor="inline", progress=False).run().document


def result(target: Path | str) -> Any:
    document = run(target)
    assert document["state"] == "succeeded", document
    outputs = {name: output["value"] for name, output in document["outputs"].items()}
    return outputs["result"] if set(outputs) == {"result"} else outputs


def ignored(target: Path | str) -> list[str]:
    return [each.what for each in load_pipeline(str(target)).ignored]


# What makes deployments.

IN_FUNCTIONS = """
    import argparse, asyncio, os
    from prefect import serve
    from prefect.client.schemas.schedules import CronSchedule

    @task
    def same(x): return x

    @flow
    def etl(x: int = 1): return same(x)

    @flow
    def nightly(): return etl(2)

    def options(cron):
        return {"schedule": CronSchedule(cron=cron)} if cron else {}

    def deployed(flow, name, cron=None, *, tags=None):
        if name == "never":
            return
        flow.deploy(name, tags=tags or [], **options(cron))

    async def asynchronous():
        made = await etl.to_deployment("asynchronous", cron="1 1 * * *")
        await serve(made)

    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--cron", default="0 3 * * *")
        arguments = parser.parse_args()
        raise_if_run = [][0]
        deployed(etl, "etl-prod", arguments.cron, tags=["a"])
        for each in (nightly,):
            deployed(each, f"{each.name}-prod", cron="0 4 * * *")
        return nightly()

    if __name__ == "__main__":
        main()
        asyncio.run(asynchronous())
"""


def test_deployments_that_functions_of_the_file_make(written: Written) -> None:
    reading = read(written(IN_FUNCTIONS))
    assert {name: each.noun.pipeline for name, each in reading.triggers.items()} == {
        "etl-prod": "etl",
        "nightly-prod": "nightly",
        "asynchronous": "etl",
    }


def test_a_flow_of_a_source_is_the_one_that_lies_here(written: Written) -> None:
    file = written(
        """
        from pathlib import Path
        from prefect.runner.storage import GitRepository

        @task
        def one(): return 1

        @flow
        def daily(): return one()

        if __name__ == "__main__":
            daily.from_source(source=Path(__file__).parent, entrypoint="wild.py:daily").deploy("here", cron="0 5 * * *")
            daily.from_source(GitRepository("https://example.org/a.git"), "wild.py:daily").serve("there", interval=60)
        """
    )
    assert list(read(file).triggers) == ["here", "there"]
    assert any(each.startswith("flow.from_source(GitRepository(") for each in ignored(file))
    other = written(
        "if __name__ == '__main__':\n"
        "    flow.from_source('https://example.org/a.git', 'wild.py:daily').deploy('d', cron='0 5 * * *')\n",
        "deploy.py",
    )
    assert list(read(other).triggers) == ["d"]
    assert result(other) == 1


def test_the_flow_that_the_file_runs_comes_before_those_that_it_deploys(written: Written) -> None:
    file = written(
        "@flow\ndef one(): ...\n@flow\ndef other(): ...\n"
        "if __name__ == '__main__':\n    one.deploy('a', cron='0 5 * * *')\n    other()\n"
    )
    assert load_pipeline(str(file)).name == "other"


# What says where a flow runs, and what belongs to other packages.


def test_blocks_of_infrastructure_and_storage_are_for_deployments_alone(written: Written) -> None:
    head = """
        from prefect.deployments import Deployment
        from prefect.filesystems import S3
        from prefect.infrastructure.docker import DockerContainer
        from prefect_gcp.cloud_storage import GcsBucket

        @task
        def stored(x):
            {body}
            return x

        @flow
        def hello(): return stored(1)

        bucket = S3.load("bucket")
        Deployment.build_from_flow(flow=hello, name="d", infrastructure=DockerContainer.load("x"), storage=bucket)
    """
    file = written(head.replace("{body}", "pass"))
    assert {
        "the deployment 'd': infrastructure=DockerContainer('x')",
        "the deployment 'd': storage=S3('bucket')",
        "prefect_gcp.cloud_storage.GcsBucket",
    } <= set(ignored(file))
    assert result(file) == 1
    for body, named in (
        ("GcsBucket.load('b').upload_from_path('a')", "prefect_gcp.cloud_storage.GcsBucket, which stored uses, is not"),
        ("bucket.write_path('a', b'')", r"prefect.filesystems.S3\('bucket'\), which stored uses, is not"),
    ):
        with pytest.raises(NotCoveredError, match=named):
            load_pipeline(str(written(head.replace("{body}", body), f"used_{len(body)}.py"))).graph()


def test_what_hooks_and_modules_beside_the_file_use_counts_as_well(written: Written) -> None:
    written(
        "from prefect.client.orchestration import get_client\n@task\ndef asks(): return get_client()\n",
        "tasks_beside.py",
    )
    beside = written("from tasks_beside import asks\n@flow\ndef f(): return asks()\n", "first.py")
    with pytest.raises(NotCoveredError, match="get_client, which asks uses, is not covered"):
        load_pipeline(str(beside)).graph()
    hooked = written(
        "from prefect.client.orchestration import get_client\ndef told(*_): get_client()\n"
        "@flow(on_failure=[told])\ndef f(): ...\n",
        "second.py",
    )
    with pytest.raises(NotCoveredError, match="get_client, which told uses, is not covered"):
        load_pipeline(str(hooked)).graph()


def test_a_hook_posts_to_slack(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[dict[str, Any]] = []

    class Slack(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on the console."""

    with HTTPServer(("127.0.0.1", 0), Slack) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://localhost:{server.server_port}"
        monkeypatch.setenv("PREFECT_BLOCK_SLACK_WEBHOOK_TEAM", json.dumps({"url": address}))
        file = written(
            """
            from prefect.blocks.notifications import SlackWebhook

            async def told(flow, flow_run, state):
                await (await SlackWebhook.load("team")).notify(f"{flow.name} {state.name}", subject="news")

            @flow(on_completion=[told])
            def daily(): return 1
            """
        )
        assert result(file) == 1
        server.shutdown()
    assert posted == [{"text": "*news*\ndaily Completed"}]


# Runs of deployments, background tasks, timeouts, keys of transactions.


def test_the_run_of_a_deployment_of_the_file_is_a_part_of_the_flow(written: Written) -> None:
    file = written(
        """
        from prefect.deployments import run_deployment
        from prefect.flow_runs import wait_for_flow_run

        @task
        def tenfold(x): return x * 10

        @flow(name="Child Flow")
        def child(x: int = 1, y: int = 2): return tenfold(x + y)

        @flow
        def bad(): raise ValueError("no")

        @flow
        async def parent():
            runs = [await run_deployment(name="Child Flow/a", parameters={"x": x}, timeout=0, tags=["t"]) for x in (1, 2)]
            values = [await each.state.result() for each in runs]
            failed = await run_deployment("bad/x")
            again = await wait_for_flow_run(runs[0].id)
            return [values, failed.state_name, str(failed.state.result(raise_on_failure=False)), again is runs[0]]

        if __name__ == "__main__":
            child.deploy("a", parameters={"y": 7})
            parent()
        """
    )
    document = run(file)
    assert document["outputs"]["result"]["value"] == [[80, 90], "Failed", "no", True]
    assert {task["id"] for task in document["tasks"]} == {"Child Flow/tenfold", "Child Flow-2/tenfold"}
    assert ignored(file) == ["run_deployment(..., tags=['t'])", "run_deployment(..., timeout=0)"]


def test_timeouts_of_futures_and_background_tasks_are_told_of(written: Written) -> None:
    file = written(
        """
        from prefect.futures import as_completed, wait
        from prefect.task_worker import serve

        @task
        def same(x): return x

        class Other:
            def result(self, timeout): return timeout

        @flow
        def patient():
            futures = same.map([3, 1])
            found = [each.result(timeout=30) for each in as_completed(futures, timeout=60)]
            done, late = wait(futures, timeout=5)
            more = same.delay(9)
            return [found, len(done), len(late), more.result(), Other().result(timeout=1)]

        if __name__ == "__main__":
            serve(same)
        """
    )
    assert result(file) == [[3, 1], 2, 0, 9, 1]
    assert sorted(ignored(file)) == [
        "as_completed(futures, timeout=60)",
        "each.result(timeout=30)",
        "same.delay(9)",
        "serve(same)",
        "wait(futures, timeout=5)",
    ]


def test_a_transaction_with_a_key_is_found_again(written: Written) -> None:
    file = written(
        """
        from prefect.transactions import transaction

        @task
        def fetched(url): return url

        @flow
        def once():
            with transaction(key="of-a") as held:
                if held.is_committed():
                    return "it is there"
                found = fetched("a")
                held.stage(found)
            return found
        """
    )
    assert [result(file), result(file)] == ["a", "it is there"]
    assert json.loads(Path("prefect.local.json").read_text()) == {"transactions": {"of-a": "a"}}


# Variables, blocks and their like.


def test_variables_blocks_events_assets_and_a_suspension(written: Written) -> None:
    file = written(
        """
        from prefect import suspend_flow_run
        from prefect.artifacts import create_image_artifact, create_progress_artifact, update_progress_artifact
        from prefect.assets import Asset, add_asset_metadata, materialize
        from prefect.blocks.core import Block
        from prefect.events import emit_event
        from prefect.runtime import task_run
        from prefect.variables import Variable

        class Place(Block):
            url: str

        def called():
            return f"{task_run.task_name}-of-{task_run.parameters['x']}"

        @task(task_run_name=called)
        def kept(x):
            Variable.set("size", x, overwrite=True)
            Place(url="sqlite://").save("main", overwrite=True)
            emit_event("file.made", resource={"prefect.resource.id": "a.csv"}, payload={"rows": x})
            create_image_artifact("https://example.org/a.png", key="image")
            progress = create_progress_artifact(0.0)
            update_progress_artifact(progress, 50.0)
            return [Variable.get("size"), Place.load("main").url]

        @materialize(Asset(key="s3://bucket/a.csv"))
        def made():
            add_asset_metadata("s3://bucket/a.csv", {"rows": 3})
            return 1

        @flow
        def whole():
            found = [kept(3), made()]
            suspend_flow_run()
            return found
        """
    )
    document = run(file)
    assert document["state"] == "paused"
    assert {each["name"] for each in document["artifacts"]} == {"image", "asset s3://bucket/a.csv"}
    assert {task["id"] for task in document["tasks"]} == {"kept-of-3", "made", "suspend"}
    assert set(ignored(file)) == {
        "the task 'kept': task_run_name='called'",
        "the task 'made': materialize('s3://bucket/a.csv')",
    }
    state = json.loads(Path("prefect.local.json").read_text())
    assert state == {"variables": {"size": 3}, "blocks": {"place/main": {"url": "sqlite://"}}}


# What is written elsewhere.


def test_a_call_waits_for_nothing_that_its_arguments_wait_for_anyway(written: Written) -> None:
    file = written("""
        from prefect.artifacts import create_markdown_artifact

        @task
        def load(n: int) -> list[int]:
            return list(range(n))

        @task
        def square(x: int) -> int:
            return x * x

        @task
        def total(xs: list[int]) -> int:
            return sum(xs)

        @flow
        def sums(n: int = 4):
            squares = square.map(load(n))
            found = total(squares)
            create_markdown_artifact(key="report", markdown="# sums")
            return found
    """)
    pipeline = load_pipeline(str(file))
    graph = pipeline.define(pipeline.signature.resolve(given={})).graph
    assert {node.id: node.after for node in graph.nodes} == {
        "load": (),
        "square": (),
        "total": (),
        "artifact-markdown": ("total",),
    }
    text = exported(pipeline, "penstock").written.text
    assert "current().log_artifact(key, value)" in text
    assert "penstock.dialects" not in text
    assert result(file) == 14
