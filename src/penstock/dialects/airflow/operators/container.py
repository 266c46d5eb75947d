"""`KubernetesPodOperator` and `DockerOperator`: programs in containers, run by podman or docker."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from penstock.dialects.airflow.alone import text_of
from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.inputs import Reads
from penstock.dialects.airflow.nodes import Program
from penstock.dialects.airflow.operators.bash import exit_codes
from penstock.dialects.airflow.xcomarg import XComArg
from penstock.errors import DefinitionError

#: where a pod leaves its XCom
_XCOM = "/airflow/xcom"
_CLUSTER = "it is about a cluster, and the container runs where penstock does"
#: arguments of a pod without effect on what it computes
_OF_CLUSTER = frozenset(
    [
        "namespace",
        "name",
        "random_name_suffix",
        "labels",
        "annotations",
        "in_cluster",
        "cluster_context",
        "kubernetes_conn_id",
        "config_file",
        "get_logs",
        "container_logs",
        "log_events_on_failure",
        "is_delete_operator_pod",
        "on_finish_action",
        "startup_timeout_seconds",
        "startup_check_interval_seconds",
        "reattach_on_restart",
        "image_pull_policy",
        "image_pull_secrets",
        "service_account_name",
        "node_selector",
        "affinity",
        "tolerations",
        "hostnetwork",
        "security_context",
        "container_security_context",
        "dnspolicy",
        "schedulername",
        "priority_class_name",
        "termination_grace_period",
        "base_container_name",
        "deferrable",
        "poll_interval",
        "do_xcom_push",
        "container_resources",
        "log_pod_spec_on_failure",
        "automount_service_account_token",
        "trigger_kwargs",
    ]
)


class ContainerOperator(BaseOperator):
    """A program in a container."""

    def contents(self) -> dict[str, Any]:
        """The arguments of `penstock.container`."""
        raise NotImplementedError

    def reads(self) -> Reads:
        return Reads()

    def handed(self) -> dict[str, Any]:
        """The inputs of that container; outputs of other tasks may be in them."""
        return {}

    def native(self) -> Program | None:
        from penstock.dialects.airflow.templates import templates_of

        known = list(XComArg.found_in(self.handed()))
        if templates_of(self) or any(all(each is not other for other in known) for each in self.inputs()):
            return None
        return self._program()

    def _program(self) -> Program:
        from penstock.authoring.tasks.commands import container

        contents = self.contents()
        gives = contents.pop("gives")
        made = container(name=self.label, description=str(self.doc_md or ""), **contents)
        return Program(made, gives, self.handed())

    def execute(self, context: Any) -> Any:
        """Run it here and now, with what its templates were filled in with."""
        made, gives, given = self._program()
        result: Any = made.function(**given)
        if gives == "lines":
            return result[-1] if result else ""
        return result if gives else None


class KubernetesPodOperator(ContainerOperator):
    """A pod of one container."""

    template_fields: ClassVar[Sequence[str]] = ("image", "cmds", "arguments", "env_vars")

    def __init__(
        self,
        *,
        image: str,
        cmds: list[str] | None = None,
        arguments: list[str] | None = None,
        env_vars: Any = None,
        skip_on_exit_code: Any = None,
        **kwargs: Any,
    ) -> None:
        passed = {name: kwargs.pop(name) for name in list(kwargs) if name in _OF_CLUSTER}
        super().__init__(do_xcom_push=bool(passed.pop("do_xcom_push", False)), **kwargs)
        self.image = image
        self.cmds = list(cmds or ())
        self.arguments = list(arguments or ())
        self.env_vars = env_vars
        self.skip_on_exit_code = exit_codes(skip_on_exit_code)
        for name in passed:
            self.without_effect[name] = _CLUSTER

    def contents(self) -> dict[str, Any]:
        from penstock.authoring.tasks.commands import file

        entry = ["--entrypoint", self.cmds[0]] if self.cmds else []
        pushes: dict[str, Any] = {"mount": _XCOM, "outputs": {"result": file("return.json", "json")}, "folder": "/"}
        return {
            "image": self.image,
            "command": [_plain(each) for each in (*self.cmds[1:], *self.arguments)],
            "environment": {name: _plain(value) for name, value in _variables(self.env_vars).items()},
            "arguments": entry,
            "skip": self.skip_on_exit_code,
            "gives": "result" if self.do_xcom_push else "",
            **(pushes if self.do_xcom_push else {"outputs": {}}),
        }


class DockerOperator(ContainerOperator):
    """A container of docker."""

    template_fields: ClassVar[Sequence[str]] = ("image", "command", "environment")

    def __init__(
        self,
        *,
        image: str,
        command: str | list[str] | None = None,
        environment: dict[str, Any] | None = None,
        working_dir: str | None = None,
        network_mode: str | None = None,
        xcom_all: bool = False,
        entrypoint: str | list[str] | None = None,
        skip_on_exit_code: Any = None,
        auto_remove: Any = None,
        api_version: str | None = None,
        docker_url: Any = None,
        docker_conn_id: str | None = None,
        mount_tmp_dir: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image = image
        self.command = command
        self.environment = environment
        self.working_dir = working_dir
        self.network_mode = network_mode
        self.xcom_all = xcom_all
        self.entrypoint = entrypoint
        self.skip_on_exit_code = exit_codes(skip_on_exit_code)

    def contents(self) -> dict[str, Any]:
        from penstock.authoring.tasks.commands import stdout

        entry = _words(self.entrypoint)
        networks = {None: "default", "bridge": "default", "host": "host", "none": "none"}
        if self.network_mode not in networks:
            raise DefinitionError(
                f"network_mode={self.network_mode!r} is not covered by penstock's reader of Apache Airflow",
                where=str(self.location),
                remedy="Use 'bridge', 'host' or 'none'.",
            )
        return {
            "image": self.image,
            "command": [_plain(each) for each in (*entry[1:], *_words(self.command))],
            "environment": {name: _plain(str(value)) for name, value in (self.environment or {}).items()},
            "arguments": ["--entrypoint", entry[0]] if entry else [],
            "network": networks[self.network_mode],
            "folder": self.working_dir or "",
            "skip": self.skip_on_exit_code,
            "outputs": {"result": stdout("lines")} if self.do_xcom_push else {},
            "gives": ("result" if self.xcom_all else "lines") if self.do_xcom_push else "",
        }


def _words(command: Any) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else [str(each) for each in command or ()]


def _plain(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _variables(given: Any) -> dict[str, str]:
    """Variables of a dict, or of a list of `V1EnvVar`."""
    if isinstance(given, dict):
        return {str(name): str(value) for name, value in cast("dict[Any, Any]", given).items()}
    return {each.name: str(each.value) for each in given or () if not isinstance(each, XComArg)}


# Functions in containers.


_SCRIPT = """\
from __future__ import annotations
import json as _json
import sys as _sys

