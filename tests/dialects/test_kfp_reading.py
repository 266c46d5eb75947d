"""Files that are written for Kubeflow Pipelines, read and run with Kubeflow absent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.dialects.kfp.stored import StoredArtifact
from penstock.errors import DefinitionError
from penstock.registering.loading import load_module, load_pipeline, reading_of

CORPUS = Path(__file__).with_name("corpus") / "kfp"

#: components that the files below use
HEAD = """
    from typing import Dict, List, NamedTuple, Optional

    import kfp
    from kfp import compiler, components, dsl, kubernetes
    from kfp.dsl import *

    @dsl.component
    def number(x: int) -> int:
        return x

    @dsl.component
    def text(s: str) -> str:
        return s

    @dsl.component
    def write(content: str, data: Output[Dataset]):
        with open(data.path, "w") as file:
            file.write(content)

    @dsl.component
    def read(data: Input[Dataset]) -> str:
        with open(data.path) as file:
            return file.read()

    @dsl.component
    def fail(x: int = 0) -> int:
        raise ValueError("no")
    """


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / ".penstock"))


def written(body: str, name: str = "pipelines.py") -> str:
    Path(name).write_text(dedent(HEAD).lstrip() + dedent(body))
    return name


def ran(body: str, target: str = "", **parameters: Any) -> Any:
    place = written(body)
    return load_pipeline(place + target).options(executor="inline", progress=False).run(**parameters)


def states(run: Any) -> dict[str, str]:
    return {each["id"]: each["state"] for each in run.document["tasks"]}


def refused(body: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as raised:
        load_pipeline(written(body))
    return raised.value


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.py")), ids=lambda file: file.stem)
def test_the_corpus_gives_what_it_is_said_to_give(file: Path) -> None:
    expected = json.loads(file.with_suffix(".json").read_text())
    run = load_pipeline(str(file)).options(executor="inline", progress=False).run(**expected["parameters"])
    assert run.outputs == expected["outputs"]
    assert states(run) == expected["states"]


def test_types_of_parameters_and_their_defaults() -> None:
    run = ran(
        """
        @dsl.component
        def told(s: str, i: int, f: float, b: bool, l: List[int], d: Dict[str, int], o: Optional[str] = None) -> str:
            return repr((s, i, f, b, l, d, o))

        @dsl.pipeline
        def types(s: str = "a", i: int = 1, f: float = 2.0, b: bool = True, l: list = [1], d: dict = {"k": 1}):
            told(s=s, i=i, f=f, b=b, l=l, d=d)
        """
    )
    assert run.task("told").output == "('a', 1, 2.0, True, [1], {'k': 1}, None)"


def test_artifacts_of_every_class_keep_their_metadata() -> None:
    run = ran(
        """
        class Forest(Model):
            schema_title = "my.Forest"

        @dsl.component
        def make(a: Output[Artifact], m: Output[Forest], n: Output[Metrics], c: Output[ClassificationMetrics],
                 s: Output[SlicedClassificationMetrics], h: Output[HTML], k: Output[Markdown]):
            import os

            os.makedirs(m.path)
            with open(os.path.join(m.path, "tree"), "w") as file:
                file.write("oak")
            with open(k.path + ".md", "w") as file:
                file.write("# beside")
            with open(h.path, "w") as file:
                file.write("<p>")
            m.framework = "wood"
            n.log_metric("height", 12)
            c.log_roc_curve([0.1], [0.9], [0.5])
            c.log_confusion_matrix(["a", "b"], [[1, 2], [3, 4]])
            s.load_confusion_matrix("north", ["a"], [[1]])

        @dsl.component
        def look(m: Input[Forest], c: Input[ClassificationMetrics], s: Input[Artifact], k: Input[Markdown], h: Input[HTML]) -> list:
            import os

            with open(k.path + ".md") as file:
                beside = file.read()
            rows = [row["row"] for row in c.metadata["confusionMatrix"]["rows"]]
            return [os.listdir(m.path), m.framework, type(m).__name__, rows, type(s).__name__, beside, h.uri == h.path]

        @dsl.pipeline
        def artifacts():
            made = make().outputs
            look(m=made["m"], c=made["c"], s=made["s"], k=made["k"], h=made["h"])
        """
    )
    assert run.task("look").output == [
        ["tree"],
        "wood",
        "Forest",
        [[1, 2], [3, 4]],
        "SlicedClassificationMetrics",
        "# beside",
        True,
    ]
    assert run.metrics == {"height": 12.0}
    assert run.task("make").outputs["a"] == StoredArtifact("system.Artifact", "a")


def test_artifacts_are_returned_and_taken_as_lists() -> None:
    run = ran(
        """
        @dsl.component
        def back(n: int) -> Dataset:
            made = Dataset(uri=dsl.get_uri(), metadata={"n": n})
            with open(made.path, "w") as file:
                file.write("z" * n)
            return made

        @dsl.component
        def payload() -> Dataset:
            return "payload"

        @dsl.component
        def lengths(items: Input[List[Dataset]]) -> list:
            return [len(__import__("pathlib").Path(each.path).read_text()) for each in items]

        @dsl.pipeline
        def lists():
            with dsl.ParallelFor([1, 2]) as n:
                made = back(n=n)
            lengths(items=dsl.Collected(made.output))
            lengths(items=[back(n=3).output, payload().output])
        """
    )
    assert run.task("lengths").output == [1, 2]
    assert run.task("lengths-2").output == [3, 7]


def test_text_with_values_in_it_says_them_as_kubeflow_does() -> None:
    run = ran(
        """
        @dsl.pipeline
        def texts(flag: bool = True, words: list = ["a"]):
            one = number(x=3)
            text(s=f"100% {one.output} {flag} {words} {dsl.PIPELINE_TASK_NAME_PLACEHOLDER}")

        @dsl.component
        def unused() -> int:
            return 1
        """
    )
    assert run.task("text").output == '100% 3 true ["a"] text'


def test_loops_collect_several_outputs_and_nested_lists() -> None:
    run = ran(
        """
        @dsl.component
        def pair(x: int) -> NamedTuple("Pair", [("a", int), ("b", str)]):
            return (x, str(x))

        @dsl.component
        def told(a: list, b: list, c: list) -> str:
            return f"{a} {b} {c}"

        @dsl.component
        def rows() -> List[Dict[str, int]]:
            return [{"k": 1}, {"k": 2}]

        @dsl.pipeline
        def loops():
            with dsl.ParallelFor(rows().output) as row:
                first = pair(x=row.k)
                with dsl.ParallelFor([7, 8], parallelism=1):
                    second = number(x=row.k)
            told(a=dsl.Collected(first.outputs["a"]), b=dsl.Collected(first.outputs["b"]), c=dsl.Collected(second.output))
        """
    )
    assert run.task("told").output == "[1, 2] ['1', '2'] [[1, 1], [2, 2]]"


def test_an_exit_handler_runs_after_a_failure_and_is_told_of_it() -> None:
    run = ran(
        """
        @dsl.component
        def tidy(status: PipelineTaskFinalStatus, label: str) -> str:
            return f"{label} {status.state} {status.pipeline_task_name} {status.error_message}"

        @dsl.pipeline
        def guarded():
            with dsl.ExitHandler(tidy(label="tidied")):
                number(x=fail().set_retry(1).output)
        """
    )
    assert run.state == "failed"
    assert run.task("tidy").output == "tidied FAILED exit-handler-1 fail: ValueError: no"
    assert run.task("fail").attempts == 2


def test_a_task_that_ignores_failures_before_it_takes_its_defaults() -> None:
    run = ran(
        """
        @dsl.component
        def default(x: int = 7) -> int:
            return x

        @dsl.pipeline
        def careless():
            default(x=fail().output).ignore_upstream_failure()
        """
    )
    assert run.task("default").output == 7


def test_importers_take_what_is_there_and_keep_addresses() -> None:
    Path("data.txt").write_text("imported")
    run = ran(
        """
        @dsl.component
        def address(data: Input[Dataset]) -> str:
            return f"{data.uri} {data.path} {data.metadata['a']}"

        @dsl.pipeline
        def importing(uri: str):
            read(data=dsl.importer(artifact_uri=uri, artifact_class=Dataset).output)
            far = dsl.importer(artifact_uri="gs://bucket/x", artifact_class=Dataset, metadata={"a": 1})
            address(data=far.output)
        """,
        uri="data.txt",
    )
    assert run.task("read").output == "imported"
    assert run.task("address").output == "gs://bucket/x /gcs/bucket/x 1"


def test_the_forms_of_the_first_version() -> None:
    run = ran(
        """
        from kfp.components import InputPath, OutputPath, create_component_from_func, func_to_container_op

        def add(a: float, b: float = 4) -> float:
            return a + b

        add_op = create_component_from_func(add, base_image="python:3.7")

        @func_to_container_op
        def write_text(content: str, out_path: OutputPath(str)):
            with open(out_path, "w") as file:
                file.write(content)

        @func_to_container_op
        def count(text_path: InputPath(str)) -> int:
            with open(text_path) as file:
                return len(file.read())

        @func_to_container_op
        def lines(n, data_path: OutputPath("CSV")):
            with open(data_path, "w") as file:
                file.write("a,b\\n" * int(n))

        @func_to_container_op
        def stats(data_path: InputPath("CSV")) -> NamedTuple("O", [("n", int), ("mlpipeline_metrics", "Metrics")]):
            import json

            with open(data_path) as file:
                n = len(file.readlines())
            return (n, json.dumps({"metrics": [{"name": "lines", "numberValue": n}]}))

        @dsl.pipeline(name="Old pipeline", description="of the first version")
        def old(a="1.5", n=3):
            add_op(add_op(a, 2).output)
            count(write_text("hello").output)
            told = stats(lines(n).output)
            with dsl.Condition(told.outputs["n"] > 2):
                add_op(1, 1)
        """
    )
    assert [run.task(name).output for name in ("add-2", "count", "add-3")] == [7.5, 5, 2.0]
    assert run.metrics == {"lines": 3.0}


def test_a_component_alone_is_a_pipeline_of_one_task() -> None:
    assert ran("", ":number", x=4).result == 4


def test_components_run_where_they_are_called_outside_a_pipeline() -> None:
    place = written(
        """
        from kfp import local

        local.init(runner=local.SubprocessRunner(use_venv=False))
        CALLED = number(x=5)
        """
    )
    assert load_module(place).CALLED.output == 5


def test_workers_find_the_functions_of_nested_pipelines_and_loops() -> None:
    place = written(
        """
        @dsl.pipeline
        def inner(content: str) -> Dataset:
            return write(content=content).output

        @dsl.pipeline
        def outer() -> str:
            made = inner(content="deep")
            with dsl.ParallelFor(["a", "b"]) as each:
                read(data=write(content=each).output)
            return read(data=made.output).output
        """
    )
    run = load_pipeline(place).options(progress=False).run()
    assert run.result == "deep"
    assert states(run)["for-loop-1[1]/read"] == "succeeded"


def test_the_compiler_and_the_client_at_the_top_level_start_nothing() -> None:
    place = written(
        """
        @dsl.pipeline
        def nightly(x: int = 1):
            number(x=x)

        compiler.Compiler().compile(nightly, "nightly.yaml")
        client = kfp.Client(host="http://nowhere")
        RUN = client.create_run_from_pipeline_func(nightly, arguments={"x": 4})
        client.create_recurring_run(
            experiment_id="e", job_name="at-two", cron_expression="0 0 2 * * *", pipeline_package_path="nightly.yaml",
            params={"x": 3},
        )
        """
    )
    module = load_module(place)
    reading = reading_of(module)
    assert reading is not None
    assert module.RUN.run_id == ""
    assert not Path("nightly.yaml").exists()
    assert list(reading.triggers) == ["at-two"]
    assert reading.triggers["at-two"].noun.parameters == {"x": 3}
    told = [each.what for each in reading.pipelines["nightly"].ignored]
    assert told == ["Client.create_run_from_pipeline_func(...) -p x=4"]


def test_what_has_no_effect_is_told() -> None:
    place = written(
        """
        @dsl.component(base_image="python:3.9")
        def plain() -> int:
            return 1

        @dsl.pipeline(pipeline_root="gs://bucket")
        def told():
            made = plain().set_display_name("Plain").set_accelerator_type("T4")
            kubernetes.add_node_selector(made, label_key="a", label_value="b")
        """
    )
    told = [each.what for each in load_pipeline(place).ignored]
    assert told == [
        "dsl.pipeline(pipeline_root='gs://bucket')",
        "the task 'plain': set_display_name('Plain')",
        "the task 'plain': set_accelerator_type('T4')",
        "the task 'plain': kubernetes.add_node_selector(label_key='a', label_value='b')",
        "the component 'plain': base_image='python:3.9'",
    ]


def test_settings_become_the_policy_of_nodes() -> None:
    place = written(
        """
        @dsl.component(packages_to_install=["no-such-package==1.0", "msgspec"], pip_index_urls=["https://index.example"])
        def packed() -> int:
            return 1

        @dsl.component(packages_to_install=["msgspec>=0.1"])
        def there() -> int:
            return 1

        @dsl.pipeline
        def settings():
            task = number(x=1).set_retry(3, backoff_duration="2m", backoff_factor=3.0, backoff_max_duration="1h")
            task.set_cpu_limit("1500m").set_memory_limit("2Gi").set_caching_options(False).set_accelerator_limit(1)
            kubernetes.set_timeout(task, 30)
            packed()
            there()
        """
    )
    graph = load_pipeline(place).define({}).graph
    node = {each.id: each for each in graph.nodes}["number"]
    policy = node.policy
    assert (policy.retries.count, policy.retries.delays, policy.retries.factor, policy.retries.cap) == (
        3,
        (120,),
        3,
        3600,
    )
    assert (policy.resources.cpu, policy.resources.memory, policy.resources.gpu) == (1.5, 2 * 1024**3, 1)
    assert (policy.cache, policy.timeouts.attempt) == (False, 30)
    assert (
        node.location.line
        == Path(place)
        .read_text()
        .splitlines()
        .index(
            '    task = number(x=1).set_retry(3, backoff_duration="2m", backoff_factor=3.0, backoff_max_duration="1h")'
        )
        + 1
    )
    environment = graph.tasks["packed"].environment
    assert environment is not None
    assert environment.files["requirements.txt"].splitlines()[0] == "--index-url https://index.example"
    assert graph.tasks["there"].environment is None


def test_container_components_become_containers() -> None:
    place = written(
        """
        @dsl.container_component
        def greet(name: str, data: Input[Dataset], out: OutputPath(str), flag: bool, extra: Optional[str] = None):
            return dsl.ContainerSpec(
                image="image:1",
                command=["tool", "{x}"],
                args=[f"--name={name}", data.path, out, dsl.ConcatPlaceholder(["--flag=", flag]),
                      dsl.IfPresentPlaceholder("extra", then=["--extra", extra], else_=["--none"])],
            )

        @dsl.pipeline
        def boxed(name: str = "a"):
            data = write(content="x").output
            greet(name=name, data=data, flag=True).set_env_variable("A", "{b}")
            dsl.ContainerOp(name="old", image="image:2", command=["sh"], arguments=[f"v-{name}"], file_outputs={"o": "/tmp/o"})
        """
    )
    tasks = load_pipeline(place).define({}).graph.tasks
    action: Any = tasks["greet"].action
    assert action.image == "image:1"
    assert action.arguments == ("--entrypoint", "tool")
    assert action.command.argv == (
        "{{x}}",
        "--name={name}",
        "{data}",
        f"{action.mount}/output-out",
        "--flag={flag}",
        "--none",
    )
    assert action.command.environment == {"A": "{{b}}"}
    old: Any = tasks["old"].action
    assert old.command.argv == ("-c", f'"$@" && cp -r /tmp/o "{old.mount}/output-o"', "sh", "sh", "v-{input_1}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("text(s=number(x=1).output)", "the input 's' of text takes STRING, and is given NUMBER_INTEGER"),
        ("number(x='a')", r"takes NUMBER_INTEGER, and is given STRING \('a'\)"),
        ("read(data=model().output)", "takes system.Dataset@0.0.1, and is given system.Model@0.0.1"),
        ("text(s=write(content='a').output)", "takes STRING, and is given system.Dataset"),
        ("number()", "the component number needs x"),
        ("number(x=number(x=1).outputs['x'])", "number has no output 'x'; its outputs are: Output"),
        ("number(x=number(x=1).output + 1)", "what Output is is not known"),
        ("number(y=1)", "has no input 'y'; it has: x"),
        ("number(1)", "takes arguments by their names"),
        ("number(x=1).outputs.output if number(x=1).output else 0", "whether Output is true is not known"),
        ("[each for each in number(x=1).output]", "what Output consists of is not known"),
        (
            "dsl.ParallelFor(number(x=1).output)",
            "dsl.ParallelFor takes a list, and Output is of the type NUMBER_INTEGER",
        ),
        ("dsl.If(number(x=1).output == 'a')", "values of different types are compared: NUMBER_INTEGER and STRING"),
        ("dsl.Else()", "dsl.Else does not follow a dsl.If or a dsl.Elif"),
        ("dsl.If(True)", "a condition compares an output of a task"),
        ("number(x=1).set_cpu_limit('lots')", "cpu cannot be 'lots'"),
        ("number(x=number(x=1).output).ignore_upstream_failure()", "its input 'x' has no default"),
        ("text(s=f\"{write(content='a').output}\")", "is an artifact, and cannot be put into text"),
        ("pass", "has no tasks"),
    ],
)
def test_wrong_wiring_is_refused_at_its_line(body: str, message: str) -> None:
    error = refused(
        f"""
        @dsl.component
        def model(m: Output[Model]):
            pass

        @dsl.pipeline
        def wrong():
            {body}
        """
    )
    assert re.search(message, str(error))
    assert error.where is not None
    assert error.where.startswith("pipelines.py:")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("number(x=1).set_foo(3)", "PipelineTask.set_foo"),
        ("kubernetes.mount_pvc(number(x=1), 'a', '/b')", r"kubernetes.mount_pvc\(\)"),
        ("kubernetes.CreatePVC(access_modes=[])", "kubernetes.CreatePVC"),
        ("dsl.ResourceOp(name='a')", "dsl.ResourceOp"),
        ("kfp.Client().upload_pipeline('a.yaml')", r"Client.upload_pipeline\(\)"),
        ("dsl.nonsense()", "kfp.dsl.nonsense"),
        ("import kfp.registry; kfp.registry.RegistryClient()", "kfp.registry.RegistryClient"),
    ],
)
def test_what_is_not_covered_is_named_with_its_line(body: str, name: str) -> None:
    with pytest.raises(DefinitionError, match=name) as raised:
        load_pipeline(
            written(
                f"""
                @dsl.pipeline
                def uncovered():
                    {body}
                """
            )
        )
    assert raised.value.where is not None


def test_a_compiled_pipeline_gives_what_the_file_gives() -> None:
    place = written(
        """
        @dsl.pipeline(name="both-ways")
        def both_ways(x: int = 2) -> str:
            made = write(content=f"{x}")
            with dsl.If(x > 1):
                high = read(data=made.output)
            with dsl.Else():
                low = text(s="low")
            return text(s=dsl.OneOf(high.output, low.output)).output

        compiler.Compiler().compile(both_ways, "both_ways.yaml")
        """
    )
    direct = load_pipeline(place).options(executor="inline", progress=False).run()
    compiled = load_pipeline("both_ways.yaml").options(executor="inline", progress=False).run()
    assert direct.result == compiled.result == "2"
