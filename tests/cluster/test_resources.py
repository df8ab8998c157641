"""What others may use up of a process: file descriptors, and patience with its log."""

import http.client
import os
import resource
import socket
import subprocess

from harness import BIN, PORTS, eventually

LIMIT = 256


def start(tmp_path, *flags, **options):
    api = PORTS.take()
    command = [str(BIN / "multiraft"), "-state_dir", str(tmp_path / "state"), "-id", "1"]
    command += ["-raft", f":{PORTS.take()}", "-api", f":{api}", "-log_segment_mb", "9", *flags]
    options.setdefault("stderr", (tmp_path / "log").open("ab"))
    return api, subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)


def request(api, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", api, timeout=10)
    try:
        connection.request(method, path, body)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def end(process):
    process.kill()
    process.wait()


def test_IdleConnections_NeverTakeTheDescriptorsOfTheLog(tmp_path):
    limit = (LIMIT, LIMIT)
    api, process = start(
        tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    )
    idle = []
    try:
        eventually(lambda: request(api, "GET", "/readyz") == 200, "readiness")
        writer = http.client.HTTPConnection("127.0.0.1", api, timeout=10)
        writer.request("GET", "/1/none")
        writer.getresponse().read()
        idle = [socket.create_connection(("127.0.0.1", api)) for _ in range(LIMIT + 50)]
        # Enough for several segments of the log and tables of the engine.
        for i in range(40):
            writer.request("PUT", f"/v1/groups/1/kv/k{i % 5}", os.urandom(1 << 20))
            answer = writer.getresponse()
            answer.read()
            assert answer.status == 204
        # Silent connections past the limit give their places up, so that probes get through.
        eventually(lambda: request(api, "GET", "/livez") == 200, "a probe's answer")
        assert process.poll() is None
    finally:
        for connection in idle:
            connection.close()
        end(process)


def test_StandardErrorThatNobodyReads_HoldsNothingUp(tmp_path):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    api, process = start(tmp_path, stderr=writing)
    os.close(writing)
    try:
        eventually(lambda: request(api, "GET", "/readyz") == 200, "readiness")
        assert request(api, "PUT", "/v1/groups/1/kv/key", "value") == 204
        process.terminate()
        assert process.wait(10) == 0
    finally:
        end(process)
        os.close(reading)


def test_PipelinesOfLargeReads_LeaveTheNodeResponsive_WithinItsMemory(tmp_path):
    api, process = start(tmp_path, "-workers", "2")
    sockets = []
    try:
        eventually(lambda: request(api, "GET", "/readyz") == 200, "readiness")
        value = os.urandom(8 << 20)
        assert request(api, "PUT", "/v1/groups/1/kv/big", value) == 204
        wanted = b"GET /v1/groups/1/kv/big HTTP/1.1\r\nHost: h\r\n\r\n" * 64
        for _ in range(8):
            sockets.append(socket.create_connection(("127.0.0.1", api)))
            sockets[-1].sendall(wanted)
        # Asked of every worker, while the clients above take nothing.
        for _ in range(20):
            assert request(api, "GET", "/livez") == 200
            assert request(api, "GET", "/1/none") in (404, 429)
        with open(f"/proc/{process.pid}/statm") as statm:
            resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert resident < 1 << 30
    finally:
        for connection in sockets:
            connection.close()
        end(process)


def test_WritesThatWaitForALeader_AreLimitedByTheirBytes(new_cluster):
    cluster = new_cluster(flags=["-workers", "1"])
    cluster.start(2)
    cluster[2].kill()
    connections, body = [], os.urandom(8 << 20)
    try:
        for i in range(60):
            connection = http.client.HTTPConnection("127.0.0.1", cluster[1].api_port, timeout=30)
            connection.request("PUT", f"/v1/groups/1/kv/k{i}", body)
            connections.append(connection)
        answers = {connection.getresponse().status for connection in connections}
    finally:
        for connection in connections:
            connection.close()
    assert 429 in answers
    assert answers <= {429, 503, 504}
    assert cluster[1].request("GET", "/livez").status == 200
