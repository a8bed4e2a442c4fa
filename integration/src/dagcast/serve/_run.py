"""The desk as a process: one socket, a clean end, and messages that are sent again."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from dagcast import workflow
from dagcast.errors import UsageError, answers_input
from dagcast.serve._app import Desk

# Seconds between looks for messages that a receiver did not take.
_AGAIN = 30.0
_BACKLOG = 512


def serve(
    folder: Path,
    *,
    flags: Mapping[str, str],
    owner: str,
    host: str,
    port: int,
    say: Callable[[str], None],
) -> None:
    """Serve a project until somebody ends the process.

    Args:
        folder: of the project.
        flags: settings that win over its file.
        owner: who starts it, and is signed in by the address that is said.
        host: to listen on.
        port: to listen on; 0 takes a free one.
        say: told the address.

    Raises:
        UsageError: the address is taken or is none of this machine.
    """
    desk = Desk(folder, flags, owner)
    app = desk.app()
    app.router.lifespan_context = _telling(desk)
    listening = _bound(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}"
    say(f"{address}/sign-in#{desk.identities.token}")
    config = uvicorn.Config(
        app,
        # What a proxy says is read by us, from declared addresses alone.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        ws="none",
        limit_concurrency=2 * _BACKLOG,
        h11_max_incomplete_event_size=32 * 1024,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=10,
    )
    with listening:
        uvicorn.Server(config).run(sockets=[listening])


def _bound(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=_BACKLOG,
        )
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"a free address at {host}:{port}", f"{error}", "Choose another with --host and --port."
        ) from error


def _telling(
    desk: Desk,
) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
    async def again() -> None:
        while True:
            await asyncio.sleep(_AGAIN)
            try:
                await asyncio.to_thread(lambda: workflow.notify(desk.project()))
            except Exception as error:
                # A project that cannot be read just now is asked again.
                if not (answers_input(error) or isinstance(error, OSError)):
                    raise

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(again())
        # The first page would wait for what it is made with.
        threading.Thread(target=desk.warm, daemon=True).start()
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return lifespan
