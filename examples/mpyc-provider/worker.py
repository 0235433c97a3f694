"""One session of the provider: MPyC adds the members' vectors. Told by JSON lines on standard input what to do."""

import asyncio
import json
import os
import pickle
import sys

# What MPyC prints goes to standard error: standard output speaks JSON.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import mpyc.runtime  # noqa: E402  (reads the command line: parties, index, threshold)

mpc = mpyc.runtime.mpc


class Unread:
    """At its end MPyC unpickles what the others say, and whoever says it could run any program here. Nobody needs to know
    what it is: it is the number of who says it. What is added up is whole numbers and never pickled."""

    dumps = staticmethod(pickle.dumps)
    loads = staticmethod(bytes)


mpyc.runtime.pickle = Unread

# Exact sums of whole numbers: no sum reaches this prime.
FIELD = mpc.SecFld(modulus=2**127 - 1)


def hear():
    line = sys.stdin.readline()
    if not line:
        raise SystemExit(1)
    return json.loads(line)


def say(**answer):
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


async def main():
    # The others' providers come through the peer on this machine, and nobody else does.
    loop = asyncio.get_running_loop()
    create_server = loop.create_server
    loop.create_server = lambda factory, port=None, **more: create_server(factory, host="127.0.0.1", port=port, **more)

    vector = hear()["input"]
    say(ok=True)
    hear()
    await mpc.start()
    say(ok=True)
    hear()
    shares = mpc.input([FIELD(value) for value in vector])
    total = [mpc.sum(list(column)) for column in zip(*shares)]
    values = await mpc.output(total)
    await mpc.shutdown()
    say(values=[int(value) for value in values])


mpc.run(main())
