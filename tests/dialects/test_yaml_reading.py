"""penstock's YAML as people write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.app import Pipeline
from penstock.dialects.yaml.reading import claims
from penstock.errors import DefinitionError
from penstock.model.action import CommandAction, ContainerAction
from penstock.model.expression import Apply, Constant, Get, Item, Output, Parameter
from penstock.model.graph import Node, Wait
from penstock.model.policy import Resources, Retries
from penstock.model.schedule import Cron, Timetable
from penstock.registering.loading import load_module, load_pipeline, reading_of

Write = Callable[..., Pipeline[..., Any]]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file, and the module beside it, and reads the pipeline."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, code: str = "", stem: str = "flow") -> Pipeline[..., Any]:
        (tmp_path / f"{stem}.py").write_text(dedent(code))
        (tmp_path / f"{stem}.yaml").write_text(dedent(text))
        return load_pipeline(f"{stem}.yaml")

    return write


def _nodes(pipeline: Pipeline[..., Any]) -> dict[str, Node]:
    known = pipeline.signature.resolve(given={}, partial=True)
    return {node.id: node for node in pipeline.define(known).graph.nodes}


def _outputs(pipeline: Pipeline[..., Any], **parameters: Any) -> dict[str, Any]:
    run = pipeline.options(executor="inline", progress=False).run(**parameters)
    assert run.state == "succeeded", [(task.id, task.state, task.error) for task in run.tasks]
    return dict(run.outputs)


ONE = "def one():\n    return 1\n"


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("pipeline: x\nstages:\n  - name: a\n", True),
        ("stages: [{name: a}]", True),
        ('{"pipeline": {}, "stages": []}', True),
        ("# stages: none\nkind: Workflow\nspec: {stages: 1}\n", False),
        ("deploymentSpec: {}\npipelineInfo: {name: x}\n", False),
    ],
)
def test_a_file_is_recognised_by_its_first_keys(text: str, ours: bool) -> None:
    assert claims(text) is ours


def test_how_a_stage_is_run(write: Write) -> None:
    pipeline = write(
        """
        stages:
          - name: one
            timeout: 1h 30m
            retries: {count: 3, delay: [10s, 1m], backoff: 2, on: [OSError], never: KeyError}
            resources: {cpu: 4, memory: 16Gi, gpu: 1, pools: {db: 2}}
            deadline: 2h
            tags: nightly
            cache: {for: 7d, version: "2"}
            priority: 5
        """,
        ONE,
    )
    policy = _nodes(pipeline)["one"].policy
    assert policy.timeouts.attempt == 5400
    assert policy.retries == Retries(3, (10, 60), 2, on=("builtins.OSError",), never=("builtins.KeyError",))
    assert policy.resources == Resources(4, 16 * 1024**3, gpu=1, pools={"db": 2})
    assert (policy.deadline, policy.tags, policy.priority) == (7200, ("nightly",), 5)
    assert (policy.caching.lifetime, policy.caching.version) == (604800, "2")


def test_options_of_a_task_hold_where_the_file_says_nothing(write: Write) -> None:
    code = "from penstock import task\n@task(retries=2, timeout=5)\ndef one():\n    return 1\n"
    policy = _nodes(write("stages: [{name: one, timeout: 9}]", code))["one"].policy
    assert (policy.retries.count, policy.timeouts.attempt) == (2, 9)


def test_inputs_are_filled_by_name(write: Write) -> None:
    pipeline = write(
        """
        pipeline: {name: fill, parameters: {epochs: 3, rate: 0.5}, outputs: {done: ship}}
        stages:
          - name: load-data
          - {name: train, depends_on: load-data, outputs: [model, loss]}
          - {name: check, depends_on: [train]}
          - {name: ship, depends_on: [check]}
        """,
        """
        def load_data(): return [1, 2]
        def train(load_data, epochs, rate=0.1): return sum(load_data) * epochs, rate
        def check(loss): return loss < 1
        def ship(model, good): return (model, good)
        """,
    )
    nodes = _nodes(pipeline)
    assert nodes["train"].bindings == {
        "load_data": Output("load-data"),
        "epochs": Parameter("epochs"),
        "rate": Parameter("rate"),
    }
    # from further up, and what is left of the one stage that it depends on
    assert nodes["ship"].bindings == {"model": Output("train", "model"), "good": Output("check")}
    assert _outputs(pipeline) == {"done": (9, True)}


def test_named_inputs_leave_what_has_a_default_alone(write: Write) -> None:
    code = "def one(a, b=5, c=6):\n    return a + b + c\n"
    pipeline = write(
        "pipeline: {parameters: {a: 1, b: 2}, outputs: {x: one}}\nstages: [{name: one, inputs: {c: 3}}]", code
    )
    assert _outputs(pipeline) == {"x": 9}


def test_what_an_input_may_be(write: Write) -> None:
    code = "def one():\n    return {'a': [1, 2]}\ndef two(**given):\n    return given\n"
    pipeline = write(
        """
        pipeline: {name: values, parameters: {word: w, n: 2}, outputs: {all: two}}
        stages:
          - name: one
          - name: two
            inputs:
              whole: one
              part: ${one.a[1] + n}
              double: ${{ n * 2 }}
              text: one two
              dollar: costs $${n}
              path: data/${word}.csv
              nested: {list: ["${n}", 3], plain: [1, no, 1e-3]}
              called: ${'one'}
        """,
        code,
    )
    assert _outputs(pipeline)["all"] == {
        "whole": {"a": [1, 2]},
        "part": 4,
        "double": 4,
        "text": "one two",
        "dollar": "costs ${n}",
        "path": "data/w.csv",
        "nested": {"list": [2, 3], "plain": [1, "no", 0.001]},
        "called": "one",
    }


def test_parts_of_what_nobody_has_declared_are_entries_or_attributes(write: Write) -> None:
    code = """
    from types import SimpleNamespace
    def entries(): return dict(metrics=dict(accuracy=0.9, items=[1]), big="x" * 100_000)
    def attributes(): return SimpleNamespace(metrics=SimpleNamespace(accuracy=0.9))
    def both(x, y, z): return (x, y, z)
    """
    pipeline = write(
        """
        pipeline: {outputs: {both: both}}
        stages:
          - name: entries
          - name: attributes
          - name: both
            inputs: {x: "${entries.metrics.accuracy}", y: "${attributes.metrics.accuracy}", z: "${entries.metrics.items}"}
            condition: "entries.metrics.accuracy >= 0.8 and attributes.metrics.accuracy < 1 and 1 in entries.metrics.items"
        """,
        code,
    )
    assert _outputs(pipeline)["both"] == (0.9, 0.9, [1])


def test_declared_results_have_their_parts_where_the_graph_can_tell(write: Write) -> None:
    code = "def one() -> dict[str, int]:\n    return {'a': 1}\ndef two(a):\n    return a\n"
    nodes = _nodes(write("stages: [{name: one}, {name: two, inputs: {a: '${one.a}'}}]", code))
    assert nodes["two"].bindings["a"] == Get(Output("one"), "a")


def test_conditions(write: Write) -> None:
    text = "parameters: {n: 3}\nstages:\n  - {name: one}\n  - {name: two, uses: 'flow:one', when: '1 < one <= n or not failed(one)'}\n"
    guard = _nodes(write(text, ONE))["two"].guard
    assert isinstance(guard, Apply) and guard.operator == "or"
    assert guard.arguments[0] == Apply(
        "and", (Apply("lt", (Constant(1), Output("one"))), Apply("le", (Output("one"), Parameter("n"))))
    )


def test_maps(write: Write) -> None:
    pipeline = write(
        """
        outputs: {scores: score, pairs: pair}
        stages:
          - name: score
            map: [1, 2]
          - name: pair
            map: {x: score, y: [10, 20]}
            map_options: {mode: product, max_parallel: 2, failure_threshold: 0.5}
        """,
        "def score(x):\n    return x * 2\ndef pair(x, y):\n    return x + y\n",
    )
    each = _nodes(pipeline)["pair"].each
    assert each is not None and (each.mode, each.max_parallel, each.failure_threshold) == ("product", 2, 0.5)
    assert _nodes(pipeline)["pair"].bindings["x"] == Item("x")
    assert _outputs(pipeline)["scores"] == [2, 4]


def test_programs(write: Write) -> None:
    pipeline = write(
        """
        pipeline: {name: programs, parameters: {n: 2}}
        stages:
          - name: awk
            run: awk '{print $1}' <<< ${n} && echo $${HOME} ${n:.1f} ${n!s}
            exit_codes: {success: [0, 3], skip: 9}
            outputs: [model.pkl]
          - name: box
            container: {image: "python:3.12", network: none}
            run: [python, -c, "print(${n})"]
            outputs: json
            environment: {LEVEL: debug}
        """
    )
    graph = pipeline.define({"n": 2}).graph
    awk, box = graph.tasks["awk"].action, graph.tasks["box"].action
    assert isinstance(awk, CommandAction) and isinstance(box, ContainerAction)
    assert awk.shell == "awk '{{print $1}}' <<< {n} && echo ${{HOME}} {n:.1f} {n!s}"
    assert (awk.success, awk.skip, awk.catches["model"].path) == ((0, 3), (9,), "model.pkl")
    assert (box.image, box.network, box.command.argv[2], box.command.environment) == (
        "python:3.12",
        "none",
        "print({n})",
        {"LEVEL": "debug"},
    )


def test_variables_of_the_environment_of_a_function(write: Write) -> None:
    code = "import os\ndef one():\n    return os.environ['LEVEL'] + os.environ['N']\n"
    pipeline = write("outputs: {x: one}\nstages: [{name: one, environment: {LEVEL: debug, N: 3}}]", code)
    assert _outputs(pipeline) == {"x": "debug3"}
    run = pipeline.options(workers=1, progress=False, cache=False).run()
    assert dict(run.outputs) == {"x": "debug3"}


def test_requirements_of_a_function(write: Write) -> None:
    pipeline = write("stages: [{name: one, environment: {requirements: [pandas==2.2], python: '3.12'}}]", ONE)
    environment = pipeline.define({}).graph.tasks["one"].environment
    assert environment is not None and (environment.requirements, environment.python) == (("pandas==2.2",), "3.12")


def test_waits_approvals_and_opaque_stages(write: Write) -> None:
    pipeline = write(
        """
        stages:
          - {name: one, wait: {poll: 2m, on_timeout: skip}}
          - name: ship
            approve: {question: 'Ship it?', deadline: 3600.0, default: reject}
            depends_on: [one]
          - name: query
            opaque: {dialect: airflow, kind: BigQueryOperator, source: "BigQueryOperator(sql='select 1')"}
        """,
        ONE,
    )
    nodes, graph = _nodes(pipeline), pipeline.define({}).graph
    assert nodes["one"].wait == Wait(poll=120, on_timeout="skip") and not nodes["one"].policy.cache
    assert type(graph.tasks["ship"].action).__name__ == "ApprovalAction" and nodes["ship"].after == ("one",)
    assert type(graph.tasks["query"].action).__name__ == "OpaqueAction"


def test_parameters_are_typed(write: Write) -> None:
    pipeline = write(
        """
        pipeline:
          name: typed
          parameters:
            epochs: 10
            rate: {type: number, default: 1}
            day: {type: date}
            mode: {choices: [fast, slow], default: fast}
            regions: [eu]
            token: {type: Secret, default: "env:TOKEN"}
        stages: [{name: one}]
        """,
        ONE,
    )
    told = {port.name: (port.type, port.required, port.default) for port in pipeline.parameters}
    assert told == {
        "epochs": ("int", False, 10),
        "rate": ("float", False, 1.0),
        "day": ("date", True, None),
        "mode": ("Literal['fast', 'slow']", False, "fast"),
        "regions": ("list", False, ["eu"]),
        "token": ("Secret", False, "env:TOKEN"),
    }
    with pytest.raises(Exception, match="epochs: expected a whole number; got 'many'"):
        pipeline.signature.resolve(given={}, texts={"epochs": "many", "day": "2026-01-01"})


def test_a_schedule_is_a_trigger(write: Write) -> None:
    write(
        """
        pipeline: nightly
        stages: [{name: one}]
        schedule:
          - {cron: "0 2 * * *", timezone: Europe/Berlin, missed: none, at_most: 1}
          - "@hourly"
        """,
        ONE,
    )
    reading = reading_of(load_module("flow.yaml"))
    assert reading is not None
    assert list(reading.triggers) == ["nightly", "nightly-2"]
    noun = reading.triggers["nightly"].noun
    assert noun.source == Timetable(Cron("0 2 * * *", "Europe/Berlin"))
    assert (noun.limits.missed, noun.limits.at_most, noun.pipeline) == ("none", 1, "nightly")
    assert reading.triggers["nightly"].composition is reading.pipelines["nightly"]


def test_what_has_no_effect_is_told(write: Write) -> None:
    pipeline = write("pipeline: {name: x, version: '1.2', owner: me}\nstages: [{name: one}]", ONE)
    assert [each.what for each in pipeline.ignored] == ["pipeline.version: 1.2", "pipeline.owner: me"]


def test_what_is_said_of_a_parameter_is_listed(write: Write) -> None:
    pipeline = write("parameters: {rate: {type: float, description: how fast}}\nstages: [{name: one}]\n", ONE)
    assert [each.what for each in pipeline.ignored] == ["the description of the parameter rate: how fast"]


def test_an_output_of_the_name_of_a_part_of_it(write: Write) -> None:
    code = "def one():\n    return dict(metrics=dict(metrics=3))\ndef two(x):\n    return x\n"
    text = """
        pipeline: {name: flow, outputs: {two: two}}
        stages:
          - {name: one, outputs: [metrics]}
          - {name: two, inputs: {x: "${one.metrics.metrics.metrics}"}}
    """
    assert _outputs(write(text, code)) == {"two": 3}


def test_a_wrapped_function_may_return_what_its_code_does_not_show(write: Write) -> None:
    code = """
        import functools

        def doubled(function):
            @functools.wraps(function)
            def call():
                return {name * 2: value for name, value in function().items()}
            return call

        @doubled
        def one():
            return {"a": 1}
    """
    text = "pipeline: {name: flow, outputs: {x: '${one.aa}'}}\nstages: [{name: one}]\n"
    assert _outputs(write(text, code)) == {"x": 1}


def test_a_function_with_variables_is_written_with_them(write: Write) -> None:
    from penstock.registering.exporting import exported

    pipeline = write("stages:\n  - {name: one, environment: {MODE: fast}}\n", ONE)
    assert "environment: {MODE: fast}" in exported(pipeline, "yaml", stem="flow").written.text
    for dialect in ("airflow", "prefect", "kfp", "argo", "penstock"):
        text = exported(pipeline, dialect, stem="other").written.text
        assert 'with patch.dict(os.environ, {"MODE": "fast"}):' in text, dialect


def test_what_a_stage_gives_is_of_the_type_that_another_takes(write: Write) -> None:
    code = (
        "from pathlib import Path\ndef one() -> str:\n    return ''\ndef two(one: int, path: Path):\n    return one\n"
    )
    with pytest.raises(DefinitionError) as caught:
        write("stages:\n  - name: one\n  - {name: two, inputs: {one: one, path: a.csv}}\n", code)
    assert "flow.yaml:3:31: two() takes one: int, and is given a value of type str" in str(caught.value)
    assert "Write path: !path a.csv." in str(caught.value)


def test_anchors_merges_and_long_names(write: Write) -> None:
    pipeline = write(
        """
        pipeline: x
        stages:
          load-it: &often {uses: "flow:one", retries: 2}
          load-more: {<<: *often, retries: 3}
          sum: {uses: "flow:add", inputs: {x: "${load-it + load-more}"}, condition: "load-it == 1 and load-more - 1 == 0"}
        """,
        ONE + "def add(x):\n    return x\n",
    )
    nodes = _nodes(pipeline)
    assert (nodes["load-it"].policy.retries.count, nodes["load-more"].policy.retries.count) == (2, 3)
    assert nodes["sum"].bindings["x"] == Apply("add", (Output("load-it"), Output("load-more")))


def test_two_files_with_modules_of_one_name(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "flow.py").write_text(f"def one():\n    return {number}\n")
        (folder / "flow.yaml").write_text("outputs: {x: one}\nstages: [{name: one}]\n")
    found = [_outputs(load_pipeline(str(tmp_path / str(number) / "flow.yaml"))) for number in (1, 2)]
    assert found == [{"x": 1}, {"x": 2}]


def test_hooks_of_a_stage(write: Write, tmp_path: Path) -> None:
    code = ONE + "def tell(context):\n    with open('told', 'a') as file:\n        file.write(context.event)\n"
    pipeline = write("stages: [{name: one, on_success: 'flow:tell'}]", code)
    _outputs(pipeline)
    assert (tmp_path / "told").read_text() == "success"
