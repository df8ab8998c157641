"""Fixtures: clusters that end with their test, and logs where a test failed."""

import pytest

# Their assertions are shown in full, like those of the tests themselves. Before the first import.
pytest.register_assert_rewrite("harness", "load")

from harness import BIN, Cluster  # noqa: E402


def pytest_configure(config):
    if not (BIN / "multiraft").exists():
        raise pytest.UsageError(f"no server in {BIN}: build it first, or set MULTIRAFT_BIN_DIR")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.multiraft_failed = True


@pytest.fixture
def new_cluster(request):
    """Makes clusters of the test's own: new_cluster(flags=..., host=...)."""
    clusters = []

    def make(**options):
        clusters.append(Cluster(**options))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.close(failed=getattr(request.node, "multiraft_failed", False))


@pytest.fixture(scope="session")
def shared_cluster(request):
    """Three nodes for tests that leave them as they found them, but for keys."""
    failed_before = request.session.testsfailed
    cluster = Cluster()
    try:
        cluster.start(3)
        yield cluster
    finally:
        cluster.close(failed=request.session.testsfailed > failed_before)


@pytest.fixture
def cluster(shared_cluster):
    """The shared cluster; afterwards all of its nodes still run and take writes."""
    yield shared_cluster
    for node in shared_cluster:
        assert node.is_alive(), node.tail()
        assert node.put(1, "still-serving", "yes").status == 204
