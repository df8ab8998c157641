"""Runs real nodes on this machine: processes, ports, readiness, logs.

Every process is started from the main thread and ends with it (PDEATHSIG), every port is chosen
free, and every wait is for a condition with a deadline that fails the test loudly.
"""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import http_client

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MULTIRAFT_BIN_DIR", ROOT / "build/release/bin"))

# Generous: they only decide how long a broken build takes to say so.
READY_DEADLINE_S = 30
STOP_DEADLINE_S = 10  # This one is a promise of the command line interface.
PROGRESS_DEADLINE_S = 30


def eventually(condition, what, deadline_s=PROGRESS_DEADLINE_S):
    """Returns the first true value of condition(); fails after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.02)


class Ports:
    """Free ports below the range that the kernel gives to outgoing connections."""

    def __init__(self):
        self.next = 12000 + random.SystemRandom().randrange(0, 15000)

    def take(self):
        while True:
            self.next += 1
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                try:
                    probe.bind(("0.0.0.0", self.next))
                    return self.next
                except OSError:
                    continue


PORTS = Ports()


class Node:
    """One server process and what outlives it: ports, state directory, log."""

    def __init__(self, folder, node_id, flags=(), host=""):
        self.id = node_id
        self.raft_port = PORTS.take()
        self.api_port = PORTS.take()
        self.host = host  # "" starts it with `:PORT`, else with HOST:PORT.
        self.state_dir = folder / str(node_id)
        self.log_path = folder / f"{node_id}.log"
        self.flags = list(flags)
        self.join = None
        self.process = None

    @property
    def raft_address(self):
        return f"{self.host}:{self.raft_port}"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.api_port}"

    def command(self):
        command = [
            str(BIN / "multiraft"),
            f"-state_dir={self.state_dir}",
            "-raft",
            self.raft_address,
            "-api",
            f"{self.host}:{self.api_port}",
            "-id",
            str(self.id),
        ]
        if self.join:
            command += ["-join", self.join]
        return command + self.flags

    def start(self, extra=()):
        assert self.process is None or self.process.poll() is not None
        self.process = launch(self.command() + list(extra), self.log_path)
        return self

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def is_ready(self):
        assert self.is_alive(), f"node {self.id} ended with {self.process.poll()}\n{self.tail()}"
        try:
            return self.request("GET", "/readyz", timeout=2).status == 200
        except OSError:
            return False

    def wait_ready(self, deadline_s=READY_DEADLINE_S):
        eventually(self.is_ready, f"node {self.id} ready", deadline_s)
        return self

    def wait_exit(self, deadline_s=PROGRESS_DEADLINE_S):
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"node {self.id} runs on after {deadline_s} s") from None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.is_alive():
            self.process.kill()
            self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_exit(STOP_DEADLINE_S)

    def tail(self, lines=25):
        try:
            text = self.log_path.read_text(errors="replace").splitlines()
        except OSError:
            return "(no log)"
        return "\n".join(f"  [{self.id}] {line}" for line in text[-lines:])

    # --- HTTP --------------------------------------------------------------------------------

    def request(self, method, path, body=None, headers=None, timeout=10):
        return http_client.request(self.api_port, method, path, body, headers, timeout)

    def put(self, group, key, value):
        return self.request("PUT", f"/{group}", {"Key": key, "Value": value})

    def get(self, group, key):
        return self.request("GET", f"/{group}/{http_client.quote(key)}")

    def delete(self, group, key):
        return self.request("DELETE", f"/{group}/{http_client.quote(key)}")

    def members(self, group):
        answer = self.request("GET", f"/{group}/mgmt/nodes")
        assert answer.status == 200, answer
        return answer.json()

    def leader_of(self, group):
        """The id of the leader that this node knows of, or None."""
        answer = self.request("GET", f"/{group}/mgmt/nodes")
        if answer.status != 200:
            return None
        return next((m["id"] for m in answer.json() if m.get("leader")), None)


def launch(command, log_path, env=None):
    """A process that ends with this one, even if this one is killed."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with open(log_path, "ab") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=None if env is None else {**os.environ, **env},
        )


class Cluster:
    """A folder of nodes. close() ends them; the folder goes unless something failed."""

    def __init__(self, flags=(), host=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="multiraft-test-"))
        self.flags = list(flags)
        self.host = host
        self.nodes = {}

    def __getitem__(self, node_id):
        return self.nodes[node_id]

    def __iter__(self):
        return iter(self.nodes.values())

    def add(self, node_id, join=None, flags=()):
        """A node that is not started yet. `join` is a node, or None for the first one."""
        node = Node(self.folder, node_id, self.flags + list(flags), self.host)
        node.join = join.raft_address if join else None
        self.nodes[node_id] = node
        return node

    def start(self, count=3):
        """`count` nodes at once, all in group 1."""
        first = self.add(1)
        for node_id in range(2, count + 1):
            self.add(node_id, join=first)
        for node in self:
            node.start()
        self.wait_ready()
        self.wait_voters(1, range(1, count + 1))
        return self

    def wait_ready(self):
        for node in self:
            node.wait_ready()

    def wait_voters(self, group, ids):
        """Until every node of `ids` says that exactly these are voters and who leads."""
        wanted = list(ids)

        def agreed():
            for node_id in wanted:
                answer = self[node_id].request("GET", f"/{group}/mgmt/nodes")
                if answer.status != 200:
                    return False
                members = answer.json()
                if [m["id"] for m in members if m["type"] == "voter"] != wanted:
                    return False
                if not any(m.get("leader") for m in members):
                    return False
            return True

        eventually(agreed, f"group {group} has voters {wanted}")

    def leader(self, group=1):
        """The node that leads, once a live one says so and is it itself."""

        def find():
            for node in self:
                if node.is_alive() and node.leader_of(group) == node.id:
                    return node
            return None

        return eventually(find, f"group {group} has a leader")

    def followers(self, group=1):
        leader = self.leader(group)
        return [node for node in self if node is not leader and node.is_alive()]

    def kill_all(self):
        """kill -9 for all, without a pause in between."""
        for node in self:
            if node.is_alive():
                node.process.kill()
        for node in self:
            node.process.wait()

    def close(self, failed=False):
        for node in self:
            if node.is_alive():
                node.signal(signal.SIGCONT)  # A stopped process would not even take SIGKILL's wait.
                node.process.kill()
                node.process.wait()
        if not failed:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        # Logs are worth keeping, gigabytes of state are not.
        for node in self:
            shutil.rmtree(node.state_dir, ignore_errors=True)
        print(f"logs are kept in {self.folder}")
        for node in self:
            print(node.tail())


def run_to_exit(flags, env=None, deadline_s=PROGRESS_DEADLINE_S):
    """A server that is expected to end by itself: (exit status, what it said)."""
    done = subprocess.run(
        [str(BIN / "multiraft"), *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=deadline_s,
        env=None if env is None else {**os.environ, **env},
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def curl(*arguments):
    """curl as a person types it: (exit status of curl, HTTP status, body)."""
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "20", "-w", "\n%{http_code}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    body, _, status = done.stdout.rpartition("\n")
    return done.returncode, int(status or 0), body
