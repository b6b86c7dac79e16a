"""A disk that is full: told as UNAVAILABLE, nothing half written, nothing acknowledged lost, and no stop needed."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from radimpress.server.registry import Registry
from radimpress.server.security import trail
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc, impression_pb2
from tests.server.conftest import CT_LIST, certificate, clusters
from tests.server.processes import Asker, Running, code_of, started

_MOUNT = 16 * 2**20


@dataclass(slots=True)
class Disk:
    """A place that can be filled.

    Attributes:
        folder: the place.
        mounted: whether it is a file system of its own; else the server's process is told that files may not grow.
    """

    folder: Path
    mounted: bool
    _before: tuple[int, int] = field(default=(0, 0))

    def fill(self, running: Running) -> None:
        """From now on nothing more can be written."""
        if not self.mounted:
            self._before = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (0, self._before[1]))
            return
        with suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)

    def free(self, running: Running) -> None:
        """Room again."""
        if self.mounted:
            (self.folder / "filler").unlink()
        else:
            resource.prlimit(running.pid, resource.RLIMIT_FSIZE, self._before)


@pytest.fixture(params=["a small file system", "a limit on files"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A disk of 16 MiB where mounting is allowed; everywhere a process whose files may not grow."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "a limit on files":
        yield Disk(folder, mounted=False)
        return
    mount = ("mount", "-t", "tmpfs", "-o", f"size={_MOUNT}", "tmpfs", str(folder))
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("file systems may not be mounted here")
    yield Disk(folder, mounted=True)
    subprocess.run(("umount", str(folder)), check=True)


def test_a_full_disk_is_told_and_nothing_that_was_acknowledged_is_lost(
    disk: Disk, fake_bundles: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{disk.folder / 'registry.db'}"
    registry = Registry(url, fake_bundles)
    registry.adopt(clusters())
    adapter = registry.register(next((fake_bundles / "unified").iterdir()).relative_to(fake_bundles).as_posix())
    given = adapter_pb2.PromoteAdapterRequest(name=adapter.name, certificate=certificate(adapter, CT_LIST))
    kept = dict[str, impression_pb2.Impression]()
    settings = {"registry": url, "bundles": fake_bundles, "audit": disk.folder / "audit"}
    with started(tmp_path, **settings) as running, Asker(running.address) as asker:  # type: ignore[arg-type]
        stub = adapter_pb2_grpc.AdapterServiceStub(asker.channel)
        kept |= _answers(asker, "before", 5)
        disk.fill(running)
        refused = _ask_until_refused(asker, kept)
        assert refused is grpc.StatusCode.UNAVAILABLE
        told = grpc.StatusCode.OK
        try:
            stub.PromoteAdapter(given, timeout=30)
        except grpc.RpcError as error:
            told = code_of(error)
        # What the log of writes had room for may still get through, but then wholly.
        assert told in {grpc.StatusCode.UNAVAILABLE, *([grpc.StatusCode.OK] if disk.mounted else [])}
        disk.free(running)
        asker.until(grpc.StatusCode.OK, 30)
        table = registry.table()
        assert (table.number, set(table.entries)) in [(1, set()), (2, {CT_LIST})]
        if table.number == 1:
            assert told is grpc.StatusCode.UNAVAILABLE
            stub.PromoteAdapter(given, timeout=30)
        # By now another adapter would answer, so that what comes back was kept and not written again.
        assert asker.generate("after").provenance.digest == adapter.digest
        for request_id, answer in kept.items():
            assert asker.generate(request_id) == answer
    registry.check_chain()
    registry.close()
    files = list((disk.folder / "audit").iterdir())
    assert files
    for file in files:
        if file.suffix == ".jsonl":
            trail.verify(file)


def _answers(asker: Asker, name: str, count: int) -> dict[str, impression_pb2.Impression]:
    return {f"{name}-{number}": asker.generate(f"{name}-{number}") for number in range(count)}


def _ask_until_refused(asker: Asker, kept: dict[str, impression_pb2.Impression]) -> grpc.StatusCode:
    """Asks on until one is refused; what is answered meanwhile counts as acknowledged."""
    for number in range(20_000):
        try:
            kept[f"during-{number}"] = asker.generate(f"during-{number}")
        except grpc.RpcError as error:
            return code_of(error)
    raise AssertionError("the disk never was full")
