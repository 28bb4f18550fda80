from contextlib import asynccontextmanager

import httpx


@asynccontextmanager
async def visit(url):
    async with httpx.AsyncClient(base_url=url, timeout=30, follow_redirects=True) as client:
        query = {"sql": "select name from planets where moons > :least order by name", "least": "90", "_shape": "array"}
        answer = await client.get("/planets.json", params=query)
        assert answer.json() == [{"name": "Jupiter"}, {"name": "Saturn"}], answer.text
        page = await client.get("/planets/planets")
        assert page.status_code == 200, page.text
        assert "Neptune" in page.text
        assert (await client.get("/-/static/app.css")).status_code == 200
        yield
