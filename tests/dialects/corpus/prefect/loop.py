from prefect import flow, get_run_logger, task


@task
def step(x: int) -> int:
    get_run_logger().info("at %s", x)
    return x * 2


@flow(log_prints=True)
def loop(limit: int = 20) -> int:
    logger = get_run_logger()
    x, turns = 1, 0
    while x < limit:
        x = step(x)
        turns += 1
    logger.info(f"{turns} turns to {x}")
    return x + turns
