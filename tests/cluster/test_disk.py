"""A disk that fills up, is read-only, or goes away while the node runs."""

import base64
import contextlib
import os
import random
import subprocess
import tempfile

import pytest

from harness import Cluster, eventually, run_to_exit

DISK_MIB = 48

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@contextlib.contextmanager
def small_disk(path, mib=DISK_MIB, inodes=None):
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={mib}m" + (f",nr_inodes={inodes}" if inodes else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "multiraft-test", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def value_of(key):
    """72 KiB that no compression makes smaller."""
    return base64.b64encode(random.Random(key).randbytes(54 * 1024)).decode()


def fill(node, prefix, deadline_keys=2000):
    """Puts new keys until the node refuses: (the acknowledged keys, the refusal)."""
    kept = []
    for i in range(deadline_keys):
        key = f"{prefix}-{i}"
        answer = node.put(1, key, value_of(key))
        if answer.status == 204:
            kept.append(key)
        elif answer.status == 507:
            return kept, answer
        else:
            assert answer.status in (503, 504), answer  # A change of leader.
    raise AssertionError(f"never refused after {deadline_keys} keys")


def read_ok(node, key):
    """The answer; None while the state machine waits for room to take in what came before."""
    answer = node.get(1, key)
    assert answer.status in (200, 503), answer
    return answer if answer.status == 200 else None


def check_full_and_healing(cluster, full):
    """Fills through `full`, deletes through it, and again: nothing acknowledged is lost."""
    kept_small = {f"small-{i}": f"value-{i}" for i in range(20)}
    for key, value in kept_small.items():
        assert full.put(1, key, value).status == 204
    for round_number in range(2):
        keys, refusal = fill(full, f"big-{round_number}")
        # The second time the upkeep may still be giving back what the first one took.
        assert len(keys) > (20 if round_number == 0 else 0), "it takes a reasonable amount"
        problem = refusal.json()
        assert problem["outcome"] == "not_applied" and problem["retryable"] is True
        # The node's own disk, or the leader's.
        assert any(f"node {node.id} has" in problem["detail"] for node in cluster)
        assert "Delete keys" in problem["detail"]
        # What it has is served, what makes it smaller is done.
        for key in (keys[0], keys[-1]):
            answer = eventually(lambda k=key: read_ok(full, k), f"read {key}")
            assert answer.text() == value_of(key) + "\n"
        for key in keys:
            answer = eventually(
                lambda k=key: full.delete(1, k).status == 204, f"delete {key}"
            )
            assert answer
        eventually(
            lambda r=round_number: full.put(1, f"again-{r}", "small").status == 204,
            "takes writes again by itself",
            60,
        )
        for key, value in kept_small.items():
            assert eventually(lambda k=key: read_ok(full, k), key).text() == value + "\n"
        eventually(lambda k=keys[0]: full.get(1, k).status == 404, "deleted")
    for node in cluster:
        assert node.is_alive(), node.tail()
    for node in cluster:
        eventually(
            lambda n=node: n.get(1, "again-1").text() == "small\n", f"node {node.id} caught up"
        )


@needs_root
def test_Node_WithASmallDiskFilledUp_RefusesAndRecoversAfterDeletes(new_cluster):
    cluster = new_cluster()
    first = cluster.add(1)
    cluster.add(2, join=first)
    full = cluster.add(3, join=first)
    with small_disk(full.state_dir):
        for node in cluster:
            node.start()
        cluster.wait_ready()
        cluster.wait_voters(1, [1, 2, 3])
        check_full_and_healing(cluster, full)
        for node in cluster:
            node.kill()


@needs_root
def test_Cluster_WithSmallDisksOnly_RefusesAndRecoversAfterDeletes(new_cluster):
    cluster = new_cluster()
    first = cluster.add(1)
    cluster.add(2, join=first)
    cluster.add(3, join=first)
    with contextlib.ExitStack() as disks:
        for node in cluster:
            disks.enter_context(small_disk(node.state_dir))
        for node in cluster:
            node.start()
        cluster.wait_ready()
        cluster.wait_voters(1, [1, 2, 3])
        check_full_and_healing(cluster, cluster.leader())
        # And everything is there after a restart of all.
        cluster.kill_all()
        for node in cluster:
            node.start()
        cluster.wait_ready()
        for node in cluster:
            eventually(lambda n=node: n.get(1, "small-7").text() == "value-7\n", "read again")
        for node in cluster:
            node.kill()


@needs_root
def test_Leader_WhoseDiskRunsOutOfInodes_HandsOverAndHealsByItself(new_cluster):
    cluster = new_cluster()
    first = cluster.add(1)
    second = cluster.add(2, join=first)
    cluster.add(3, join=first)
    with small_disk(first.state_dir, mib=1024, inodes=100):
        for node in cluster:
            node.start()
        cluster.wait_ready()
        cluster.wait_voters(1, [1, 2, 3])
        fillers = []
        with contextlib.suppress(OSError):
            while True:
                filler = first.state_dir / f"filler-{len(fillers)}"
                filler.touch()
                fillers.append(filler)
        # Values of 1 MiB: the engine of node 1 needs a new file after a few of them.
        value = base64.b64encode(random.Random(1).randbytes(768 * 1024)).decode()

        def put(key):
            return second.put(1, key, value).status == 204

        for i in range(60):
            eventually(lambda i=i: put(f"key-{i}"), "writes go on through a healthy member")
        leader = cluster.leader()
        assert leader is not first, "another member leads"
        refused = first.put(1, "grows", value)
        assert refused.status == 507 and "inodes" in refused.json()["detail"], refused
        for filler in fillers:
            filler.unlink()
        eventually(lambda: first.put(1, "after", "small").status == 204, "takes writes again")
        eventually(lambda: first.get(1, "key-59").text() == value + "\n", "has caught up")
        for node in cluster:
            node.kill()


@needs_root
def test_StateDirectory_OnAReadOnlyDisk_IsRefused():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro,size=48m", "multiraft-test", folder], check=True
        )
        try:
            status, said = run_to_exit([f"-state_dir={folder}/d", "-id", "1", "-raft", ":0"])
        finally:
            subprocess.run(["umount", folder], check=True)
    assert status == 3, said
    assert "Read-only" in said and folder in said


def test_StateDirectory_RemovedWhileTheNodeRuns_EndsItWithStatus5(new_cluster):
    cluster = new_cluster()
    node = cluster.add(1).start().wait_ready()
    assert node.put(1, "key", "value").status == 204
    node.state_dir.rename(node.state_dir.with_name("elsewhere"))
    assert node.wait_exit() == 5
    said = node.tail()
    assert "vanished" in said or "No such file" in said
