from prefect import flow, task


@task
def clean(text: str) -> str:
    return text.strip()


@task
def count(text: str) -> int:
    return len(text)


@flow(name="prepare")
def prepare(text: str, upper: bool = False) -> str:
    return clean(text)


@flow
def outer(text: str = "  words  ") -> dict:
    cleaned = prepare(text)
    return {"text": cleaned, "size": count(cleaned)}


if __name__ == "__main__":
    outer()
