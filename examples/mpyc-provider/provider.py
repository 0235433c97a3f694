"""An SMC provider for Tacit that computes with MPyC (https://github.com/lschoe/mpyc).

    python provider.py --socket /var/lib/tacit/smc.sock

The peer tells by proto/smc.proto what to do; each session is a process of its own (worker.py), in which MPyC runs
Shamir's scheme among the providers of all members. What they tell each other goes through local ports of the peers,
which carry it over their TLS links.
"""

import argparse
import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
from concurrent import futures

import grpc

# The longest command of a peer: a million numbers.
MAX_MESSAGE = 64 << 20
HERE = os.path.dirname(os.path.abspath(__file__))


def load(proto):
    """The messages and the service of the proto file, compiled when the provider starts."""
    folder, name = os.path.split(os.path.abspath(proto))
    sys.path.insert(0, folder)
    return grpc.protos_and_services(name)


def free_port():
    """Below the range from which the system chooses, so that no connection takes it before its listener does."""
    while True:
        port = random.randrange(20000, 32768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Session:
    """One session: Prepare starts its worker, Link waits for the others, Session for the result."""

    def __init__(self):
        self.worker = None
        self.state = "init"
        self.over = False

    def start(self, command):
        self.worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.over:  # ended meanwhile
            self.end()
            raise RuntimeError("the session is over")

    def ask(self, line):
        """Tells the worker to go on; its answer."""
        self.worker.stdin.write(json.dumps(line) + "\n")
        self.worker.stdin.flush()
        answer = self.worker.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker ended with {self.worker.wait()}")
        return json.loads(answer)

    def end(self):
        self.over = True
        if self.worker and self.worker.poll() is None:
            self.worker.kill()
            self.worker.wait()


class Provider:
    def __init__(self, pb):
        self.pb = pb
        self.lock = threading.Lock()
        self.sessions = {}

    def result(self, status, msg="", **fields):
        return self.pb.CmdResult(status=status, msg=msg, **fields)

    def ResetAll(self, request, context):
        with self.lock:
            ended, self.sessions = self.sessions, {}
        for session in ended.values():
            session.end()
        return self.result(self.pb.SUCCESS)

    def Init(self, request, context):
        with self.lock:
            if not request.sessionID or request.sessionID in self.sessions:
                return self.result(self.pb.DENIED, "Session ID not allowed")
            self.sessions[request.sessionID] = Session()
        return self.result(self.pb.SUCCESS)

    def TearDown(self, request, context):
        with self.lock:
            session = self.sessions.pop(request.sessionID, None)
        if session is None:
            return self.result(self.pb.DENIED, "Session ID not allowed")
        session.end()
        return self.result(self.pb.SUCCESS)

    def NextCmd(self, request, context):
        name = dict(context.invocation_metadata()).get("session-id")
        if name is None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no session-id")
        with self.lock:
            session = self.sessions.get(name)
        if session is None:
            return self.result(self.pb.DENIED, "Session ID not allowed")
        if request.WhichOneof("payload") == "debug":
            return self.result(self.pb.SUCCESS, "pong", result=self.pb.SMCResult(res=request.debug.ping + 1))
        steps = {"prepare": ("init", self.prepare), "link": ("prepared", self.link), "session": ("linked", self.compute)}
        expected, step = steps.get(request.WhichOneof("payload"), (None, None))
        if step is None:
            return self.result(self.pb.UNKNOWN_CMD, "unknown command")
        if session.state != expected:
            return self.result(self.pb.ABORTED, f"not after {session.state}")
        waiting = [True]

        def gone():
            """Without the peer nobody ends a worker that waits for others, nor the thread that waits for the worker."""
            if waiting:
                session.end()

        try:
            if not context.add_callback(gone):
                raise RuntimeError("the peer is gone")
            return step(session, request)
        except Exception as error:  # whatever went wrong in the session ends the session
            session.end()
            session.state = "ended"
            return self.result(self.pb.ABORTED, str(error))
        finally:
            waiting.clear()

    def prepare(self, session, request):
        phase = request.prepare
        if phase.smcTask.aggregator != self.pb.SUM:
            return self.result(self.pb.UNKNOWN_CMD, "aggregator not supported")
        if len(phase.participants) < 3 or not 0 < 2 * phase.threshold < len(phase.participants):
            return self.result(self.pb.DENIED, "Not enough participants")
        port = free_port()
        parties = [p.endpoint or f"127.0.0.1:{port}" for p in sorted(phase.participants, key=lambda p: p.smcPeerID)]
        command = [sys.executable, os.path.join(HERE, "worker.py"), "-T", str(phase.threshold)]
        command += ["-I", str(request.smcPeerID), "--no-log"]
        for party in parties:
            command += ["-P", party]
        session.start(command)
        session.ask({"input": list(phase.input)})
        session.state = "prepared"
        return self.result(self.pb.SUCCESS, "prep done", metadata={"listen": f"127.0.0.1:{port}"})

    def link(self, session, request):
        session.ask({"step": "link"})
        session.state = "linked"
        return self.result(self.pb.SUCCESS, "linking done")

    def compute(self, session, request):
        values = session.ask({"step": "compute"})["values"]
        session.state = "done"
        print("session done", flush=True)
        result = self.pb.SMCResult(res=float(values[0]) if values else 0.0, values=[str(value) for value in values])
        return self.result(self.pb.SUCCESS_DONE, "sess done", result=result)


def serve(provider, services, path):
    limits = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64), options=limits)
    services.add_SMCServicer_to_server(provider, server)
    os.umask(0o077)  # the socket is for this user only
    server.add_insecure_port(f"unix:{os.path.abspath(path)}")
    server.start()
    return server


def main():
    parser = argparse.ArgumentParser(description="An SMC provider for Tacit that computes with MPyC.")
    parser.add_argument("--socket", required=True, help="the Unix socket to listen on")
    parser.add_argument("--proto", default=os.path.join(HERE, "..", "..", "proto", "smc.proto"))
    options = parser.parse_args()
    pb, services = load(options.proto)
    provider = Provider(pb)
    if os.path.exists(options.socket):
        if not stat.S_ISSOCK(os.stat(options.socket).st_mode):
            parser.error(f"{options.socket} is there and no socket")
        os.unlink(options.socket)  # of an earlier life
    server = serve(provider, services, options.socket)
    print("ready", flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    provider.ResetAll(None, None)
    server.stop(None)


if __name__ == "__main__":
    main()
