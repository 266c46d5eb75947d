"""What is written for Argo passes its own JSON schema, fields that it does not know refused."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import argo_pipelines
import pytest
import yaml
from argo_manifests import NIGHTLY
from argo_official import problems, schema

from penstock.dialects import Export
from penstock.dialects.argo import write

#: maps in which any name is right, and items of any form
FREE = ("annotations", "limits", "requests", "withItems")


@pytest.fixture(scope="module")
def whole() -> Any:
    """A manifest with most of what there is to say of how things are run."""
    definition = argo_pipelines.policies.define({"kind": "small", "x": 2})
    return yaml.safe_load(write(Export(definition, (NIGHTLY,))).text)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in a manifest, of which the fields are known."""
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, dict):
            yield each
            for key, inner in each.items():
                if key not in FREE:
                    yield from objects(inner)


def test_what_is_written_passes(whole: Any) -> None:
    assert problems(whole) == []
    assert problems({**whole, "kind": "Workflow"}) != []


def test_a_field_that_is_not_known_is_refused_wherever_it_is(whole: Any) -> None:
    made = copy.deepcopy(whole)
    places = [*objects(made)]
    for each in places:
        each["timeOut"] = "5s"
    found = problems(made)
    assert len(found) == len(places) > 40
    assert all("'timeOut' was unexpected" in each for each in found)


def test_a_value_of_another_type_is_refused_wherever_it_is(whole: Any) -> None:
    made = copy.deepcopy(whole)
    places = [
        (each, key) for each in objects(made["spec"]) for key, held in each.items() if isinstance(held, str | int)
    ]
    for each, key in places:
        each[key] = 1.5
    found = problems(made)
    assert len(found) == len(places) > 60
    assert all("1.5 is not of type" in each for each in found)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("CronWorkflow", {"workflowSpec", "schedules"}),
        ("DAGTemplate", {"tasks"}),
        ("DAGTask", {"name"}),
        ("ScriptTemplate", {"image", "source"}),
        ("Memoize", {"key", "cache", "maxAge"}),
        ("Cache", {"configMap"}),
        ("Parameter", {"name"}),
    ],
)
def test_what_has_to_be_there_is(whole: Any, kind: str, fields: set[str]) -> None:
    places: dict[str, Any] = {
        "CronWorkflow": lambda: whole["spec"],
        "DAGTemplate": lambda: template("dag"),
        "DAGTask": lambda: template("dag")["tasks"][0],
        "ScriptTemplate": lambda: template("script"),
        "Memoize": lambda: template("memoize"),
        "Cache": lambda: template("memoize")["cache"],
        "Parameter": lambda: whole["spec"]["workflowSpec"]["arguments"]["parameters"][0],
    }

    def template(field: str) -> Any:
        return next(each for each in whole["spec"]["workflowSpec"]["templates"] if field in each)[field]

    place = places[kind]()
    needed = set[str]()
    for key in [*place]:
        value = place.pop(key)
        if any(f"'{key}' is a required property" in each for each in problems(whole)):
            needed.add(key)
        place[key] = value
    assert needed == fields


def test_kinds_that_are_not_written_are_refused(whole: Any) -> None:
    assert problems({**whole, "kind": "WorkflowTemplate"}) == [
        "kind: 'WorkflowTemplate' is none of CronWorkflow, Workflow"
    ]
    assert problems({**whole, "apiVersion": "argoproj.io/v1"}) == ["apiVersion: 'argoproj.io/v1alpha1' was expected"]


def test_rules_of_the_cluster_are_kept(whole: Any) -> None:
    made = copy.deepcopy(whole)
    main, *others = made["spec"]["workflowSpec"]["templates"]
    main["timeout"] = "5s"
    main["dag"]["tasks"][0] |= {"depends": "label", "continueOn": {"failed": True}, "name": "1st"}
    others[0]["suspend"] = {"duration": "5s"}
    others[1]["outputs"] = {"parameters": [{"name": "größe", "valueFrom": {"path": "/tmp/result"}}]}
    assert problems(made) == [
        "main: only leaves have limits of time",
        "main/1st: has no continueOn where it has depends",
        "main/1st: has no such name",
        f"{others[0]['name']}: is of one type",
        f"{others[1]['name']}: has no part with the name größe",
    ]
    main["dag"]["tasks"] = []
    assert "main: has no tasks" in problems(made)


def test_definitions_have_argos_names() -> None:
    definitions = schema("Workflow")["definitions"]
    assert "io.argoproj.workflow.v1alpha1.DAGTask" in definitions
    assert definitions["io.k8s.api.core.v1.SecretKeySelector"] == {
        "type": "object",
        "properties": {"key": {"type": "string"}, "name": {"type": "string"}, "optional": {"type": "boolean"}},
        "additionalProperties": False,
        "required": ["key"],
    }
