def regions() -> list[str]:
    return ["eu", "us", "asia"]


def score(region: str, factor: int) -> int:
    return len(region) * factor


def label(region: str, path: str) -> str:
    return f"{region}: {path}"


def best(scores: list[int], labels: list[str]) -> str:
    return f"{max(scores)} of {len(scores)}, {labels[0]}"
