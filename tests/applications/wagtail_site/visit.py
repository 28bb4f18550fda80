import io
import json
import re
from contextlib import asynccontextmanager

import httpx
from PIL import Image

COMMENTS = {"comments-TOTAL_FORMS": "0", "comments-INITIAL_FORMS": "0", "comments-MIN_NUM_FORMS": "0"}


@asynccontextmanager
async def visit(url):
    async with httpx.AsyncClient(base_url=url, timeout=60, follow_redirects=True) as client:
        home = await send(
            client, "/admin/login/", {"username": "ada", "password": "analytical engine", "next": "/admin/"}
        )
        assert home.url.path == "/admin/", home.text
        style = re.search(r'href="(/static/wagtailadmin/css/core\.[^"]+\.css[^"]*)"', home.text)[1]
        assert (await client.get(style)).status_code == 200

        picture = io.BytesIO()
        Image.new("RGB", (80, 60), "teal").save(picture, "PNG")
        file = {"file": ("teal.png", picture.getvalue(), "image/png")}
        images = await send(client, "/admin/images/add/", {"title": "Teal"}, file)
        assert "Image &#x27;Teal&#x27; added" in images.text, images.text
        number = re.search(r"/admin/images/(\d+)/", images.text)[1]

        block = {"key": "a", "text": "Of colours", "type": "unstyled", "depth": 0}
        body = json.dumps({"blocks": [{**block, "inlineStyleRanges": [], "entityRanges": []}], "entityMap": {}})
        page = {
            "title": "On teal",
            "slug": "on-teal",
            "body": body,
            "picture": number,
            "action-publish": "action-publish",
        }
        published = await send(client, "/admin/pages/add/home/article/2/", {**page, **COMMENTS})
        assert "created and published" in published.text, published.text

        seen = await client.get("/on-teal/")
        assert "<h1>On teal</h1>" in seen.text
        assert "Of colours" in seen.text
        shown = await client.get(re.search(r'src="([^"]+)"', seen.text)[1])
        assert Image.open(io.BytesIO(shown.content)).size == (40, 30)
        yield


async def send(client, path, fields, files=None):
    """Fill in a form, as a browser does: with its token against forgery."""
    form = await client.get(path)
    token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', form.text)[1]
    data = {"csrfmiddlewaretoken": token, **fields}
    return await client.post(path, data=data, files=files, headers={"Referer": str(form.url)})
