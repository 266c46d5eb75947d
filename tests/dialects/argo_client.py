"""Checks manifests against the models of Argo's own client: `python argo_client.py < manifests.json`. Prints what is wrong as
JSON: [name, problems]."""

from __future__ import annotations

import json
import sys
from typing import Any

import argo_workflows.models as models  # pyright: ignore
from argo_workflows.configuration import Configuration  # pyright: ignore
from argo_workflows.model_utils import ModelNormal, validate_and_convert_types  # pyright: ignore


def said(value: Any, inside: str = "") -> Any:
    """A manifest as the models have it: without the items of loops, which are of any form."""
    if inside == "configMap":
        # version 3 asked for a key that it did not read, and version 4 knows none
        return {**value, "key": "any"}
    if isinstance(value, dict):
        return {key: said(each, key) for key, each in value.items() if key != "withItems"}
    return [said(each, inside) for each in value] if isinstance(value, list) else value


def main() -> None:
    for kind in vars(models).values():
        if isinstance(kind, type) and issubclass(kind, ModelNormal):
            # fields that are not known are refused
            kind.additional_properties_type = None  # pyright: ignore
    kinds = {
        "Workflow": models.IoArgoprojWorkflowV1alpha1Workflow,  # pyright: ignore
        "CronWorkflow": models.IoArgoprojWorkflowV1alpha1CronWorkflow,  # pyright: ignore
    }
    found: list[Any] = []
    for name, document in json.load(sys.stdin):
        try:
            validate_and_convert_types(  # pyright: ignore
                said(document), (kinds[document["kind"]],), ["document"], True, True, configuration=Configuration()
            )
        except (TypeError, ValueError, AttributeError, KeyError) as problem:
            found.append([name, [f"{type(problem).__name__}: {problem}"]])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
