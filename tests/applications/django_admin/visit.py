import re
from contextlib import asynccontextmanager

import httpx


@asynccontextmanager
async def visit(url):
    async with httpx.AsyncClient(base_url=url, timeout=30, follow_redirects=True) as client:
        asked = await client.get("/admin/")
        assert asked.url.path == "/admin/login/"
        style = re.search(r'href="(/static/admin/css/base\.[0-9a-f]+\.css)"', asked.text)[1]
        sheet = await client.get(style)
        assert (sheet.status_code, sheet.headers["content-type"]) == (200, 'text/css; charset="utf-8"')
        index = await send(client, "/admin/login/", username="ada", password="analytical engine", next="/admin/")
        assert index.url.path == "/admin/"
        assert "Books" in index.text
        for number in range(4):
            added = await send(client, "/admin/shelf/book/add/", title=f"Volume {number}", pages=str(100 + number))
            assert "was added successfully" in added.text, added.text
        books = await client.get("/admin/shelf/book/?q=Volume")
        assert "4 books" in books.text
        assert "Volume 3" in books.text
        yield


async def send(client, path, **fields):
    """Fill in a form, as a browser does: with its token against forgery."""
    form = await client.get(path)
    token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', form.text)[1]
    return await client.post(path, data={"csrfmiddlewaretoken": token, **fields}, headers={"Referer": str(form.url)})
