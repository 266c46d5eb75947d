"""What files of Kubeflow Pipelines in the wild do: parameters by their types, lists out of loops, older forms."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.errors import DefinitionError
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
