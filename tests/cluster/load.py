"""Clients that read and write while things go wrong, and the history of what they saw."""

import http.client
import json
import random
import subprocess
import threading
import time

import http_client
from harness import BIN, PROGRESS_DEADLINE_S, eventually

# Statuses by which the server promises that a write did not happen (api: errors).
NOT_APPLIED = {400, 404, 405, 409, 412, 413, 421, 429, 503, 507}


class History:
    """Operations of all clients, as JSON lines for linearizability_check."""

    def __init__(self):
        self.lock = threading.Lock()
        self.lines = []
        self.acknowledged = 0

    def add(self, process, op, key, value, call, outcome):
        line = {"process": process, "op": op, "key": key, "call": call, "outcome": outcome}
        if op == "put" or (op == "get" and outcome == "ok"):
            line["value"] = value
        if outcome != "unknown":
            line["return"] = time.monotonic_ns()
        with self.lock:
            self.lines.append(line)
            self.acknowledged += outcome == "ok"

    def check(self, path):
        """Writes the history to `path` and fails unless it is linearizable."""
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        done = subprocess.run(
            [str(BIN / "linearizability_check"), str(path)], capture_output=True, text=True
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\nhistory: {path}"


class Client(threading.Thread):
    """One client on one connection at a time. Contended keys give the history something to catch;
    keys of its own, written once, show whether an acknowledged write was lost."""

    def __init__(self, load, number):
        super().__init__(name=f"client-{number}", daemon=True)
        self.load = load
        self.number = number
        self.random = random.Random(number)
        self.sequence = 0
        self.kept = {}  # Own keys whose write was acknowledged.
        self.connection = None
        self.error = None

    def run(self):
        try:
            self.work()
        except BaseException as error:  # Reported by the thread that waits for us.
            self.error = error

    def work(self):
        while not self.load.stopping.is_set():
            kind = self.random.random()
            key = f"shared-{self.random.randrange(self.load.shared_keys)}"
            self.sequence += 1
            value = f"{self.number}-{self.sequence}"
            if kind < 0.35:
                self.operate("get", key, None)
            elif kind < 0.65:
                self.operate("put", key, value)
            elif kind < 0.70:
                self.operate("delete", key, None)
            else:
                own = f"own-{value}"
                if self.operate("put", own, value) == "ok":
                    self.kept[own] = value
        self.disconnect()

    def operate(self, op, key, value):
        call = time.monotonic_ns()
        outcome, seen = self.attempt(op, key, value)
        self.load.history.add(self.number, op, key, value or seen, call, outcome)
        if outcome != "ok":
            # Somewhere else next time; a short wait keeps refusals from becoming the load.
            self.disconnect()
            self.load.stopping.wait(0.02)
        return outcome

    def attempt(self, op, key, value):
        try:
            self.connect()
        except OSError:
            return "fail", None  # Nothing was sent.
        group = self.load.group
        path = f"/{group}" if op == "put" else f"/{group}/{http_client.quote(key)}"
        body = {"Key": key, "Value": value} if op == "put" else None
        method = {"put": "PUT", "get": "GET", "delete": "DELETE"}[op]
        try:
            answer = http_client.exchange(self.connection, method, path, body)
        except (OSError, http.client.HTTPException):
            return "unknown", None
        if op == "get":
            return self.judge_read(answer)
        if answer.status == 204:
            return "ok", None
        self.load.count_status(answer.status)
        assert answer.status in NOT_APPLIED | {504}, answer
        return ("unknown" if answer.status == 504 else "fail"), None

    def judge_read(self, answer):
        if answer.status == 200:
            return "ok", answer.text().removesuffix("\n")
        if answer.status == 404:
            return "ok", None
        self.load.count_status(answer.status)
        return "unknown", None

    def connect(self):
        if self.connection is None:
            port = self.random.choice(self.load.ports)
            self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            self.connection.connect()

    def disconnect(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Load:
    """Use as a context manager; the clients stop at its end."""

    def __init__(self, nodes, clients=6, group=1, shared_keys=5):
        self.ports = [node.api_port for node in nodes]
        self.group = group
        self.shared_keys = shared_keys
        self.history = History()
        self.stopping = threading.Event()
        self.refusals = {}
        self.clients = [Client(self, number) for number in range(1, clients + 1)]

    def count_status(self, status):
        with self.history.lock:
            self.refusals[status] = self.refusals.get(status, 0) + 1

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for client in self.clients:
            client.join()

    def wait_progress(self, operations=50):
        """Until that many more operations were acknowledged."""
        goal = self.history.acknowledged + operations

        def done():
            self.raise_errors()
            return self.history.acknowledged >= goal

        eventually(done, f"{operations} operations acknowledged", PROGRESS_DEADLINE_S)

    def raise_errors(self):
        for client in self.clients:
            if client.error is not None:
                raise client.error

    def check(self, node, folder):
        """Every acknowledged write is there, and the history is linearizable."""
        assert self.stopping.is_set()
        self.raise_errors()
        for client in self.clients:
            for key, value in client.kept.items():
                answer = node.get(self.group, key)
                assert answer.status == 200 and answer.text() == value + "\n", (key, answer)
        self.history.check(folder / "history.jsonl")
