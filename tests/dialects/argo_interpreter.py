"""A small interpreter of Argo's workflows: runs script templates in the order that `depends` says, under Argo's rules for
parameters, artifacts, conditions and items."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_TOKENS = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(==|!=|<=|>=|&&|\|\||\*\*|.))")
_LEVELS = [["||"], ["&&"], ["==", "!=", "<", "<=", ">", ">=", "in"], ["+", "-"], ["*", "/", "%"], ["**"]]
_STATES = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted")


class Failed(Exception):
    """A template failed."""


class Expression:
    """Evaluates one of Argo's expressions."""

    def __init__(self, text: str, scope: Mapping[str, Any]) -> None:
        self.tokens = [next(part for part in found if part) for found in _TOKENS.findall(text.strip())]
        self.at, self.scope = 0, scope

    def value(self) -> Any:
        found = self.ternary()
        assert self.at == len(self.tokens), self.tokens[self.at :]
        return found

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, text: str = "") -> str:
        token = self.tokens[self.at]
        assert not text or token == text, (token, text)
        self.at += 1
        return token

    def ternary(self, run: bool = True) -> Any:
        found = self.level(0, run)
        if self.peek() != "?":
            return found
        self.take()
        then = self.ternary(run and bool(found))
        self.take(":")
        otherwise = self.ternary(run and not found)
        return then if found else otherwise

    def level(self, number: int, run: bool) -> Any:
        if number == len(_LEVELS):
            return self.single(run)
        left = self.level(number + 1, run)
        while self.peek() in _LEVELS[number]:
            operator = self.take()
            lazily = (operator == "&&" and not left) or (operator == "||" and left)
            right = self.level(number + 1, run and not lazily)
            left = left if not run or lazily else _applied(operator, left, right)
        return left

    def single(self, run: bool) -> Any:
        token = self.take()
        if token == "!":
            return not self.single(run)
        if token == "-":
            return -self.single(run)
        if token == "(":
            found = self.ternary(run)
            self.take(")")
            return found
        if token == "[":
            return self.listed("]", run)
        if token.startswith("'"):
            return token[1:-1].replace("\\n", "\n").replace("\\'", "'").replace("\\\\", "\\")
        if token[0].isdigit():
            return json.loads(token)
        if token in ("true", "false", "nil"):
            return {"true": True, "false": False, "nil": None}[token]
        if self.peek() == "(":
            self.take()
            arguments = self.listed(")", run)
            return _FUNCTIONS[token](*arguments) if run else None
        found: Any = self.scope.get(token)
        while self.peek() in (".", "["):
            key = self.take()
            key = self.take() if key == "." else self.single(run)
            if self.peek() == "]":
                self.take()
            # of a map that is nil, expressions have nothing; what is not there is only nil where it is not used
            found = found.get(key) if isinstance(found, Mapping) else None
        if run and found is None:
            raise KeyError(f"{token} is not there")
        return found

    def listed(self, end: str, run: bool) -> list[Any]:
        found: list[Any] = []
        while self.peek() != end:
            found.append(self.ternary(run))
            if self.peek() == ",":
                self.take()
        self.take(end)
        return found


def _applied(operator: str, left: Any, right: Any) -> Any:
    match operator:
        case "&&":
            return bool(left and right)
        case "||":
            return bool(left or right)
        case "==":
            return left == right
        case "!=":
            return left != right
        case "in":
            return left in right
        case _:
            return eval(f"left {operator} right", {}, {"left": left, "right": right})


def _jsonpath(text: str, path: str) -> Any:
    found = json.loads(text)
    for key, number in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        found = found[key] if key else found[int(number)]
    return found


_FUNCTIONS: Mapping[str, Any] = {
    "jsonpath": _jsonpath,
    "asInt": int,
    "asFloat": float,
    "string": lambda value: value if isinstance(value, str) else json.dumps(value),
    "toJson": json.dumps,
    "floor": lambda value: value // 1,
}


