"""Debian's python3-websockets against the server. Prints a line "PASS name" or "FAIL name: why" for each check.

Usage: client.py HOST:PORT (messages of 2 MiB allowed, no rate), pings every two seconds or so.
"""
import asyncio
import json
import sys
import time
import uuid

import websockets

ADDRESS = sys.argv[1]
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]


def connect(query="", **options):
    room = "py" + uuid.uuid4().hex
    return websockets.connect(
        f"ws://{ADDRESS}/websocket?room={room}&{query}", max_size=None, **options
    )


def payloads(n):
    yield "どやさ!" * (n // 10) + "x" * (n % 10)
    yield (b"\xff\x00\xc0" * (n // 3 + 1))[:n]


async def messages():
    async with connect() as ws:
        for n in SIZES:
            for p in payloads(n):
                await ws.send(p)
                got = await ws.recv()
                assert got == p, f"{n} bytes: {type(got)} of {len(got)} came back"


async def fragments():
    async with connect() as ws:
        for n in SIZES[1:]:
            for p in payloads(n):
                third = max(1, len(p) // 3)
                await ws.send([p[i : i + third] for i in range(0, len(p), third)])
                got = await ws.recv()
                assert got == p, f"{n} bytes: {type(got)} of {len(got)} came back"


async def pings():
    async with connect(ping_interval=None) as ws:
        for p in (b"", "どやさ".encode(), b"\xff" * 125):
            await (await ws.ping(p))
        # Until the server has twice got an answer to its own pings, which the library gives.
        until = time.monotonic() + 120
        seen = 0
        pong = ws.pong

        async def counted(data=b""):
            nonlocal seen
            seen += 1
            await pong(data)

        ws.pong = counted
        while seen < 2 and time.monotonic() < until:
            await (await ws.ping())
            await asyncio.sleep(0.1)
        await ws.send("still here")
        assert await ws.recv() == "still here"
        assert seen >= 2, f"{seen} pings of the server were answered"


def closes(code):
    async def check():
        async with connect() as ws:
            await ws.send("last words")
            assert await ws.recv() == "last words"
            if code == 1005:  # the library always sends a code of its own, so this frame is made by hand
                await ws.write_close_frame(websockets.frames.Close(1005, ""), b"")
            else:
                await ws.close(code)
            await ws.wait_closed()
            assert ws.close_code == code, f"the answer to Close {code} is {ws.close_code}"

    return check


def closed(code, query="", subprotocols=None, send=None):
    async def check():
        async with connect(query, subprotocols=subprotocols) as ws:
            try:
                if send is not None:
                    await ws.send(send)
                while True:
                    await ws.recv()
            except websockets.ConnectionClosed:
                pass
            assert ws.close_code == code, f"closed with {ws.close_code} {ws.close_reason!r}, want {code}"

    return check


async def v1():
    async with connect("name=%E3%81%82", subprotocols=["doyasa.v1"]) as ws:
        assert ws.subprotocol == "doyasa.v1"

        async def wants(typ):
            while True:
                frame = json.loads(await ws.recv())
                if frame["type"] != "people":
                    assert frame["type"] == typ, f"{frame}, want {typ}"
                    return frame

        hello = await wants("hello")
        assert hello["seq"] == 0 and hello["you"]["name"] == "あ" and hello["reason"] == "fresh", hello
        await wants("live")
        say = {"type": "say", "id": str(uuid.uuid4()), "text": "どやさ"}
        await ws.send(json.dumps(say))
        first = await wants("message")
        assert (first["seq"], first["prev"], first["id"], first["text"]) == (1, 0, say["id"], "どやさ"), first
        assert first["from"] == {"id": hello["you"]["id"], "name": "あ"}, first
        await ws.send('{"type":"say","text":"もう一度"}')
        second = await wants("message")
        assert (second["seq"], second["prev"], second["text"]) == (2, 1, "もう一度"), second
        await ws.send(json.dumps(say))
        again = await wants("message")
        assert again == first, f"the retry is answered with {again}, want {first}"
        await ws.send('{"type":"dance"}')
        assert (await wants("error"))["code"] == "unknown_type"


CHECKS = {
    "messages": messages,
    "fragments": fragments,
    "pings": pings,
    "v1": v1,
    **{f"close {code}": closes(code) for code in (1000, 1001, 3000, 4999, 1005)},
    "closed, too large": closed(1009, send=b"\0" * (2 << 20) + b"\0"),
    "closed, bad name": closed(1008, query="name=%1b"),
    "closed, binary for doyasa.v1": closed(1003, subprotocols=["doyasa.v1"], send=b"\1"),
}


async def main():
    for name, check in CHECKS.items():
        try:
            await asyncio.wait_for(check(), 30)
            print("PASS", name)
        except Exception as e:
            print(f"FAIL {name}: {type(e).__name__} {e}")


asyncio.run(main())
