"""Commands in containers, by podman or docker: files in and out through one folder that both sides see."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.errors import CommandError
from penstock.executors.context import current
from penstock.executors.programs.catching import check_end, keeps_stdout, outputs_of, tells_stdout
from penstock.executors.programs.children import Ended, run
from penstock.executors.programs.preparation import Prepared, prepare, put_inputs, put_reads, scratch
from penstock.model.action import ContainerAction

#: by preference
ENGINES = ("podman", "docker")
#: more arguments for the engine's `run`, as in a shell
ARGUMENTS = "PENSTOCK_CONTAINER_ARGUMENTS"
#: where files and folders that are inputs are mounted, read only
_INPUTS = "/inputs"
#: exit code of the engines for a container that could not be started
_NOT_STARTED = 125
#: how long an engine is waited for that is asked about an image, in seconds
_PATIENCE = 30.0


def run_container(action: ContainerAction, inputs: Mapping[str, Any]) -> Any:
    """Run a command in a container with its inputs. See `penstock.executors.programs.commands.callable_of`.

    Raises CommandError as well where there is no engine and no such image.
    """
    command = action.command
    with scratch(command) as folder:
        engine = _engine()
        # a link would lead out of what the container sees
        put_reads(command, folder, link=False)
        given = put_inputs(command, inputs, folder, link=False)
        mounts = {str(folder): action.mount}
        for name, value in given.items():
            if isinstance(value, Path) and name not in command.files:
                inside = Path(_INPUTS, name, value.name)
                mounts[str(value)] = f"{inside}:ro"
                given[name] = inside
        prepared = prepare(command, given)
        ended = _run(engine, action, prepared, mounts)
        if ended.exit_code == _NOT_STARTED:
            raise _not_started(engine, action.image, ended)
        check_end(command, f"{prepared.shown} (in {action.image})", ended)
        return outputs_of(command, ended, folder, given)


def available_engine() -> str | None:
    """The container engine that is used here; None where there is none."""
    return next((engine for engine in ENGINES if shutil.which(engine)), None)


def _engine() -> str:
    engine = available_engine()
    if engine is None:
        raise CommandError(
            f"there is no container engine here: neither {' nor '.join(ENGINES)} is installed",
            exit_code=127,
            remedy="Install podman (apt install podman, brew install podman), or run where one is.",
        )
    return engine


def _run(engine: str, action: ContainerAction, prepared: Prepared, mounts: Mapping[str, str]) -> Ended:
    name = f"penstock-{os.urandom(6).hex()}"
    argv = [engine, "run", "--rm", "--name", name, *_options(engine, action, prepared), *_target(action, prepared)]
    for inside in mounts.items():
        argv[3:3] = ["--volume", ":".join(inside)]
    return run(
        argv,
        folder=Path.cwd(),
        environment={**os.environ, **prepared.environment},
        keep=keeps_stdout(action.command),
        tell=tells_stdout(action.command),
        # the container is no child of the engine's process, and does not end with it
        ending=[engine, "rm", "--force", name],
    )


def _options(engine: str, action: ContainerAction, prepared: Prepared) -> list[str]:
    user, group = os.getuid(), os.getgid()
    options = [f"--workdir={action.command.folder or action.mount}", f"--user={user}:{group}"]
    # files that it leaves are to belong to who runs it
    if engine == "podman" and user != 0:
        options.append("--userns=keep-id")
    # a folder of the user's has no label that SELinux would let a container touch
    options.append("--security-opt=label=disable")
    if action.network != "default":
        options.append(f"--network={action.network}")
    options += _limits()
    # by name only: a value among the arguments is there for all users of the machine to see
    names = [
        *prepared.environment,
        *current().secrets,
        *(name for name in ("CUDA_VISIBLE_DEVICES",) if name in os.environ),
    ]
    options += [f"--env={name}" for name in names]
    return [*options, *shlex.split(os.environ.get(ARGUMENTS, "")), *action.arguments]


def _limits() -> list[str]:
    """The limits of the attempt, for the engine."""
    context = current()
    limits = [f"--memory={context.memory}b"] if context.memory else []
    # one core is what nobody has said anything about
    return limits if context.cpu == 1 else [*limits, f"--cpus={context.cpu:g}"]


def _target(action: ContainerAction, prepared: Prepared) -> list[str]:
    """The image and what runs in it. Lines for the shell take the place of the image's entry point."""
    if action.command.shell:
        shell, *rest = prepared.argv
        return [f"--entrypoint={shell}", action.image, *rest]
    return [action.image, *prepared.argv]


def _not_started(engine: str, image: str, ended: Ended) -> CommandError:
    told = "\n  | ".join(ended.last)
    known = subprocess.run(
        [engine, "image", "inspect", image],
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if known.returncode != 0:
        return CommandError(
            f"{engine} has no image {image!r} and could not fetch it:\n  | {told}",
            exit_code=_NOT_STARTED,
            remedy=f"Check its name, or build or import it first: {engine} build -t {image} .",
        )
    return CommandError(
        f"{engine} could not start a container of {image!r}:\n  | {told}",
        exit_code=_NOT_STARTED,
        remedy=f"Options for {engine} can be given by arguments=(...), the setting container_arguments, or {ARGUMENTS}.",
    )


__all__ = ["ARGUMENTS", "available_engine", "run_container"]
