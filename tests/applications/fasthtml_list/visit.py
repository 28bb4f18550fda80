from contextlib import asynccontextmanager

import httpx


@asynccontextmanager
async def visit(url):
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        things = [f"thing {number}" for number in range(4)]
        for thing in things:
            added = await client.post("/", data={"what": thing}, headers={"HX-Request": "true"})
            assert thing in added.text, added.text
        page = await client.get("/")
        assert "<html" in page.text
        assert all(thing in page.text for thing in things), page.text
        async with client.stream("GET", "/ticks") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.aiter_lines()
            while "tick" not in await anext(lines):
                pass
            yield
