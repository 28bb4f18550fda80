"""The client's process, run by an application's own Python: python visitor.py FOLDER URL.

It does what the folder's `visit.py` says, says "open" when that has something open, and closes that when its standard
input ends. `visit` is an asynchronous context manager; what fails before it yields is a failure of the application.
"""

import asyncio
import sys


async def main(folder: str, url: str) -> None:
    sys.path.insert(0, folder)
    from visit import visit

    async with visit(url.rstrip("/")):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
