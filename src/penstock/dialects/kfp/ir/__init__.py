"""Files of data of Kubeflow's: compiled pipelines and `component.yaml`, read; and pipelines, compiled."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from penstock.authoring.source import nearby
from penstock.dialects.kfp.structures import Component
from penstock.errors import DefinitionError, NotCoveredError, TargetError

_COMPILED = re.compile(r"^(schemaVersion|pipelineInfo|deploymentSpec):", re.MULTILINE)
_COMPONENT = re.compile(r"^implementation:\s*\n\s+(container|graph):", re.MULTILINE)
_FIRST = re.compile(r"^\s+[\"']?pipelines\.kubeflow\.org/", re.MULTILINE)


def claims(text: str) -> bool:
    """Whether a file with this text is a compiled pipeline, of either version of Kubeflow's kit, or a component."""
    if _FIRST.search(text) is not None and re.search(r"^kind: Workflow", text, re.MULTILINE) is not None:
        return True
    compiled = len(set(_COMPILED.findall(text))) >= 2 and re.search(r"^root:", text, re.MULTILINE) is not None
    return compiled or _COMPONENT.search(text) is not None


def execute(module: ModuleType) -> None:
    """Fill the module that stands for such a file with the pipeline or component in it.

    Raises NotCoveredError for a pipeline that was compiled by the first version of the kit, TargetError for a file that
    is no YAML, and what `component_of_text` does.
    """
    from penstock.dialects.kfp.components import YamlComponent

    assert module.__file__ is not None
    component = component_of_text(Path(module.__file__).read_text(), nearby(module.__file__), module.__name__)
    name = re.sub(r"\W+", "_", component.name).strip("_") or "pipeline"
    setattr(module, name, YamlComponent(component))


def component_of_text(text: str, where: str, module: str) -> Component:
    """The pipeline or component in a text, which stands at `where`; its functions are said to be in `module`.

    Raises NotCoveredError for what penstock's reader does not know, and DefinitionError for what is not whole.
    """
    import yaml

    try:
        documents: list[Any] = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise TargetError(f"{where} is no YAML: {error}", where=where) from None
    first = next((cast("dict[str, Any]", each) for each in documents if isinstance(each, dict)), None)
    if first is None:
        raise DefinitionError(f"{where} has no component in it", where=where)
    if first.get("kind") in ("Workflow", "CronWorkflow"):
        raise NotCoveredError(
            "a pipeline that was compiled by kfp 1, as an Argo Workflow, is not covered",
            where=where,
            remedy="Run the Python file that it was compiled from, or compile that anew with kfp 2.",
        )
    if "implementation" in first:
        from penstock.dialects.kfp.ir.components import component_of_file

        return component_of_file(first, where)
    from penstock.dialects.kfp.ir.reading import component_of

    return component_of(documents, where, module)


__all__ = ["claims", "component_of_text", "execute"]
