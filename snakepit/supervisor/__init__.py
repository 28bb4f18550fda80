"""The parent of the server process. Kept small: nothing here imports asyncio, logging, click or the server."""
