"""What is written for Argo fits its own schema, types and client, and hera's models, fields that they do not know refused."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import argo_official
import matrix
import pytest
from argo_interpreter import Workflow
from dialect_peers import packages_of

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow

Manifests = list[tuple[str, Any]]


def answered(*command: str | Path, text: str = "", cwd: Path = HERE) -> Any:
    done = subprocess.run(command, input=text, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def manifests() -> Manifests:
    found: Manifests = [(name, document) for name, document in answered(sys.executable, "argo_manifests.py")]
    assert len(found) > 60
    return found


@pytest.fixture(params=["official", "schema", "client", "hera"])
def problems(
    request: pytest.FixtureRequest, peer: Callable[[str], Path]
) -> Callable[[Manifests], dict[str, list[str]]]:
    """What one of them says is wrong with manifests, by their names."""

    def told(given: Manifests) -> dict[str, list[str]]:
        if request.param == "official":
            return {name: wrong for name, document in given if (wrong := argo_official.problems(document))}
        text = json.dumps(given)
        match request.param:
            case "schema":
                found = answered("node", HERE / "argo_schema.mjs", text=text, cwd=packages_of("argo_schema"))
            case "client":
                found = answered(peer("argo_workflows"), "argo_client.py", text=text)
            case _:
                found = answered(peer("hera"), "argo_hera.py", text=text)
        return dict(found)

    return told


def test_manifests_fit_and_broken_ones_do_not(
    manifests: Manifests, problems: Callable[[Manifests], dict[str, list[str]]]
) -> None:
    whole = next(document for name, document in manifests if name == "policies with a schedule")
    broken: Manifests = [
        ("an unknown field of a template", changed(whole, "templates", 0, timeOut="5s")),
        ("an unknown field of a task", changed(whole, "templates", 0, "dag", "tasks", 0, wihtItems=[1])),
        ("an unknown field of a script", changed(whole, "templates", 1, "script", imagee="x")),
        ("an unknown field of a back-off", changed(whole, "templates", 1, retryStrategy={"backoff": {"jitter": "1s"}})),
        ("another type", changed(whole, "templates", 1, timeout=["5s"])),
        ("what is needed is not there", changed(whole, "templates", 1, memoize={"key": "x"})),
    ]
    found = problems([*manifests, *broken])
    assert {name: found[name] for name, _ in manifests if name in found} == {}
    assert set(found) == {name for name, _ in broken}


def test_the_corpus_gives_what_it_is_said_to_give(manifests: Manifests, tmp_path: Path) -> None:
    written = dict(manifests)
    count = 0
    for case in matrix.cases():
        document = written.get(f"{case.dialect}/{case.name}")
        if document is None:
            continue
        given = case.expected.get("parameters", {})
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        result = Workflow(document, tmp_path / f"{count}", **texts).run()
        assert case.expected["outputs"] in (result, {"result": result}), case
        count += 1
    assert count > 40


def changed(document: Any, *path: str | int, **fields: Any) -> Any:
    """A CronWorkflow with other fields at a place in its workflow."""
    made = copy.deepcopy(document)
    place = made["spec"]["workflowSpec"]
    for key in path:
        place = place[key]
    place.update(fields)
    return made
