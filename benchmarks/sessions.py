"""Visitors without a browser: what one browser told the server, told again over connections of their own.

Ten browsers on the server's own cores measure those browsers. Here a visitor costs the server what any visitor costs
it, and this machine nothing else.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import websockets
from playwright.sync_api import Browser, WebSocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

SLIDER = "level slider"  # how the identity of its widget ends
LEVELS = range(10, 25)  # the values that visitors move it to
PATIENCE = 180  # seconds that a busy server may take to draw the page
APART = 0.3  # seconds between one visitor's coming and the next


@dataclass(frozen=True)
class Recorded:
    """One visit to the Heads page, as the server heard it."""

    address: str  # of the web socket
    opening: bytes  # what asks for the page
    step: BackMsg  # what a step of the noise slider sends

    def moved(self, index: int, fragment: str) -> bytes:
        """The step to another value, in another visit whose fragment of the page has its own name."""
        message = BackMsg()
        message.CopyFrom(self.step)
        message.rerun_script.fragment_id = fragment
        for widget in message.rerun_script.widget_states.widgets:
            if widget.id.endswith(SLIDER):
                widget.json_value = json.dumps({"index": index})
        return message.SerializeToString()


def record(browser: Browser, url: str, slider: str, step: str) -> Recorded:
    """Visit the Heads page in a browser, move its slider once, and keep what was sent.

    Args:
        slider: a selector that finds the slider once it is drawn.
        step: the script that moves it by its argument.
    """
    page, sockets, sent = browser.new_page(), list[WebSocket](), list[bytes]()

    def opened(socket: WebSocket) -> None:
        sockets.append(socket)
        socket.on("framesent", lambda frame: sent.append(frame if isinstance(frame, bytes) else frame.encode()))

    page.on("websocket", opened)
    page.goto(url, timeout=1000 * PATIENCE)
    page.locator(slider).wait_for(timeout=1000 * PATIENCE)
    page.wait_for_timeout(2000)  # what the page says of itself when it is drawn is no step
    page.evaluate(step, 1)
    page.wait_for_timeout(500)
    page.context.close()
    last = BackMsg.FromString(sent[-1])
    if not last.rerun_script.fragment_id:
        raise RuntimeError(f"the slider's step was not the last message of {len(sent)}: is the server slow?")
    return Recorded(sockets[0].url, sent[0], last)


async def _visit(recorded: Recorded, every: float, wait: float, over: threading.Event, answers: list[float]) -> None:
    """Open the page and move its slider again and again, a new value once the last one is answered.

    Args:
        answers: gets the seconds from the sending of each step until the script has run.
    """
    await asyncio.sleep(wait)
    async with websockets.connect(recorded.address, max_size=None) as socket:
        await socket.send(recorded.opening)
        fragment = await _answered(socket)
        while not over.is_set():
            await asyncio.sleep(every * random.uniform(0.7, 1.3))
            begun = time.monotonic()
            await socket.send(recorded.moved(random.choice(LEVELS), fragment))
            await _answered(socket)
            answers.append(time.monotonic() - begun)


async def _answered(socket: websockets.ClientConnection) -> str:
    """Read until the script has run; the last fragment that drew something."""
    fragment = ""
    while True:
        message = ForwardMsg.FromString(bytes(await socket.recv(decode=False)))
        if message.WhichOneof("type") == "script_finished":
            return fragment
        fragment = message.delta.fragment_id or fragment


@contextmanager
def visitors(recorded: Recorded, count: int, every: float) -> Iterator[list[float]]:
    """So many visitors, each moving the slider every so many seconds, for the length of a block; yields the seconds
    that each answer took, which become more."""
    over, answers = threading.Event(), list[float]()

    async def all_of_them() -> None:
        await asyncio.gather(*(_visit(recorded, every, APART * place, over, answers) for place in range(count)))

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, all_of_them())
        try:
            yield answers
        finally:
            over.set()
        done.result()
