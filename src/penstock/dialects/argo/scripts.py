"""Templates of scripts and containers: what one task of a workflow runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Literal

from penstock.dialects.argo.attempts import NOT_YET, asks_again, attempts, duration, is_picky, lost, picking
from penstock.dialects.argo.braces import hidden
from penstock.dialects.argo.values import Value, decoding
from penstock.dialects.code.formatting import Imports, broken, module_text
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
    form: Form | Literal["unread"],
    ports: Mapping[str, Form],
    task: Task | None = None,
    node: Node | None = None,
) -> dict[str, Any]:
    """The template of a program, which reads its operands and leaves its value in a file, unless nobody reads it; `ports`
    are the parts of the value that are left in files of their own, with their forms."""
    imports = program.imports
    writes = form != "unread" or bool(ports)
    if any(value.mode == "file" for value in given.values()):
        imports.name("pathlib", "Path")
    if any(value.mode in ("json", "each") for value in given.values()):
        imports.module("json")
    if any(value.mode != "file" for value in given.values()):
        imports.module("os")
    if any(value.form == "pickle" for value in given.values()):
        imports.module("pickle")
    lines = _installing(task, imports)
    lines += [decoding(operand, value) for operand, value in given.items()]
    lines += _working(program, node, read=writes)
    if form != "unread":
        lines.append(_left("value", form, RESULT, imports))
    for port, kind in ports.items():
        lines.append(_left(_part(task, port), kind, f"{RESULT}-{port}", imports))
    image = IMAGE
    if task is not None and task.environment is not None and task.environment.python:
        image = f"python:{task.environment.python}-slim"
    source = hidden(module_text(imports, [*program.definitions, "\n".join(broken(lines))]))
    body: dict[str, Any] = {"image": image, "command": ["python"]}
    env = [
        {"name": f"input_{key}", "value": f"{{{{inputs.parameters.{key}}}}}"}
        for key, value in given.items()
        if value.mode != "file"
    ]
    if env:
        body["env"] = env
    body["source"] = source
    outputs = _outputs(form, ports)
    return {"name": name, **inputs_of(given), "script": body, **({"outputs": outputs} if outputs else {})}


def _left(value: str, form: Form, place: str, imports: Imports) -> str:
    """The line of a script that leaves a value in a file, or a folder."""
    if form == "path":
        shutil = imports.module("shutil")
        return f'({shutil}.copytree if {value}.is_dir() else {shutil}.copyfile)({value}, "{place}")'
    path = imports.name("pathlib", "Path")
    if form == "pickle":
        return f'{path}("{place}").write_bytes({imports.module("pickle")}.dumps({value}))'
    return f'{path}("{place}").write_text({imports.module("json")}.dumps({value}))'


def _working(program: Program, node: Node | None, *, read: bool) -> list[str]:
    """The lines that come to the value."""
    lines = [*program.lines]
    read = read or (node is not None and node.wait is not None)
    if program.value != "value":
        lines.append(f"value = {program.value}" if read else program.value)
    if node is not None and is_picky(node.policy):
        lines = picking(lines, node.policy, program.imports)
    if node is not None and asks_again(node):
        lines += ["if not value:", f"    raise SystemExit({NOT_YET})"]
    return lines


def _installing(task: Task | None, imports: Imports) -> list[str]:
    if task is None or task.environment is None or not task.environment.requirements:
        return []
    imports.module("subprocess")
    imports.module("sys")
    listed = ", ".join(f'"{each}"' for each in task.environment.requirements)
    return [f'subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", {listed}], check=True)']


def _part(task: Task | None, port: str) -> str:
    match None if task is None else task.record:
        case "tuple":
            assert task is not None
            return f"value[{[each.name for each in task.outputs].index(port)}]"
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


def _outputs(form: Form | Literal["unread"], ports: Mapping[str, Form]) -> dict[str, Any]:
    places = {port: (kind, f"{RESULT}-{port}") for port, kind in ports.items()}
    if form != "unread":
        places = {"result": (form, RESULT), **places}
    artifacts = [{"name": name, "path": place} for name, (kind, place) in places.items() if kind in FILES]
    parameters = [
        {"name": name, "valueFrom": {"path": place}} for name, (kind, place) in places.items() if kind not in FILES
    ]
    return {key: each for key, each in (("artifacts", artifacts), ("parameters", parameters)) if each}


def policy_fields(node: Node, template: Mapping[str, Any]) -> dict[str, Any]:
    """What the template of a node says of how it is run, besides what is there already."""
    policy = node.policy
    found = attempts(node, picky="script" in template and is_picky(policy))
    locks: dict[str, Any] = {}
    if policy.concurrency == 1:
        locks["mutexes"] = [{"name": node.task.rstrip("'")}]
    elif policy.concurrency is not None:
        locks.setdefault("semaphores", []).append(_semaphore(node.task.rstrip("'")))
    for pool in policy.resources.pools:
        locks.setdefault("semaphores", []).append(_semaphore(pool))
    if locks:
        found["synchronization"] = locks
    if is_kept(node, template):
        found["memoize"] = _memoize(node, template)
    return found


def is_kept(node: Node, template: Mapping[str, Any]) -> bool:
    """Whether Argo can keep results as the policy has it: by what it is given, which then are no files."""
    policy = node.policy
    wanted = policy.cache and (policy.caching.lifetime is not None or policy.caching.version)
    return bool(wanted) and not policy.caching.keyed and "artifacts" not in template.get("inputs", {})


def _semaphore(key: str) -> dict[str, Any]:
    return {"configMapKeyRef": {"name": POOLS, "key": key}}


def _memoize(node: Node, template: Mapping[str, Any]) -> dict[str, Any]:
    caching = node.policy.caching
    name = re.sub(r"[^A-Za-z0-9]+", "-", node.task).strip("-") or "task"
    code = hashlib.sha256(f"{caching.version}\n{template.get('script', template.get('container'))}".encode())
    inputs = [each["name"] for each in template.get("inputs", {}).get("parameters", ())]
    values = " + '|' + ".join(f"inputs.parameters.{each}" for each in inputs if each not in caching.ignored)
    # letters, digits and hyphens are all that may be in a key
    key = f"{name}-{code.hexdigest()[:8]}" + (f"-{{{{=sprig.sha256sum({values})}}}}" if values else "")
    # it is always asked for; empty for any time
    lifetime = "" if caching.lifetime is None else duration(caching.lifetime)
    return {"key": key, "maxAge": lifetime, "cache": {"configMap": {"name": f"{name}-cache".lower()}}}


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


def changes(node: Node, template: Mapping[str, Any]) -> list[str]:
    """What of a node's policy Argo does not do in the same way."""
    policy = node.policy
    found = lost(node, picky="script" in template and is_picky(policy))
    if policy.deadline is not None:
        found.append("nobody is told of a missed deadline")
    if policy.priority:
        found.append("the priority is left out")
    if any(amount != 1 for amount in policy.resources.pools.values()):
        found.append("a pool is taken once, whatever the amount")
    if policy.resources.memory_cap:
        found.append("it is repeated with as much memory as before")
    if policy.cache and policy.caching.lifetime is not None and not is_kept(node, template):
        found.append("its results are not kept")
    return found


__all__ = ["arguments_of", "changes", "container_fields", "inputs_of", "policy_fields", "script"]
