"""Templates of scripts and containers: what one task of a workflow runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from penstock.dialects.argo.values import Value, decoding
from penstock.dialects.code.formatting import broken, module_text
from penstock.dialects.portable.forms import FILES, Form
from penstock.dialects.portable.programs import Program
from penstock.model.graph import Node, Task
from penstock.model.policy import Policy

IMAGE = "python:3.11-slim"
#: the ConfigMap with the sizes of pools, which has to be on the cluster
POOLS = "penstock-pools"
RESULT = "/tmp/result"


def script(
    name: str,
    program: Program,
    given: Mapping[str, Value],
    form: Form,
    ports: tuple[str, ...],
    task: Task | None = None,
) -> dict[str, Any]:
    """The template of a program, which reads its operands and leaves its value in a file."""
    imports = program.imports
    path = imports.name("pathlib", "Path")
    if form not in FILES or ports or any(value.mode in ("json", "each") for value in given.values()):
        imports.module("json")
    if any(value.mode != "file" for value in given.values()):
        imports.module("os")
    if form == "pickle" or any(value.form == "pickle" for value in given.values()):
        imports.module("pickle")
    lines = _installing(task, imports)
    lines += [decoding(operand, value) for operand, value in given.items()]
    lines += program.lines
    if program.value != "value":
        lines.append(f"value = {program.value}")
    if form == "pickle":
        lines.append(f'{path}("{RESULT}").write_bytes(pickle.dumps(value))')
    elif form == "path":
        shutil = imports.module("shutil")
        lines.append(f'({shutil}.copytree if value.is_dir() else {shutil}.copyfile)(value, "{RESULT}")')
    else:
        lines.append(f'{path}("{RESULT}").write_text(json.dumps(value))')
    for number, port in enumerate(ports):
        lines.append(f'{path}("{RESULT}-{port}").write_text(json.dumps({_part(task, port, number)}))')
    image = IMAGE
    if task is not None and task.environment is not None and task.environment.python:
        image = f"python:{task.environment.python}-slim"
    source = module_text(imports, [*program.definitions, "\n".join(broken(lines))])
    body: dict[str, Any] = {"image": image, "command": ["python"]}
    env = [
        {"name": f"input_{key}", "value": f"{{{{inputs.parameters.{key}}}}}"}
        for key, value in given.items()
        if value.mode != "file"
    ]
    if env:
        body["env"] = env
    body["source"] = source
    return {"name": name, **inputs_of(given), "script": body, "outputs": _outputs(form, ports)}


def _installing(task: Task | None, imports: Any) -> list[str]:
    if task is None or task.environment is None or not task.environment.requirements:
        return []
    imports.module("subprocess")
    imports.module("sys")
    listed = ", ".join(f'"{each}"' for each in task.environment.requirements)
    return [f'subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", {listed}], check=True)']


def _part(task: Task | None, port: str, number: int) -> str:
    match None if task is None else task.record:
        case "tuple":
            return f"value[{number}]"
        case "dict":
            return f'value["{port}"]'
        case _:
            return f"value.{port}"


def inputs_of(given: Mapping[str, Value]) -> dict[str, Any]:
    """The inputs of a template."""
    parameters = [{"name": name} for name, value in given.items() if value.mode != "file"]
    artifacts = [{"name": name, "path": f"/tmp/inputs/{name}"} for name, value in given.items() if value.mode == "file"]
    found = {key: each for key, each in (("parameters", parameters), ("artifacts", artifacts)) if each}
    return {"inputs": found} if found else {}


def arguments_of(given: Mapping[str, Value]) -> dict[str, Any]:
    """The arguments of a task that calls a template with these inputs."""
    parameters = [{"name": name, "value": value.argument} for name, value in given.items() if value.mode != "file"]
    artifacts = [{"name": name, "from": value.argument} for name, value in given.items() if value.mode == "file"]
    found = {key: each for key, each in (("parameters", parameters), ("artifacts", artifacts)) if each}
    return {"arguments": found} if found else {}


def _outputs(form: Form, ports: tuple[str, ...]) -> dict[str, Any]:
    parameters = [{"name": port, "valueFrom": {"path": f"{RESULT}-{port}"}} for port in ports]
    if form in FILES:
        found: dict[str, Any] = {"artifacts": [{"name": "result", "path": RESULT}]}
        return {**found, "parameters": parameters} if parameters else found
    return {"parameters": [{"name": "result", "valueFrom": {"path": RESULT}}, *parameters]}


def policy_fields(node: Node, policy: Policy) -> dict[str, Any]:
    """What a template says of how it is run."""
    found: dict[str, Any] = {}
    retries = policy.retries
    if retries.count:
        strategy: dict[str, Any] = {"limit": str(retries.count), "retryPolicy": "Always"}
        first = retries.delays[0] if retries.delays else 0.0
        if first or retries.factor != 1.0:
            strategy["backoff"] = {"duration": f"{math.ceil(first)}s"}
            if retries.factor != 1.0:
                strategy["backoff"]["factor"] = f"{retries.factor:g}"
            if retries.cap is not None:
                strategy["backoff"]["cap"] = f"{math.ceil(retries.cap)}s"
        found["retryStrategy"] = strategy
    if policy.timeouts.attempt is not None:
        found["activeDeadlineSeconds"] = math.ceil(policy.timeouts.attempt)
    if policy.timeouts.total is not None:
        found["timeout"] = f"{math.ceil(policy.timeouts.total)}s"
    locks: dict[str, Any] = {}
    if policy.concurrency == 1:
        locks["mutexes"] = [{"name": node.task.rstrip("'")}]
    elif policy.concurrency is not None:
        locks.setdefault("semaphores", []).append(_semaphore(node.task.rstrip("'")))
    for pool in policy.resources.pools:
        locks.setdefault("semaphores", []).append(_semaphore(pool))
    if locks:
        found["synchronization"] = locks
    if policy.cache and (policy.caching.lifetime is not None or policy.caching.version):
        found["memoize"] = _memoize(node, policy)
    return found


def _semaphore(key: str) -> dict[str, Any]:
    return {"configMapKeyRef": {"name": POOLS, "key": key}}


def _memoize(node: Node, policy: Policy) -> dict[str, Any]:
    name = node.task.rstrip("'")
    key = f"{name}-{policy.caching.version}-" if policy.caching.version else f"{name}-"
    found: dict[str, Any] = {
        "key": f"{key}{{{{=sprig.sha256sum(toJson(inputs.parameters))}}}}",
        "cache": {"configMap": {"name": f"{name}-cache".replace("_", "-").lower()}},
    }
    if policy.caching.lifetime is not None:
        found["maxAge"] = f"{math.ceil(policy.caching.lifetime)}s"
    return found


def container_fields(policy: Policy) -> dict[str, Any]:
    """What the container of a template says of resources and secrets."""
    found: dict[str, Any] = {}
    taken, limits = dict[str, str](), dict[str, str]()
    resources = policy.resources
    if resources.cpu != 1.0:
        taken["cpu"] = f"{resources.cpu:g}"
    if resources.memory:
        limits["memory"] = taken["memory"] = _bytes(resources.memory)
    if resources.gpu:
        limits["nvidia.com/gpu"] = str(resources.gpu)
    if taken or limits:
        found["resources"] = {key: each for key, each in (("requests", taken), ("limits", limits)) if each}
    if policy.secrets:
        found["env"] = [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": "penstock", "key": _key(reference)}}}
            for name, reference in policy.secrets.items()
        ]
    return found


def _key(reference: str) -> str:
    return "".join(each if each.isalnum() or each in "-_." else "-" for each in reference)


def _bytes(count: int) -> str:
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if count % size == 0:
            return f"{count // size}{unit}"
    return str(count)


def changes(node: Node) -> list[str]:
    """What of a node's policy Argo does not do in the same way."""
    policy = node.policy
    found: list[str] = []
    if policy.retries.count and (policy.retries.on or policy.retries.never):
        found.append("every failure is repeated, whatever the exception")
    if policy.retries.count and (policy.retries.jitter or len(policy.retries.delays) > 1):
        found.append("the waits between attempts follow the first, without chance")
    if policy.timeouts.queue is not None:
        found.append("there is no limit for the time in the queue")
    if policy.deadline is not None:
        found.append("nobody is told of a missed deadline")
    if policy.priority:
        found.append("the priority is left out")
    if any(amount != 1 for amount in policy.resources.pools.values()):
        found.append("a pool is taken once, whatever the amount")
    if not node.decides:
        found.append("its failure is a failure of the workflow")
    if node.wait is not None:
        found.append("it holds its container while it waits")
    if node.each is not None and node.each.max_parallel is not None:
        found.append("the number of items at once is not limited")
    return found


__all__ = ["arguments_of", "changes", "container_fields", "inputs_of", "policy_fields", "script"]
