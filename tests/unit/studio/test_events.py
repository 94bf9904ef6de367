import asyncio
import json

from ambient.studio.events import Hub


def read(texts):
    found = []
    for text in texts:
        lines = dict(
            line.split(": ", 1) for line in text.strip().splitlines() if ": " in line and not line.startswith(":")
        )
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def next_events(stream, count):
    found = []
    while len(found) < count:
        found += read([await asyncio.wait_for(anext(stream), 5)])
    return found


def test_new_client_gets_what_there_is_and_then_what_changes():
    async def main():
        hub = Hub()
        hub.publish("flow", {"songs": 1})
        stream = hub.stream()
        assert await next_events(stream, 1) == [("flow", {"songs": 1})]
        hub.publish("flow", {"songs": 2})
        assert await next_events(stream, 1) == [("flow", {"songs": 2})]
        await stream.aclose()
        assert hub.clients == 0

    asyncio.run(main())


def test_slow_client_skips_what_is_out_of_date_and_nothing_is_queued_for_it():
    async def main():
        hub = Hub()
        stream = hub.stream()
        await anext(stream)
        for number in range(1000):
            hub.publish("flow", number)
        assert await next_events(stream, 1) == [("flow", 999)]
        await stream.aclose()

    asyncio.run(main())


def test_of_a_growing_take_each_client_gets_only_the_notes_it_lacks():
    async def main():
        takes = {"a": (1, [[0, 60, 1, 64]])}
        hub = Hub(lambda: takes)
        early = hub.stream()
        assert await next_events(early, 1) == [("notes", {"id": "a", "from": 0, "notes": [[0, 60, 1, 64]]})]
        takes["a"][1].append([1, 62, 2, 64])
        hub.wake()
        assert await next_events(early, 1) == [("notes", {"id": "a", "from": 1, "notes": [[1, 62, 2, 64]]})]
        late = hub.stream()
        assert (await next_events(late, 1))[0][1]["notes"] == [[0, 60, 1, 64], [1, 62, 2, 64]]
        takes["a"] = (2, [[0, 70, 1, 64]])
        hub.wake()
        assert await next_events(early, 1) == [("notes", {"id": "a", "from": 0, "notes": [[0, 70, 1, 64]]})]
        await early.aclose()
        await late.aclose()

    asyncio.run(main())


def test_closing_ends_all_streams():
    async def main():
        hub = Hub()
        streams = [hub.stream() for _ in range(50)]
        for stream in streams:
            await anext(stream)
        hub.close()
        for stream in streams:
            assert [text async for text in stream] == []
        assert hub.clients == 0

    asyncio.run(main())