{source}

with open(_sys.argv[1]) as _file:
    _given = _json.load(_file)
_result = {name}(*_given["args"], **_given["kwargs"])
if _sys.argv[2:]:
    with open(_sys.argv[2], "w") as _file:
        _json.dump(_result, _file)
"""
_GIVEN = ("op_args", "op_kwargs")
_AS_JSON = "what it is given and returns goes there and back as JSON"


class _Function(ContainerOperator):
    """A function that is run by the Python of an image, by its source. `penstock.container` mounts a folder for it."""

    python_callable: Callable[..., Any]
    op_args: list[Any]
    op_kwargs: dict[str, Any]

    def _called(self, function: Callable[..., Any], args: Any, kwargs: Any, others: dict[str, Any]) -> dict[str, Any]:
        """Take what is about the function. Returns what is about the container."""
        self.python_callable = function
        self.op_args, self.op_kwargs = list(args), dict(kwargs or {})
        #: arguments about how Airflow hands things over
        self.handing = {
            name: others.pop(name) for name in ("serializer", "use_dill", "expect_airflow") if name in others
        }
        return others

    def code(self) -> Any:
        return self.python_callable

    def handed(self) -> dict[str, Any]:
        return {"given": {"args": self.op_args, "kwargs": self.op_kwargs}}

    def script(self, python: str) -> dict[str, Any]:
        """The arguments of `penstock.container` that are about what runs in it, with its result in a file."""
        from penstock.authoring.tasks.commands import file

        text = _SCRIPT.format(source=text_of(self.python_callable), name=self.python_callable.__name__)
        result = {"result": file("return.json", "json")}
        return {
            "command": ["-c", _plain(text), "{given}", *(["return.json"] if self.do_xcom_push else [])],
            "arguments": ["--entrypoint", python],
            "inputs": {"given": dict[str, Any]},
            "files": {"given": "given.json"},
            "outputs": result if self.do_xcom_push else {},
            "folder": "",
            "mount": "/work",
            "gives": "result" if self.do_xcom_push else "",
        }


class DecoratedPod(_Function, KubernetesPodOperator):
    """`@task.kubernetes`."""

    template_fields: ClassVar[Sequence[str]] = (*_GIVEN, "image", "env_vars")

    def __init__(
        self, *, python_callable: Callable[..., Any], op_args: Any = (), op_kwargs: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**self._called(python_callable, op_args, op_kwargs, kwargs))
        self.without_effect |= dict.fromkeys(self.handing, _AS_JSON)

    def contents(self) -> dict[str, Any]:
        return super().contents() | self.script("python3")


class DecoratedDocker(_Function, DockerOperator):
    """`@task.docker`."""

    template_fields: ClassVar[Sequence[str]] = (*_GIVEN, "image", "environment")

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Any = (),
        op_kwargs: Any = None,
        python_command: str = "python3",
        **kwargs: Any,
    ) -> None:
        super().__init__(**self._called(python_callable, op_args, op_kwargs, kwargs))
        self.python_command = python_command
        self.without_effect |= dict.fromkeys(self.handing, _AS_JSON)

    def contents(self) -> dict[str, Any]:
        return super().contents() | self.script(self.python_command)


__all__ = ["DecoratedDocker", "DecoratedPod", "DockerOperator", "KubernetesPodOperator"]
