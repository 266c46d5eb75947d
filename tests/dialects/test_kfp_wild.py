"""What files of Kubeflow Pipelines in the wild do: parameters by their types, lists out of loops, older forms."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.errors import DefinitionError, NotCoveredError
from penstock.registering.loading import load_pipeline

HEAD = """
    from typing import List, Optional

    import kfp
    from kfp import dsl
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
    """


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / ".penstock"))


def loaded(body: str) -> Any:
    Path("pipelines.py").write_text(dedent(HEAD).lstrip() + dedent(body))
    return load_pipeline("pipelines.py").options(executor="inline", progress=False)


def test_parameters_of_a_run_have_the_types_of_the_pipeline() -> None:
    pipeline = loaded(
        """
        @dsl.pipeline
        def typed(s: str, f: float, b: bool, l: list, o: Optional[int] = None) -> str:
            return text(s=f"{s} {f} {b} {l}").output
        """
    )
    assert pipeline.run(s="5", f=2, b=True, l=["a"]).outputs == {"result": '5 2.0 true ["a"]'}
    with pytest.raises(DefinitionError, match="f: expected"):
        pipeline.run(s="5", f="many", b=True, l=[])


def test_collected_artifacts_are_one_list_and_branches_that_were_not_taken_give_nothing() -> None:
    run = loaded(
        """
        @dsl.component
        def listed(data: Input[List[Dataset]]) -> str:
            from pathlib import Path

            return " ".join(Path(each.path).read_text() for each in data)

        @dsl.component
        def told(numbers: List[int]) -> str:
            return repr(numbers)

        @dsl.pipeline
        def loops(threshold: int = 2):
            with dsl.ParallelFor(["a", "b"]) as x:
                with dsl.ParallelFor(["c", "d"]) as y:
                    made = write(content=f"{x}{y}")
            with dsl.ParallelFor([1, 2, 3]) as x:
                with dsl.If(x >= threshold):
                    some = write(content="some")
                    kept = number(x=x)
            with dsl.ParallelFor([1, 2, 3]) as x:
                with dsl.If(x < threshold):
                    one = number(x=x)
            listed(data=dsl.Collected(made.output))
            listed(data=dsl.Collected(some.output))
            told(numbers=dsl.Collected(kept.output))
            told(numbers=dsl.Collected(one.output))
        """
    ).run()
    assert run.task("listed").output == "ac ad bc bd"
    assert run.task("listed-2").output == "some some"
    assert run.task("told").output == "[2, 3]"
    assert run.task("told-2").output == "[1]"


def test_a_plain_function_that_is_compiled_behind_main_is_a_pipeline() -> None:
    run = loaded(
        """
        def old(n=3):
            number(x=n)

        if __name__ == "__main__":
            kfp.Client().create_run_from_pipeline_func(old, arguments={})
        """
    ).run()
    assert run.pipeline == "old"
    assert run.task("number").output == 3


def test_the_first_version_by_its_later_name() -> None:
    Path("old.py").write_text(
        dedent(
            """
            from kfp.deprecated import compiler, components, dsl
            from kfp.deprecated.components import PipelineTaskFinalStatus

            @components.create_component_from_func
            def end(note: str, status: PipelineTaskFinalStatus) -> str:
                return f"{note} {status.state}"

            @components.create_component_from_func
            def work(n: int) -> int:
                return n

            @dsl.pipeline(name="ending")
            def ending(n: int = 1):
                with dsl.ExitHandler(end("done")):
                    work(n)
            """
        )
    )
    run = load_pipeline("old.py").options(executor="inline", progress=False).run()
    assert run.task("end").output == "done SUCCEEDED"


def test_what_is_in_a_loop_is_taken_outside_as_a_list_alone() -> None:
    with pytest.raises(DefinitionError, match=r"pipelines.py:[0-9]+: number is in a loop, and 'Output' of it is taken"):
        loaded(
            """
            @dsl.pipeline
            def outside():
                with dsl.ParallelFor([1, 2]) as x:
                    one = number(x=x)
                number(x=one.output)
            """
        ).run()


def test_a_pipeline_returns_what_it_declares() -> None:
    with pytest.raises(DefinitionError, match=r"wrong returns system.Dataset.*, and declares system.Model"):
        loaded(
            """
        @dsl.pipeline
        def wrong() -> Model:
            return write(content="a").output
        """
        )


# What the first version's files say of clusters.

CLUSTERS = """
    from kfp import aws, gcp, onprem
    from kfp.dsl.types import GCSPath, Integer
    from kfp.registry import RegistryClient
    from kubernetes import client as k8s
    from kubernetes.client.models import V1Toleration

    @kfp.components.create_component_from_func
    def told(x: int = 1) -> str:
        import os
        return f"{x} {os.environ.get('LEVEL')}"

    @dsl.pipeline(name="clusters")
    def clusters(x: Integer() = 3, place: GCSPath() = "gs://a"):
        task = told(x).add_env_variable(k8s.V1EnvVar(name="LEVEL", value="high"))
        task.execution_options.caching_strategy.max_cache_staleness = "P0D"
        task.apply(gcp.use_preemptible_nodepool()).add_pod_label("a", "b").add_toleration(V1Toleration(key="gpu"))
        task.container.set_image_pull_policy("Always")
        dsl.get_pipeline_conf().set_image_pull_secrets([k8s.V1LocalObjectReference(name="secret")])
        {more}
    """


def test_what_is_said_of_clusters_has_no_effect_and_is_told_of() -> None:
    pipeline = loaded(CLUSTERS.replace("{more}", "pass"))
    [node] = pipeline.graph().nodes
    assert node.policy.cache is False
    assert [each.what for each in pipeline.ignored] == [
        "the task 'told': use_preemptible_nodepool()",
        "the task 'told': add_pod_label('a', 'b')",
        "the task 'told': add_toleration(V1Toleration(key='gpu'))",
        "the task 'told': set_image_pull_policy('Always')",
        "PipelineConf.set_image_pull_secrets([V1LocalObjectReference(name='secret')])",
        "kfp.registry.RegistryClient",
    ]
    run = pipeline.run()
    assert run.document["tasks"][0]["state"] == "succeeded"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("task.apply(gcp.use_gcp_secret('user-gcp-sa'))", r"use_gcp_secret\(\)"),
        ("task.apply(aws.use_aws_secret('a', 'b', 'c'))", r"use_aws_secret\(\)"),
        ("task.apply(onprem.use_k8s_secret(secret_name='a'))", r"use_k8s_secret\(\)"),
        ("task.apply(onprem.mount_pvc('a', 'b', '/c'))", r"mount_pvc\(\)"),
        ("task.add_env_variable(k8s.V1EnvVar(name='P', value_from=1))", r"add_env_variable\('P'\) without a value"),
        ("task.add_volume(k8s.V1Volume(name='v'))", "PipelineTask.add_volume"),
        ("k8s.CoreV1Api()", "kubernetes.client.CoreV1Api"),
        ("RegistryClient(host='a')", "kfp.registry.RegistryClient"),
        ("task.execution_options.priority = 1", "execution_options.priority"),
        ("dsl.VolumeOp(name='v', modes=dsl.VOLUME_MODE_RWO)", "dsl.VolumeOp"),
    ],
)
def test_what_a_task_would_miss_of_a_cluster_is_refused_by_name(more: str, named: str) -> None:
    with pytest.raises(NotCoveredError, match=named) as raised:
        loaded(CLUSTERS.replace("{more}", more))
    assert str(raised.value.where).startswith("pipelines.py:")


def test_a_component_that_makes_a_container_is_refused() -> None:
    with pytest.raises(NotCoveredError, match=r"dsl.component of old\(\), which returns a dsl.ContainerOp"):
        loaded("@dsl.component\ndef old() -> dict:\n    return dsl.ContainerOp(name='a', image='b')\n")


def test_former_components_take_arguments_by_position_and_have_outputs_by_plain_names() -> None:
    pipeline = loaded(
        """
        from kfp.v2.dsl import component
        from kfp.components import func_to_container_op

        @component
        def add(a: float, b: float) -> float:
            return a + b

        @func_to_container_op
        def half(x: float) -> float:
            return x / 2

        kfp.compiler.Compiler(mode=dsl.PipelineExecutionMode.V2_COMPATIBLE)

        @dsl.pipeline(name="sums")
        def sums(a: float = 1) -> float:
            return half(add(add(a, 4).output, 2).outputs["output"]).output
        """
    )
    assert pipeline.run().outputs == {"result": 3.5}


def test_a_container_in_a_loop_over_what_is_known_is_a_fan_out() -> None:
    pipeline = loaded(
        """
        echo = kfp.components.load_component_from_text('''
        name: Echo
        inputs:
        - {name: The text, type: String, default: x}
        - {name: times, type: Integer, default: '1'}
        - {name: unused, type: String, optional: true}
        implementation:
          container:
            image: alpine
            command: [echo, {inputValue: The text}, {inputValue: times}]
        '''.replace("\\n        ", "\\n"))

        @dsl.pipeline
        def loops():
            with dsl.ParallelFor([{"a": "q"}, {"a": "r"}]) as item:
                echo(item.a)
            with dsl.ParallelFor(["s", "t"]) as item:
                echo(unused=item)
        """
    )
    first, second = pipeline.graph().nodes
    assert list(first.each.over) == ["the_text"]
    # what its command does not use cannot be what it runs over
    assert list(second.each.over) == ["item"]
    action = pipeline.graph().tasks[first.task].action
    assert action.command.argv == ("{the_text}", "{times}")


def test_recurring_runs_that_loading_the_file_does_not_come_by_are_told_of() -> None:
    pipeline = loaded(
        """
        @dsl.pipeline
        def nightly():
            number(x=1)

        def main():
            client = kfp.Client()
            client.create_recurring_run("e", "j", cron_expression="0 0 3 * * *", pipeline_package_path="nightly.yaml")

        if __name__ == "__main__":
            main()
        """
    )
    assert [each.what for each in pipeline.ignored] == ["client.create_recurring_run(...)"]
    assert str(pipeline.ignored[0].location) == "pipelines.py:26"


def test_a_run_of_a_package_and_waiting_for_it_at_the_top_level_start_nothing() -> None:
    pipeline = loaded(
        """
        @dsl.pipeline
        def packed(x: int = 1) -> int:
            return number(x=x).output

        kfp.compiler.Compiler().compile(packed, "packed.yaml")
        client = kfp.Client(host="http://example.org")
        started = client.create_run_from_pipeline_package("packed.yaml", arguments={"x": 4}, experiment_name="e")
        assert client.wait_for_run_completion(started.run_id, timeout=3600).state == "PENDING"
        """
    )
    assert [each.what for each in pipeline.ignored] == ["Client.create_run_from_pipeline_package(...) -p x=4"]
    assert pipeline.run(x=2).outputs == {"result": 2}
