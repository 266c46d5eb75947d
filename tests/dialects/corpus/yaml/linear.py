def numbers() -> list[int]:
    return [1, 2, 3]


def doubled(numbers: list[int]) -> list[int]:
    return [2 * number for number in numbers]


def total(doubled: list[int]) -> int:
    return sum(doubled)
