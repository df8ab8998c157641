"""Command lines and state directories that are refused, each with its exit status."""

import os
import socket

import pytest
from harness import BIN, PORTS, eventually, launch, run_to_exit

TRY_AGAIN = 1
USAGE = 2
STATE_REFUSED = 3
JOIN_REFUSED = 4


def flags_for(folder, *flags):
    return [f"-state_dir={folder}", "-raft", f":{PORTS.take()}", "-api", f":{PORTS.take()}", *flags]


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["-id", "0"],
        ["-id", "-1"],
        ["-id", "one"],
        ["-id", "4294967295"],
        ["-id", "1", "-raft", "nonsense"],
        ["-id", "1", "-raft", ":99999"],
        ["-id", "1", "-engine", "paper"],
        ["-id", "1", "-read", "sometimes"],
        ["-id", "1", "-election_ms", "0"],
        ["-id", "1", "-log_level", "loud"],
        ["-id", "1", "-join", "nowhere"],
        ["-id", "1", "-config", "no-such-file"],
        ["-id", "1", "-no_such_flag"],
        ["-id", "1", "word"],
    ],
    ids=" ".join,
)
def test_CommandLine_Malformed_ExitsWithUsage(tmp_path, flags):
    status, said = run_to_exit(flags_for(tmp_path / "state", *flags))
    assert status == USAGE, said
    assert said.strip()
    assert not (tmp_path / "state").exists()


def test_CommandLine_WithoutStateDir_ExitsWithUsage():
    assert run_to_exit(["-id", "1"])[0] == USAGE


def test_CommandLine_AsksForInformation_PrintsItAndExits():
    status, said = run_to_exit(["-version"])
    assert status == 0 and "0.1.0" in said
    status, said = run_to_exit(["--help"])
    assert status == 0 and "-initial_group_id" in said


def test_CommandLine_CheckConfig_StartsNothing(tmp_path):
    flags = flags_for(tmp_path / "state", "-id", "1", "-check_config")
    assert run_to_exit(flags)[0] == 0
    assert run_to_exit([*flags, "-engine=paper"])[0] == USAGE
    assert not (tmp_path / "state").exists()


def test_CommandLine_Precedence_IsFlagThenEnvironmentThenFile(tmp_path):
    config = tmp_path / "config"
    config.write_text("id = 0\nengine = memory\n")
    flags = flags_for(tmp_path / "state", "-config", str(config), "-check_config")
    assert run_to_exit(flags)[0] == USAGE
    assert run_to_exit(flags, env={"MULTIRAFT_ID": "7"})[0] == 0
    assert run_to_exit([*flags, "-id", "0"], env={"MULTIRAFT_ID": "7"})[0] == USAGE


def test_StateDirectory_InUse_IsRefused(cluster):
    status, said = run_to_exit(flags_for(cluster[1].state_dir, "-id", "1"))
    assert status == STATE_REFUSED, said


def test_StateDirectory_OfAnotherId_IsRefused(new_cluster):
    node = new_cluster().add(1).start().wait_ready()
    assert node.put(1, "key", "value").status == 204
    node.stop()
    status, said = run_to_exit(flags_for(node.state_dir, "-id", "2"))
    assert status == STATE_REFUSED, said
    # The refusal changed nothing.
    node.start().wait_ready()
    assert node.get(1, "key").text() == "value\n"


def test_StateDirectory_NotADirectory_IsRefused(tmp_path):
    (tmp_path / "state").write_text("a file")
    status, said = run_to_exit(flags_for(tmp_path / "state", "-id", "1"))
    assert status == STATE_REFUSED, said


def test_Join_IdOfAnotherMember_IsRefused(cluster, tmp_path):
    flags = flags_for(tmp_path / "state", "-id", "2", "-join", cluster[1].raft_address)
    status, said = run_to_exit(flags)
    assert status == JOIN_REFUSED, said


def test_Join_DeadAddress_KeepsTryingUntilAsked(tmp_path):
    log = tmp_path / "log"
    flags = flags_for(tmp_path / "state", "-id", "2", "-join", f":{PORTS.take()}")
    process = launch([str(BIN / "multiraft"), *flags], log)
    try:
        # It logs attempts that fail; a second one shows that it goes on.
        eventually(lambda: log.read_text().lower().count("join") >= 2, "several attempts")
        assert process.poll() is None
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_Port_InUse_IsSaid_AndTheStatusIsOneToTryAgainOn(cluster, tmp_path):
    flags = ["-state_dir", str(tmp_path / "state"), "-id", "9", "-raft", f":{PORTS.take()}"]
    status, said = run_to_exit([*flags, "-api", f":{cluster[1].api_port}"])
    assert status == TRY_AGAIN, said
    assert str(cluster[1].api_port) in said


def test_RaftPort_HeldForAWhile_IsWaitedFor(tmp_path):
    port, log = PORTS.take(), tmp_path / "log"
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        flags = ["-state_dir", str(tmp_path / "state"), "-id", "1", "-raft", f"127.0.0.1:{port}"]
        process = launch([str(BIN / "multiraft"), *flags, "-api", f":{PORTS.take()}"], log)
        try:
            eventually(lambda: "waiting for an address" in log.read_text(), "the wait")
            holder.close()
            eventually(lambda: " ready " in log.read_text(), "readiness")
        finally:
            process.kill()
            process.wait()


def test_RaftPort_StillHeldWhenAskedToStop_EndsAtOnce(tmp_path):
    port, log = PORTS.take(), tmp_path / "log"
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        flags = ["-state_dir", str(tmp_path / "state"), "-id", "1", "-raft", f"127.0.0.1:{port}"]
        process = launch([str(BIN / "multiraft"), *flags, "-api", f":{PORTS.take()}"], log)
        try:
            eventually(lambda: "waiting for an address" in log.read_text(), "the wait")
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()


def test_StartThatIsStuck_EndsWhenAskedTo(tmp_path):
    """As in the look-up of a name by a server that does not answer: nothing interrupts it."""
    folder, log = tmp_path / "state", tmp_path / "log"
    folder.mkdir()
    os.mkfifo(folder / "engine")  # Nobody ever writes to it.
    process = launch([str(BIN / "multiraft"), *flags_for(folder, "-id", "1")], log)
    try:
        eventually(lambda: " starting " in log.read_text(), "the start")
        process.terminate()
        assert process.wait(5) == 0
        assert "stopped while it started" in log.read_text()
    finally:
        process.kill()
        process.wait()


def test_Engine_Changed_IsRefusedWithoutHarmfulAdvice(tmp_path):
    folder = tmp_path / "state"
    node = tmp_path / "log"
    flags = flags_for(folder, "-id", "1")
    process = launch([str(BIN / "multiraft"), *flags], node)
    try:
        eventually(lambda: " ready " in node.read_text(), "readiness")
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    status, said = run_to_exit([*flags, "-engine", "memory"])
    assert status == USAGE, said
    assert "-engine=rocksdb" in said and "wipe" not in said


def test_Variables_ThatAreNoSettings_AreNamedAndIgnored(tmp_path):
    flags = flags_for(tmp_path / "state", "-id", "1", "-check_config")
    env = {"MULTIRAFT_VERSION": "0.1.0", "MULTIRAFT_WORKERS": ""}
    assert run_to_exit(flags, env=env)[0] == 0
