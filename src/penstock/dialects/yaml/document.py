"""A file as a whole: the pipeline, its stages, what starts it, and who is told."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock.authoring.decorated import check_name
from penstock.authoring.options.hooks import Attached
from penstock.authoring.options.settings import Settings, settings_of
from penstock.authoring.task import Task
from penstock.dialects.yaml.code import Code, Missing
from penstock.dialects.yaml.composed import Used, said_of_runs
from penstock.dialects.yaml.inputs import read_value
from penstock.dialects.yaml.literals import read_literal
from penstock.dialects.yaml.names import Names
from penstock.dialects.yaml.notifications import read_notifications
from penstock.dialects.yaml.parameters import Declared, read_parameters
from penstock.dialects.yaml.policies import Options
from penstock.dialects.yaml.programs import Programs
from penstock.dialects.yaml.schedules import Scheduled, read_schedules
from penstock.dialects.yaml.source import Fields, Part, read_source
from penstock.dialects.yaml.stages import Home, Stages, stage_parts
from penstock.dialects.yaml.structs import read_length
from penstock.dialects.yaml.tasks import Tasks
from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Expression
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Ignored, Node
from penstock.model.graph import Task as Noun
from penstock.model.place import Location

#: keys of the file
KEYS = ("pipeline", "stages", "parameters", "schedule", "notifications", "outputs", "version", "name", "description")
#: keys of `pipeline:`
PIPELINE = (
    *("name", "version", "description", "parameters", "outputs", "result"),
    *("on_failure", "timeout", "concurrency", "deadline", "owner", "tags"),
)


class Document(NamedTuple):
    """What a file defines."""

    name: str
    description: str
    location: Location
    parameters: tuple[Declared, ...]
    nodes: tuple[Node, ...]
    result: Expression
    tasks: Mapping[str, Noun]
    functions: Mapping[str, Task[..., Any]]
    attached: Mapping[tuple[str, str], Attached]
    predicates: Mapping[str, Any]
    settings: Settings
    schedules: tuple[Scheduled, ...]
    ignored: tuple[Ignored, ...]
    #: stages that are whole pipelines
    used: tuple[Used, ...] = ()

    @property
    def signature(self) -> inspect.Signature:
        return inspect.Signature([each.parameter for each in self.parameters])


def read_document(text: str, file: Path, module: str) -> Document:
    """What a file with this text defines, for which a module stands. Raises one DefinitionError for all that is wrong in it."""
    whole = read_source(text, str(file))
    document = _Reading(whole, file, module).document()
    whole.problems.check()
    return document


class _Reading:
    """Reads one file."""

    def __init__(self, whole: Part, file: Path, module: str) -> None:
        self._home = Home(module, str(file))
        self._whole = whole
        self._code = Code(file)
        self._folder = file.parent
        self._stem = file.stem
        self._ignored: list[Ignored] = []

    def document(self) -> Document:
        fields = dict(self._whole.fields(KEYS, "a file of penstock"))
        part = fields.get("pipeline", self._whole)
        about = self._about(fields)
        parameters = read_parameters(about["parameters"], self._find) if "parameters" in about else []
        self._ignored += [
            Ignored(
                f"the description of the parameter {each.name}: {each.described.written}",
                each.described.location,
                "penstock describes pipelines and stages, and no parameters",
            )
            for each in parameters
            if each.described is not None
        ]
        annotations = {each.name: each.kind for each in parameters}
        tasks = Tasks(self._code, Programs(self._folder), self._find)
        stages = Stages(tasks, Options(self._find, self._reads), self._find, self._home)
        listed = stage_parts(fields["stages"]) if "stages" in fields else []
        if not listed and not self._whole.problems.found:
            self._whole.refuse("there are no stages", "Write stages: and below it - name: first.")
        nodes, names = stages.read(listed, Names({}, annotations))
        name = self._name(about)
        for each in stages.used:
            self._ignored += [ignored for ignored in each.pipeline.ignored if ignored not in self._ignored]
            said = said_of_runs(each.pipeline.settings)
            if said:
                what = f"the stage {each.node!r}: {', '.join(said)} of the pipeline {each.pipeline.name}"
                self._ignored.append(Ignored(what, each.location, "what is said of a run is said by the one around it"))
        notifications = read_notifications(fields["notifications"], self._find) if "notifications" in fields else {}
        return Document(
            name=name,
            description=self._description(about),
            location=part.location,
            parameters=tuple(parameters),
            nodes=nodes,
            result=self._result(about, names),
            tasks=stages.tasks,
            functions=stages.functions,
            attached=stages.attached,
            predicates=stages.predicates,
            settings=self._settings(about, part, notifications),
            schedules=tuple(read_schedules(fields["schedule"], name, self._find)) if "schedule" in fields else (),
            ignored=tuple(self._ignored),
            used=tuple(stages.used),
        )

    def _about(self, fields: Fields) -> Fields:
        """The keys of `pipeline:`, which may also stand at the top."""
        part = fields.get("pipeline")
        about: dict[str, Part] = {}
        if part is not None and part.tag in ("str", "int", "float"):
            about["name"] = part
        elif part is not None:
            about.update(part.fields(PIPELINE, "pipeline"))
        for key in ("parameters", "outputs", "version", "name", "description"):
            if key not in fields:
                continue
            if key in about:
                fields[key].refuse(f"{key} is said twice: here and in pipeline:", "Keep one of them.")
            about.setdefault(key, fields[key])
        reasons = {
            "version": "penstock counts the versions of what is registered itself",
            "owner": "penstock knows no owners",
        }
        reasons["tags"] = "tags belong to stages and to schedules"
        for key, why in reasons.items():
            if key in about:
                told = read_literal(about[key], self._find)
                self._ignored.append(Ignored(f"pipeline.{key}: {told}", about[key].location, why))
        return about

    def _name(self, about: Fields) -> str:
        name = about["name"].label() if "name" in about else self._stem
        if name is None:
            return self._stem
        try:
            check_name(name)
        except DefinitionError as error:
            about["name"].refuse(error.what)
        return name

    def _description(self, about: Fields) -> str:
        found = about["description"].text() if "description" in about and not about["description"].is_null else ""
        return inspect.cleandoc(found or "")

    def _result(self, about: Fields, names: Names) -> Expression:
        if "outputs" in about and "result" in about:
            about["result"].refuse("outputs and result both say what the pipeline returns", "Keep one of them.")
        if "result" in about:
            return read_value(about["result"], names, self._find) or Constant(None)
        if "outputs" not in about:
            return Constant(None)
        part = about["outputs"]
        found: dict[str, Expression] = {}
        listed = {each.written.replace(".", "_"): each for each in part.items()}
        named = listed if part.is_list else part.fields()
        for name, value in named.items():
            expression = read_value(value, names, self._find)
            if expression is not None:
                found[name] = expression
        return MappingExpression(found)

    def _settings(self, about: Fields, part: Part, notifications: Mapping[str, Any]) -> Settings:
        options: dict[str, Any] = dict(notifications)
        for key in ("timeout", "deadline"):
            if key in about:
                options[key] = read_length(about[key])
        if "concurrency" in about:
            options["concurrency"] = about["concurrency"].whole()
        if "on_failure" in about:
            options["failure"] = about["on_failure"].written
        try:
            return settings_of(options)
        except DefinitionError as error:
            about.get("on_failure", part).refuse(
                error.what.replace("failure must", "on_failure must"), error.remedy or ""
            )
            return Settings()

    def _find(self, reference: str) -> Any:
        try:
            return self._code.named(reference)
        except Missing as missing:
            raise _Unfound(str(missing), missing.remedy) from None

    def _reads(self, part: Part) -> list[str]:
        """The files that a stage reads, from the folder of this file or the working folder."""
        found: list[str] = []
        for name in part.texts():
            path = next((each for each in (self._folder / name, Path(name)) if each.exists()), Path(name))
            found.append(str(path.absolute()))
        return found


class _Unfound(LookupError):
    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


__all__ = ["KEYS", "PIPELINE", "Document", "read_document"]
