from contextlib import AsyncExitStack, asynccontextmanager

from mcp import Client
from mcp.client.sse import sse_client


@asynccontextmanager
async def visit(url):
    async with AsyncExitStack() as stack:
        for _ in range(4):  # each session is in the memory of one worker
            ways = {
                "Streamable HTTP": Client(f"{url}/mcp"),
                "Streamable HTTP, with a session": Client(f"{url}/mcp", mode="legacy"),
                "SSE": Client(sse_client(f"{url}/sse")),
            }
            for way, client in ways.items():
                session = await stack.enter_async_context(client)
                assert [tool.name for tool in (await session.list_tools()).tools] == ["add"], way
                answer = await session.call_tool("add", {"a": 20, "b": 22})
                assert answer.content[0].text == "42", way
        yield
