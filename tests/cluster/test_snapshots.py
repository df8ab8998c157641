"""Members that need a snapshot, and connections that break under it."""

import os
import socket
import threading

import pytest

from harness import eventually

VALUE_BYTES = 64 * 1024


class CuttingProxy:
    """Stands before a node's raft port. `cut_after` bytes into a snapshot stream, towards the node,
    the connection breaks; so often as there are cuts left."""

    SNAPSHOT = 2  # The connection's kind: the first byte behind the first frame's header.

    def __init__(self, target_port, cuts, cut_after):
        self.target_port = target_port
        self.cuts_left = cuts
        self.cut_after = cut_after
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port))
        except OSError:
            client.close()
            return
        threading.Thread(target=self.copy, args=(server, client, None), daemon=True).start()
        first = client.recv(65536)
        limit = None
        if len(first) > 20 and first[20] == self.SNAPSHOT:
            with self.lock:
                if self.cuts_left > 0:
                    self.cuts_left -= 1
                    limit = self.cut_after
        self.copy(client, server, limit, first)

    @staticmethod
    def copy(source, target, limit, piece=b""):
        passed = 0
        try:
            piece = piece or source.recv(65536)
            while piece and (limit is None or passed < limit):
                target.sendall(piece)
                passed += len(piece)
                piece = source.recv(65536)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def close(self):
        self.listener.close()


def metric(node, name):
    text = node.request("GET", "/metrics").text()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.split(" ")[0] == name)


def fill(node, count):
    for i in range(count):
        value = os.urandom(VALUE_BYTES // 2).hex()
        assert node.put(1, f"fill-{i}", value).status == 204


def caught_up(node, key, value):
    def done():
        answer = node.get(1, key)
        return answer.status == 200 and answer.text() == value + "\n"

    eventually(done, f"node {node.id} has {key}")


@pytest.mark.parametrize("cuts", [0, 3])
def test_NewMember_OverConnectionsThatBreak_CatchesUpBySnapshot(new_cluster, cuts):
    """What was sent before a break is not sent again."""
    cluster = new_cluster(flags=["-log_keep_entries=10"])
    cluster.start(2)
    fill(cluster.leader(), 160)
    node = cluster.add(3, join=cluster[1])
    proxy = CuttingProxy(node.raft_port, cuts, cut_after=1_500_000)
    try:
        node.flags.append(f"-advertise_raft=127.0.0.1:{proxy.port}")
        node.start().wait_ready()
        cluster.wait_voters(1, [1, 2, 3])
        leader = cluster.leader()
        assert leader.put(1, "last", "here").status == 204
        caught_up(node, "last", "here")
        senders = [cluster[1], cluster[2]]
        resumed = sum(metric(n, "multiraft_snapshots_resumed_total") for n in senders)
        again = sum(metric(n, "multiraft_snapshot_chunks_resent_total") for n in senders)
        sent = sum(metric(n, "multiraft_snapshot_chunks_sent_total") for n in senders)
        installed = metric(node, "multiraft_snapshots_installed_total")
        print(f"chunks sent {sent:.0f}, again {again:.0f}, resumed {resumed:.0f}")
        assert proxy.cuts_left == 0
        assert installed >= 1
        assert (resumed > 0) == (cuts > 0)
        assert again <= 4 * resumed
        assert not [name for name in os.listdir(node.state_dir / "snap") if "received" in name]
    finally:
        proxy.close()


def spooling(node):
    """Whether a snapshot is on its way into this node."""
    try:
        return any("received-1-" in name for name in os.listdir(node.state_dir / "snap"))
    except OSError:
        return False


def test_Member_KilledAgainAndAgainWhileItTakesASnapshot_CatchesUp(new_cluster):
    cluster = new_cluster(flags=["-log_keep_entries=10", "-snapshot_mb_per_s=8"])
    cluster.start(2)
    leader = cluster.leader()
    fill(leader, 160)
    node = cluster.add(3, join=cluster[1])
    node.start()
    for _ in range(3):
        eventually(lambda: spooling(node), "a snapshot arrives")
        node.kill()
        node.start()
    node.wait_ready()
    cluster.wait_voters(1, [1, 2, 3])
    assert cluster.leader().put(1, "last", "here").status == 204
    caught_up(node, "last", "here")
    eventually(lambda: not spooling(node), "nothing is left behind")


def test_Leader_KilledWhileItSendsASnapshot_AnotherOneSends(new_cluster):
    cluster = new_cluster(flags=["-log_keep_entries=10", "-snapshot_mb_per_s=8"])
    cluster.start(3)
    fill(cluster.leader(), 160)
    node = cluster.add(4, join=cluster[1])
    node.start()
    eventually(lambda: spooling(node), "a snapshot arrives")
    old = cluster.leader()
    old.kill()
    node.wait_ready()
    assert cluster.leader().put(1, "last", "here").status == 204
    caught_up(node, "last", "here")
    old.start().wait_ready()
    cluster.wait_voters(1, [1, 2, 3, 4])
    eventually(lambda: not spooling(node), "nothing is left behind")
