"""One MCP server, by both of its transports: Streamable HTTP at /mcp, SSE at /sse."""

from contextlib import asynccontextmanager

from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.routing import Mount

server = MCPServer("Sums")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


by_http = server.streamable_http_app()


@asynccontextmanager
async def lifespan(app):
    async with server.session_manager.run():
        yield


app = Starlette(routes=[*by_http.routes, Mount("/", server.sse_app())], lifespan=lifespan)
