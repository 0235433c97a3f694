"""What others may do to this example: the other members' providers, and a peer that goes away.

    python -m unittest test_provider

Run by crates/tacit/tests/it/provider.rs, too.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import grpc

import provider

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(HERE, "worker.py")
PROTO = os.path.join(HERE, "..", "..", "proto", "smc.proto")
# A member's worker that says a program in place of its number.
HOSTILE = """
import pickle, runpy, sys
path, sys.argv = sys.argv[1], sys.argv[2:]
class Program:
    def __reduce__(self):
        return open, (path, "w")
program = pickle.dumps(Program())
pickle.dumps = lambda said: program
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class OtherMembers(unittest.TestCase):
    def test_what_they_say_is_never_run(self):
        with tempfile.TemporaryDirectory() as folder:
            mark = os.path.join(folder, "was run")
            places = [f"127.0.0.1:{provider.free_port()}" for _ in range(3)]
            parties = [word for place in places for word in ("-P", place)]
            workers = []
            for number in range(3):
                start = ["-c", HOSTILE, mark, WORKER] if number == 2 else [WORKER]
                command = [sys.executable, *start, "-T", "1", "-I", str(number), "--no-log", *parties]
                pipe = subprocess.PIPE
                workers.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True))
            try:
                lines = [json.dumps(line) + "\n" for line in ({"input": [7, 2**64 - 1]}, {}, {})]
                for worker in workers:
                    worker.stdin.write("".join(lines))
                    worker.stdin.flush()
                for worker in workers:
                    answers = [json.loads(worker.stdout.readline()) for _ in lines]
                    self.assertEqual(answers[-1], {"values": [21, 3 * (2**64 - 1)]})
                    worker.wait(60)
                self.assertFalse(os.path.exists(mark))
            finally:
                for worker in workers:
                    worker.kill()
                    worker.communicate()


class Peer(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "smc.sock")
        self.pb, services = provider.load(PROTO)
        self.provider = provider.Provider(self.pb)
        server = provider.serve(self.provider, services, path)
        self.addCleanup(lambda: server.stop(None).wait())
        self.addCleanup(self.provider.ResetAll, None, None)
        channel = grpc.insecure_channel(f"unix:{path}")
        self.addCleanup(channel.close)
        self.peer = services.SMCStub(channel)

    def tell(self, **payload):
        command = self.pb.SMCCmd(sessionID="one", smcPeerID=0, **payload)
        return self.peer.NextCmd.future(command, metadata=[("session-id", "one")])

    def prepare(self, numbers, first="127.0.0.1:1"):
        """A session of this member and two others, the first of whom is there, and nobody at port 1; its worker."""
        self.assertEqual(self.peer.Init(self.pb.SessionCtx(sessionID="one")).status, self.pb.SUCCESS)
        members = [self.pb.Participant(smcPeerID=n, endpoint=where) for n, where in enumerate(["", first, "127.0.0.1:1"])]
        phase = self.pb.PreparePhase(participants=members, threshold=1, input=numbers)
        answer = self.tell(prepare=phase).result()
        self.assertEqual(answer.status, self.pb.SUCCESS, answer.msg)
        return self.provider.sessions["one"].worker

    def test_a_worker_ends_with_the_call_that_its_peer_left(self):
        with socket.create_server(("127.0.0.1", 0)) as first:
            worker = self.prepare([1, 2], f"127.0.0.1:{first.getsockname()[1]}")
            call = self.tell(link=self.pb.LinkingPhase())
            connection, _ = first.accept()  # and for the other one it waits
            call.cancel()
            self.assertEqual(worker.wait(60), -signal.SIGKILL)
            connection.close()

    def test_a_vector_may_be_as_long_as_a_plan_s(self):
        self.prepare([2**64 - 1] * 1_000_000)


if __name__ == "__main__":
    unittest.main()
