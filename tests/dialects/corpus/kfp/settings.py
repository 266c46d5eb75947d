from kfp import dsl


@dsl.component
def prepare() -> str:
    import os

    return os.environ.get("GREETING", "nothing")


@dsl.component
def reply(text: str, marks: int = 1, tags: list = ["a", "b"], options: dict = {"loud": True}) -> str:
    loud = text.upper() if options["loud"] else text
    return loud + "!" * marks + "".join(tags)


@dsl.pipeline(name="settings")
def settings(marks: int = 2) -> str:
    prepared = prepare().set_env_variable("GREETING", "hello")
    prepared.set_caching_options(False)
    replied = reply(text=f"{prepared.output} you", marks=marks)
    replied.set_retry(2, backoff_duration="1s", backoff_factor=2.0).set_cpu_limit("500m").set_memory_limit("512Mi")
    replied.after(prepared)
    return replied.output
