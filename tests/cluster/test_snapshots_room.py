"""Snapshots that find no room are refused or undone, while the node serves its other groups."""

import contextlib

from harness import eventually
from test_disk import needs_root, small_disk
from test_snapshots import caught_up, metric, spooling
from test_snapshots_load import leave_behind, put_large, snapshot_files, group_status

FLAGS = ["-log_keep_mb=1", "-log_segment_mb=9", "-workers=1"]


def start_with_small_third(cluster, disks, mib):
    """Three nodes with the groups 1 and 2; node 3 has a small disk and leads neither."""
    first = cluster.add(1)
    cluster.add(2, join=first)
    small = cluster.add(3, join=first)
    disks.enter_context(small_disk(small.state_dir, mib))
    for node in cluster:
        node.start()
    cluster.wait_ready()
    cluster.wait_voters(1, [1, 2, 3])
    wanted = {"GroupID": 2, "IDs": [1, 2, 3]}
    assert first.request("PUT", "/mgmt/groups", wanted).status == 200
    cluster.wait_voters(2, [1, 2, 3])
    return small


def expect_other_group_serves(small, value):
    """Through the node with the small disk."""

    def served():
        assert small.is_alive(), small.tail()
        if small.put(2, "other", value).status not in (204, 507):
            return False
        answer = small.get(2, "other")
        return answer.status == 200

    eventually(served, "group 2 is served")


def said(node, text):
    return text in node.log_path.read_text(errors="replace")


@needs_root
def test_Snapshot_TooLargeForTheDisk_IsRefused_UntilThereIsRoom(new_cluster):
    cluster = new_cluster(flags=FLAGS)
    with contextlib.ExitStack() as disks:
        small = start_with_small_third(cluster, disks, 64)
        assert small.put(2, "other", "before").status == 204
        last_index = group_status(small)["last_index"]
        small.kill()
        leader = cluster.leader()
        values = put_large(leader, "big", 640)
        values |= leave_behind(leader, last_index, "more")
        small.start()
        eventually(
            lambda: said(leader, "to node 3 failed") or said(cluster[1], "to node 3 failed")
            or said(cluster[2], "to node 3 failed"),
            "a snapshot is refused",
            60,
        )
        expect_other_group_serves(small, "meanwhile")
        # It is asked less and less often: no busy circle.
        sent = sum(metric(n, "multiraft_snapshot_bytes_sent_total") for n in (cluster[1], cluster[2]))
        print(f"{sent / 2**20:.0f} MiB sent in vain")
        for key in values:
            assert eventually(lambda k=key: cluster.leader().delete(1, k).status == 204, key)
        assert cluster.leader().put(1, "last", "here").status == 204
        eventually(lambda: small.is_alive() and small.get(1, "last").status == 200, "caught up", 60)
        assert not spooling(small)
        for node in cluster:
            node.kill()


@needs_root
def test_Installation_WithoutRoom_IsUndone_AndDoneOnceThereIs(new_cluster):
    """The disk fills up between the arrival of a snapshot and its installation, or nearly so."""
    cluster = new_cluster(flags=FLAGS + ["-snapshot_mb_per_s=32"])
    with contextlib.ExitStack() as disks:
        small = start_with_small_third(cluster, disks, 192)
        last_index = group_status(small)["last_index"]
        small.kill()
        leader = cluster.leader()
        put_large(leader, "big", 400)
        leave_behind(leader, last_index, "more")
        small.start()
        eventually(
            lambda: any(
                f.startswith("received-1-") and not f.endswith(".tmp")
                for f in snapshot_files(small)
            ),
            "a snapshot has arrived",
            60,
        )
        filler = small.state_dir / "filler"
        with contextlib.suppress(OSError):
            with open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 20))
        given_up = "no room to install the snapshot"
        eventually(
            lambda: said(small, given_up)
            or said(leader, "to node 3 failed")
            or metric(small, "multiraft_snapshots_installed_total") >= 1,
            "the end of it",
            60,
        )
        print("it was given up" if said(small, given_up) else "it was refused, or in time")
        assert small.is_alive(), small.tail()
        assert small.request("GET", "/livez").status == 200
        filler.unlink()
        assert cluster.leader().put(1, "last", "here").status == 204
        eventually(lambda: small.is_alive() and small.get(1, "last").status == 200, "caught up", 60)
        caught_up(small, "last", "here")
        for node in cluster:
            node.kill()