class Workflow:
    """A workflow that is run in a folder."""

    def __init__(self, document: Mapping[str, Any], folder: Path, **parameters: str) -> None:
        spec = document["spec"].get("workflowSpec", document["spec"])
        self.spec, self.folder = spec, folder
        self.templates = {each["name"]: each for each in spec["templates"]}
        given = {each["name"]: each.get("value") for each in spec.get("arguments", {}).get("parameters", [])}
        self.scope = {"workflow": {"parameters": {**given, **parameters}}}
        #: how every task ended, in the order of the ends
        self.ended: list[tuple[str, str]] = []
        self.count = 0
        #: seconds that attempts have been put off for, or the workflow was suspended, by template; nobody waits for them here
        self.waits: dict[str, list[float]] = {}
        for each in spec.get("arguments", {}).get("parameters", []):
            value = self.scope["workflow"]["parameters"][each["name"]]
            assert value in each.get("enum", [value]), f"{each['name']} may not be {value}"

    def run(self) -> Any:
        """The result of the workflow, or None. Raises Failed."""
        try:
            outputs = self.template(self.spec["entrypoint"], {}, {})
        finally:
            if "onExit" in self.spec:
                self.template(self.spec["onExit"], {}, {})
        result = outputs["parameters"].get("result")
        return None if result is None else json.loads(result)

    def template(self, name: str, parameters: Mapping[str, str], artifacts: Mapping[str, Path]) -> dict[str, Any]:
        template = self.templates[name]
        wanted = template.get("inputs", {})
        assert {each["name"] for each in wanted.get("parameters", [])} == set(parameters), name
        assert {each["name"] for each in wanted.get("artifacts", [])} == set(artifacts), name
        scope = {**self.scope, "inputs": {"parameters": dict(parameters), "artifacts": dict(artifacts)}}
        if "dag" in template:
            return self.dag(template, scope)
        if "suspend" in template:
            self.waits.setdefault(name, []).append(seconds(self.text(template["suspend"]["duration"], scope)))
            return {"parameters": {}, "artifacts": {}}
        return self.script(template, scope)

    # Scripts.

    def script(self, template: Mapping[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        home = self.folder / f"{self.count}"
        (home / "inputs").mkdir(parents=True)
        for name, path in scope["inputs"]["artifacts"].items():
            (home / "inputs" / name).symlink_to(path)
        script = template["script"]
        assert "{{" not in script["source"], "it would be filled in"
        env = {
            each["name"]: self.text(each["value"], scope) if "value" in each else "secret"
            for each in script.get("env", [])
        }
        source = script["source"].replace("/tmp/", f"{home}/")
        number = 0
        while True:
            done = subprocess.run(
                [sys.executable, "-I", "-c", source], env=env, capture_output=True, text=True, timeout=60, check=False
            )
            if done.returncode == 0:
                break
            number += 1
            if not self.again(template, number, done.returncode):
                raise Failed(done.stderr)
        outputs: dict[str, Any] = {"parameters": {}, "artifacts": {}}
        for each in template.get("outputs", {}).get("parameters", []):
            path = each["valueFrom"]["path"].replace("/tmp/", f"{home}/")
            outputs["parameters"][each["name"]] = Path(path).read_text().removesuffix("\n")
        for each in template.get("outputs", {}).get("artifacts", []):
            outputs["artifacts"][each["name"]] = Path(each["path"].replace("/tmp/", f"{home}/"))
        return outputs

    def again(self, template: Mapping[str, Any], failed: int, code: int) -> bool:
        """Whether a script is run once more, of which so many attempts have failed."""
        strategy = template.get("retryStrategy")
        if strategy is None or failed > int(strategy.get("limit", 1000)):
            return False
        last = {"lastRetry": {"exitCode": str(code), "status": "Failed"}}
        if "expression" in strategy and Expression(strategy["expression"], last).value() is not True:
            return False
        backoff = strategy.get("backoff", {"duration": "0"})
        wait = seconds(backoff["duration"]) * int(backoff.get("factor", 1)) ** (failed - 1)
        waits = self.waits.setdefault(template["name"], [])
        waits.append(min(wait, seconds(backoff.get("cap", "1000h"))))
        return sum(waits) <= seconds(backoff.get("maxDuration", "1000h"))

    # Graphs.

    def dag(self, template: Mapping[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
        tasks: dict[str, Any] = {}
        scope = {**scope, "tasks": tasks}
        assert template.get("parallelism", 1) > 0
        listed = {task["name"]: task for task in template["dag"]["tasks"]}
        assert not any("continueOn" in task for task in listed.values()) or not any(map(self.names, listed.values()))
        followed = {name for task in listed.values() for name in self.names(task)}
        targets = template["dag"].get("target", "").split() or [name for name in listed if name not in followed]
        waiting = {name: listed[name] for name in self.needed(targets, listed)}
        while waiting:
            ready = [name for name, task in waiting.items() if self.names(task) <= set(tasks)]
            assert ready, f"nothing can start: {list(waiting)}"
            for name in ready:
                task = waiting.pop(name)
                tasks[name] = self.task(task, scope)
                self.ended.append((name, tasks[name]["status"]))
        failed = self.failed(listed, tasks)
        if any(name in failed and not listed[name].get("continueOn", {}).get("failed") for name in targets):
            raise Failed(next(each["why"] for each in tasks.values() if each["status"] == "Failed"))
        return self.outputs(template, scope)

    def needed(self, targets: Iterable[str], listed: Mapping[str, Any]) -> list[str]:
        """The targets of a DAG and all before them, in the order of the file: nothing else is run."""
        found: set[str] = set()
        rest = list(targets)
        while rest:
            name = rest.pop()
            if name not in found:
                found.add(name)
                rest += self.names(listed[name])
        return [name for name in listed if name in found]

    def failed(self, listed: Mapping[str, Any], tasks: Mapping[str, Any]) -> set[str]:
        """What counts as failed: what was left out has the phase of what is before it."""
        found: set[str] = set()
        for name, each in tasks.items():
            inherits = each["status"] in ("Skipped", "Omitted") and self.names(listed[name]) & found
            if each["status"] == "Failed" or inherits:
                found.add(name)
        return found

    def outputs(self, template: Mapping[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
        outputs: dict[str, Any] = {"parameters": {}, "artifacts": {}}
        for each in template.get("outputs", {}).get("parameters", []):
            source = each["valueFrom"]
            told = f"{{{{={source['expression']}}}}}" if "expression" in source else source["parameter"]
            try:
                outputs["parameters"][each["name"]] = self.text(told, scope)
            except KeyError:
                if "default" not in source:
                    raise Failed(f"{told} is not there") from None
                outputs["parameters"][each["name"]] = source["default"]
        for each in template.get("outputs", {}).get("artifacts", []):
            try:
                outputs["artifacts"][each["name"]] = self.place(each["from"], scope)
            except KeyError:
                if not each.get("optional"):
                    raise Failed(f"{each['from']} is not there") from None
        return outputs

    def names(self, task: Mapping[str, Any]) -> set[str]:
        return set(re.findall(rf"([\w-]+)\.(?:{'|'.join(_STATES)})\b", task.get("depends", "")))

    def task(self, task: Mapping[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
        if not self.depends(task.get("depends", ""), scope["tasks"]):
            return {"status": "Omitted"}
        items = self.items(task, scope)
        if items is None:
            return self.once(task, scope)
        if not items:
            return {"status": "Skipped"}
        found = [self.once(task, {**scope, "item": item}) for item in items]
        failed = [each for each in found if each["status"] == "Failed"]
        if failed:
            return failed[0]
        listed: dict[str, list[str]] = {}
        for each in found:
            for name, value in each["outputs"]["parameters"].items():
                listed.setdefault(name, []).append(value)
        parameters = {name: _aggregated(values) for name, values in listed.items()}
        return {"status": "Succeeded", "outputs": {"parameters": parameters, "artifacts": {}}}

    def once(self, task: Mapping[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
        if "when" in task and self.text(task["when"], scope) != "true":
            return {"status": "Skipped"}
        arguments = task.get("arguments", {})
        parameters = {each["name"]: self.text(each["value"], scope) for each in arguments.get("parameters", [])}
        artifacts = {each["name"]: self.place(each["from"], scope) for each in arguments.get("artifacts", [])}
        try:
            outputs = self.template(task["template"], parameters, artifacts)
        except Failed as error:
            return {"status": "Failed", "why": str(error)}
        return {"status": "Succeeded", "outputs": outputs}

    def items(self, task: Mapping[str, Any], scope: Mapping[str, Any]) -> list[Any] | None:
        if "withItems" in task:
            given = task["withItems"]
        elif "withParam" in task:
            given = json.loads(self.text(task["withParam"], scope))
        else:
            return None
        return [self.item(each) for each in given]

    def item(self, item: Any) -> Any:
        """An item, and the parts of one that is a map, as the text that stands for it."""
        if isinstance(item, str):
            return item
        if isinstance(item, dict) and all(isinstance(each, str) for each in item.values()):
            return dict(item)
        return json.dumps(item)

    def depends(self, text: str, tasks: Mapping[str, Any]) -> bool:
        if not text:
            return True

        def state(match: re.Match[str]) -> str:
            return "true" if tasks[match[1]]["status"] == match[2] else "false"

        return Expression(re.sub(rf"([\w-]+)\.({'|'.join(_STATES)})\b", state, text), {}).value()

    # Places in texts.

    def text(self, text: str, scope: Mapping[str, Any]) -> str:
        if text.startswith("{{="):
            found = Expression(text[3:-2], scope).value()
            return found if isinstance(found, str) else json.dumps(found)
        assert "{{" not in re.sub(r"\{\{[\w.-]+\}\}", "", text), "what is not filled in is refused"
        return re.sub(r"\{\{([\w.-]+)\}\}", lambda match: self.looked_up(match[1], scope), text)

    def place(self, text: str, scope: Mapping[str, Any]) -> Any:
        return self.looked_up(text[2:-2], scope)

    def looked_up(self, path: str, scope: Mapping[str, Any]) -> Any:
        found: Any = scope
        for key in path.split("."):
            found = found[key]
        return json.dumps(found) if isinstance(found, dict) else found


def seconds(text: str) -> float:
    """A length of time as Argo reads it."""
    number, unit = re.fullmatch(r"([0-9.]+)(ms|s|m|h)?", text).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, None: 1}[unit]


def _aggregated(values: list[str]) -> str:
    """The outputs of a fan-out as one text: read, where all of them are lists or maps; else as the texts that they are."""
    read = [json.loads(each) for each in values]
    return json.dumps(read if all(isinstance(each, (list, dict)) for each in read) else values)
