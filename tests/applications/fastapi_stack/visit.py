from contextlib import asynccontextmanager

import httpx

ADA = {"email": "ada@example.org", "password": "analytical engine"}


@asynccontextmanager
async def visit(url):
    async with httpx.AsyncClient(base_url=f"{url}/api", timeout=30) as client:
        user = await client.post("/users/signup", json=ADA)
        assert user.json()["email"] == ADA["email"], user.text
        assert (await client.post("/users/signup", json=ADA)).status_code == 400
        assert (await client.post("/users/signup", json={**ADA, "email": "nobody"})).status_code == 422
        assert (await client.get("/items/")).status_code == 401

        form = {"username": ADA["email"], "password": "wrong"}
        assert (await client.post("/login/access-token", data=form)).status_code == 400
        token = await client.post("/login/access-token", data={**form, "password": ADA["password"]})
        client.headers["authorization"] = f"Bearer {token.json()['access_token']}"
        assert (await client.get("/users/me")).json() == user.json()

        titles = [f"item {number}" for number in range(4)]
        for title in titles:
            item = await client.post("/items/", json={"title": title})
            assert item.json()["owner_id"] == user.json()["id"], item.text
        async with httpx.AsyncClient(base_url=f"{url}/api", headers=client.headers) as other:  # another connection
            assert [item["title"] for item in (await other.get("/items/")).json()] == titles
        async with client.stream("GET", "/events") as stream:
            assert await anext(stream.aiter_lines()) == "data: tick"
            yield
