"""Members that are left behind and caught up by snapshots while the leader is under full load."""

import os
import threading
import time

import pytest

from harness import eventually
from load import Load
from test_snapshots import caught_up, metric, spooling

# Logs of at most 2 MiB, and snapshots that take a moment.
FLAGS = [
    "-log_keep_mb=1",
    "-log_keep_entries=1000",
    "-log_segment_mb=9",
    "-snapshot_mb_per_s=16",
    "-election_ms=4000",
]
ELECTION_S = 4
LOG_BYTES_MAX = 2 * 1024 * 1024
VALUE_BYTES = 64 * 1024


def group_status(node):
    return node.request("GET", "/v1/groups/1").json()


def snapshot_files(node):
    try:
        return os.listdir(node.state_dir / "snap")
    except OSError:
        return []


def saving_state(node):
    """The state of group 1 is being written."""
    return any(n.startswith("state-1-") and n.endswith(".tmp") for n in snapshot_files(node))


def put_large(leader, prefix, count):
    """Values that no compression makes smaller: more than a log keeps."""
    values = {}
    for i in range(count):
        values[f"{prefix}-{i}"] = os.urandom(VALUE_BYTES // 2).hex()
        assert leader.put(1, f"{prefix}-{i}", values[f"{prefix}-{i}"]).status == 204
    return values


def leave_behind(leader, last_index, prefix):
    """Until the leader's log no longer holds what comes after `last_index`.

    A state in memory is saved before the log is cut, which takes seconds at this rate."""

    def is_cut():
        return group_status(leader)["first_index"] > last_index + 1

    values = {}
    for part in range(20):
        values |= put_large(leader, f"{prefix}-{part}", 16)
        if is_cut():
            return values
    eventually(is_cut, "the log is cut")
    return values


def longest_pause_s(history):
    """The longest time without an acknowledged write."""
    done = sorted(
        line["return"]
        for line in history.lines
        if line["op"] in ("put", "delete") and line["outcome"] == "ok"
    )
    return max(b - a for a, b in zip(done, done[1:])) / 1e9


def installs(node):
    return metric(node, "multiraft_snapshots_installed_total")


def kill_in_the_middle(node):
    """kill -9 while the snapshot is read in or installed, or at the latest right after."""
    files = []

    def whole_or_done():
        files[:] = [f for f in snapshot_files(node) if f.startswith("received-1-")]
        return any(not f.endswith(".tmp") for f in files) or (node.is_ready() and installs(node))

    end = time.monotonic() + 30
    while not whole_or_done():
        assert time.monotonic() < end, "a snapshot arrives"
    node.kill()
    print(f"killed with {files}")


def expect_same_content(nodes, values):
    """Each node answers from its own copy, once that holds what was committed before."""
    for node in nodes:
        for key, value in values.items():
            answer = node.get(1, key)
            assert answer.status == 200 and answer.text() == value + "\n", (node.id, key)


@pytest.mark.parametrize("engine", ["rocksdb", "memory"])
def test_Follower_LeftBehindThreeTimesUnderLoad_CatchesUpAndTheLeaderGoesOn(
    new_cluster, engine, tmp_path
):
    cluster = new_cluster(flags=FLAGS + [f"-engine={engine}"]).start(3)
    leader = cluster.leader()
    lagging, other = cluster.followers()
    term = group_status(leader)["term"]
    values = put_large(leader, "first", 40)
    with Load([leader, other], clients=4) as load:
        for round_number in range(3):
            last_index = group_status(lagging)["last_index"]
            lagging.kill()
            values |= leave_behind(leader, last_index, f"round-{round_number}")
            lagging.start()
            if round_number == 1:
                eventually(lambda: spooling(lagging), "a snapshot arrives")
                lagging.kill()
                lagging.start()
            if round_number == 2:
                kill_in_the_middle(lagging)
                lagging.start()
            lagging.wait_ready()
            assert leader.put(1, f"caught-up-{round_number}", "yes").status == 204
            caught_up(lagging, f"caught-up-{round_number}", "yes")
        load.wait_progress()
    pause = longest_pause_s(load.history)
    print(f"{load.history.acknowledged} operations, longest pause {pause:.2f} s")
    assert cluster.leader() is leader and group_status(leader)["term"] == term
    assert pause < ELECTION_S
    assert sum(metric(n, "multiraft_snapshots_sent_total") for n in (leader, other)) >= 3
    expect_same_content(cluster, values)
    load.check(lagging, tmp_path)
    eventually(lambda: not spooling(lagging), "nothing is left behind")


class KillWhileSaving(threading.Thread):
    """kill -9 for the node as soon as it saves its state."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node = node
        self.killed = threading.Event()

    def run(self):
        while not saving_state(self.node):
            time.sleep(0.0005)
        self.node.kill()
        self.killed.set()


def test_StateInMemory_KilledWhileItIsSaved_IsThereAfterwards(new_cluster):
    cluster = new_cluster(flags=FLAGS + ["-engine=memory"]).start(3)
    leader = cluster.leader()
    victim = cluster.followers()[0]
    values = put_large(leader, "first", 60)
    in_the_middle = 0
    for round_number in range(3):
        killer = KillWhileSaving(victim)
        killer.start()
        for part in range(50):
            if killer.killed.is_set():
                break
            values |= put_large(leader, f"round-{round_number}-{part}", 8)
        killer.join()
        in_the_middle += saving_state(victim)
        victim.start().wait_ready()
    print(f"killed {in_the_middle} of 3 times in the middle of a file")
    expect_same_content([victim], values)


def log_bytes_on_disk(node):
    return sum(f.stat().st_size for f in node.state_dir.glob("log/*/*.seg"))


def test_Log_OfLargeValues_StaysSmall(new_cluster):
    """64 KiB a value: a number of entries alone would keep 700 MiB."""
    cluster = new_cluster(flags=FLAGS + ["-workers=1"]).start(2)
    leader = cluster.leader()
    put_large(leader, "steady", 200)
    before = max(log_bytes_on_disk(node) for node in cluster)
    put_large(leader, "steady", 400)
    for node in cluster:
        # What is on its way into a table file is kept, too: the write buffers of the engine.
        assert log_bytes_on_disk(node) <= before + 3 * 9 * 1024 * 1024, (node.id, before)
    status = group_status(leader)
    kept = status["last_index"] - status["first_index"] + 1
    print(f"{kept} entries kept, {before >> 20} MiB of files, then "
          f"{[log_bytes_on_disk(node) >> 20 for node in cluster]}")
    assert kept < 400
