"""A disk that stops answering, as a frozen file system does, and comes back."""

import contextlib
import os
import re
import subprocess

import pytest

from harness import eventually

DISK_MIB = 400
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a disk needs root")


class Disk:
    """An ext4 image that a node's state directory is on, and that can be frozen."""

    def __init__(self, path, image):
        self.path = path
        self.image = image
        self.frozen = False

    def mount(self):
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.image, "wb") as image:
            image.truncate(DISK_MIB << 20)
        for command in (
            ["mkfs.ext4", "-q", "-F", str(self.image)],
            ["mount", "-o", "loop", str(self.image), str(self.path)],
        ):
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                pytest.skip(f"there is no {command[0]}")
            if done.returncode != 0:
                pytest.skip(f"no file systems of one's own here: {done.stderr.strip()}")

    def freeze(self):
        subprocess.run(["fsfreeze", "-f", str(self.path)], check=True)
        self.frozen = True

    def thaw(self):
        if self.frozen:
            subprocess.run(["fsfreeze", "-u", str(self.path)], check=True)
            self.frozen = False


@contextlib.contextmanager
def three_disks(cluster):
    """Starts three nodes, each on a disk of its own. In the end none is frozen or mounted."""
    first = cluster.add(1)
    for node_id in (2, 3):
        cluster.add(node_id, join=first)
    disks = {}
    with contextlib.ExitStack() as stack:
        for node in cluster:
            disk = Disk(node.state_dir, cluster.folder / f"{node.id}.img")
            disk.mount()
            stack.callback(subprocess.run, ["umount", "-l", str(disk.path)], check=True)
            disks[node.id] = disk

        def end():
            # Thawed first: a process that waits for a frozen disk cannot even be killed.
            for disk in disks.values():
                disk.thaw()
            for node in cluster:
                node.kill()

        stack.callback(end)
        for node in cluster:
            node.start()
        cluster.wait_ready()
        cluster.wait_voters(1, [1, 2, 3])
        yield disks


def metric(node, name):
    text = node.request("GET", "/metrics").text()
    return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1))


def write_until_taken(node, key, value):
    """Writes the same until it is taken: refusals and unknown outcomes come before."""

    def put():
        answer = node.put(1, key, value)
        assert answer.status in (204, 503, 504), answer
        return answer.status == 204

    eventually(put, f"node {node.id} takes {key}")


def check_stalled(node):
    """It says what is wrong, to probes and to whoever wants what it cannot know."""
    ready = node.request("GET", "/readyz?verbose")
    assert ready.status == 503 and "disk failed: stalled" in ready.text(), ready.text()
    assert node.request("GET", "/livez").status == 200
    assert metric(node, "multiraft_disk_stalled_seconds") > 0
    assert "does not answer" in node.log_path.read_text()


@needs_root
def test_Leader_WithAFrozenDisk_IsReplacedAndFollowsWhenItThaws(new_cluster):
    cluster = new_cluster()
    with three_disks(cluster) as disks:
        old = cluster.leader()
        others = [node for node in cluster if node is not old]
        write_until_taken(old, "before", "1")
        disks[old.id].freeze()
        # Nothing it has proposed becomes durable there: it says so, or that it may have happened.
        answer = old.put(1, "stuck", "x")
        assert answer.status in (503, 504), answer
        assert f"disk of node {old.id} does not answer" in answer.json()["detail"]
        eventually(lambda: others[0].leader_of(1) in [n.id for n in others], "another leads")
        for number, node in enumerate(others):
            write_until_taken(node, f"during-{number}", "2")
        check_stalled(old)
        # Writes pass through it; reads do not show the past.
        write_until_taken(old, "through", "3")
        answer = old.get(1, "during-0")
        assert answer.status == 503, answer
        assert f"disk of node {old.id} does not answer" in answer.json()["detail"]
        assert others[0].get(1, "through").text() == "3\n"

        disks[old.id].thaw()
        eventually(lambda: old.request("GET", "/readyz").status == 200, "it is ready again")
        for key in ("before", "during-0", "during-1", "through"):
            eventually(lambda k=key: old.get(1, k).status == 200, f"{key} is there")
        assert metric(old, "multiraft_disk_stalls_total") >= 1
        assert "answers again" in old.log_path.read_text()
        write_until_taken(old, "after", "4")


@needs_root
def test_Follower_WithAFrozenDisk_HoldsNobodyUp(new_cluster):
    cluster = new_cluster()
    with three_disks(cluster) as disks:
        leader = cluster.leader()
        frozen, other = [node for node in cluster if node is not leader]
        # Some weight, so that RocksDB and the log have something under way.
        for i in range(50):
            write_until_taken(leader, f"weight-{i}", "x" * 60_000)
        disks[frozen.id].freeze()
        for i in range(50):
            assert other.put(1, f"during-{i}", "y" * 60_000).status == 204
        check_ready = lambda: frozen.request("GET", "/readyz").status == 503  # noqa: E731
        eventually(check_ready, "the stall is noticed")
        check_stalled(frozen)
        assert other.put(1, "during-the-stall", "z").status == 204
        assert cluster.leader() is leader
        disks[frozen.id].thaw()
        eventually(lambda: frozen.request("GET", "/readyz").status == 200, "it is ready again")
        eventually(lambda: frozen.get(1, "during-the-stall").text() == "z\n", "it caught up")
        for i in range(50):
            assert frozen.get(1, f"during-{i}").text() == "y" * 60_000 + "\n"
