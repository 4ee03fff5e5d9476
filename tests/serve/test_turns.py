import asyncio

from osteon.serve.turns import Turns


async def use(turns: Turns, owner: str, name: str, log: list[str]) -> None:
    async with turns.turn(owner):
        log.append(name)
        await asyncio.sleep(0)


def test_callers_take_turns() -> None:
    async def work() -> list[str]:
        turns, log = Turns(1), list[str]()
        steps = [("anna", f"anna {k}") for k in range(4)] + [("bert", "bert 0"), ("bert", "bert 1"), ("cleo", "cleo 0")]
        await asyncio.gather(*(use(turns, owner, name, log) for owner, name in steps))
        return log

    expected = ["anna 0", "anna 1", "bert 0", "cleo 0", "anna 2", "bert 1", "anna 3"]
    assert asyncio.run(work()) == expected


def test_there_are_as_many_at_once_as_places() -> None:
    async def work() -> int:
        turns, now, most = Turns(3), 0, 0

        async def step() -> None:
            nonlocal now, most
            async with turns.turn("anna"):
                now += 1
                most = max(most, now)
                await asyncio.sleep(0)
                now -= 1

        await asyncio.gather(*(step() for _ in range(20)))
        return most

    assert asyncio.run(work()) == 3


def test_who_leaves_the_row_keeps_no_place() -> None:
    async def work() -> list[str]:
        turns, log = Turns(1), list[str]()
        async with turns.turn("anna"):
            leaving = [asyncio.create_task(use(turns, "bert", "bert", log)) for _ in range(2)]
            staying = asyncio.create_task(use(turns, "cleo", "cleo", log))
            await asyncio.sleep(0)
            leaving[0].cancel()
        leaving[1].cancel()  # the place is his already, or the next one's
        await asyncio.gather(*leaving, staying, return_exceptions=True)
        await asyncio.wait_for(use(turns, "dora", "dora", log), 1)
        return log

    log = asyncio.run(work())
    assert log[-2:] == ["cleo", "dora"]
