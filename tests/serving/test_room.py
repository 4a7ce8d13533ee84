import asyncio

from i2i.serving.room import Room


def test_no_more_is_held_than_there_is_room_for_in_the_order_of_asking():
    begun: list[int] = []
    held: list[int] = []
    most = 0

    async def hold(room: Room, pixels: int) -> None:
        nonlocal most
        async with room.taken(pixels):
            begun.append(pixels)
            held.append(pixels)
            most = max(most, sum(held))
            await asyncio.sleep(0.001)
            held.remove(pixels)

    async def main() -> None:
        room = Room(10)
        await asyncio.gather(*(hold(room, pixels) for pixels in (4, 6, 9, 1, 2, 8)))

    asyncio.run(main())
    assert begun == [4, 6, 9, 1, 2, 8]
    assert most == 10


def test_what_is_larger_than_the_room_has_it_to_itself():
    async def main() -> None:
        room = Room(10)
        async with room.taken(1000):
            other = asyncio.create_task(room.taken(1).__aenter__())
            await asyncio.sleep(0)
            assert not other.done()
        await other

    asyncio.run(main())


def test_who_does_not_wait_any_more_keeps_nobody_waiting():
    async def main() -> None:
        room = Room(10)
        async with room.taken(5):
            gone = asyncio.create_task(room.taken(9).__aenter__())
            later = asyncio.create_task(room.taken(5).__aenter__())
            await asyncio.sleep(0)
            assert not later.done()
            gone.cancel()
            await later

    asyncio.run(main())


def test_what_is_small_waits_for_no_large_one():
    async def main() -> None:
        room = Room(10, small=2)
        async with room.taken(10):
            large = asyncio.create_task(room.taken(3).__aenter__())
            await asyncio.sleep(0)
            assert room.waiting == 1
            async with room.taken(2):
                assert not large.done()
        await large
        assert room.waiting == 0

    asyncio.run(main())
