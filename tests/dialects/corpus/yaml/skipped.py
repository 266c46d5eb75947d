def measure() -> int:
    return 3


def alarm(measure: int) -> str:
    return f"{measure} is too much"


def page(alarm: str) -> str:
    return alarm.upper()


def tell(alarmed: str | None, value: int) -> str:
    return alarmed or f"{value} is fine"
