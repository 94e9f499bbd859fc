"""What the points of a study share: files, networks and the host's counters. Opened when first needed, closed together."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zcload.errors import ConfigError, Problem
from zcload.host.cache import FileCache
from zcload.host.machine import Machine
from zcload.host.topology import Core
from zcload.lane.connections import choose_congestion
from zcload.lane.network import Network, open_network
from zcload.lane.payload import Source
from zcload.lane.small_files.transfer_plan import catalogue_of
from zcload.linux import interrupt
from zcload.linux.perf_event import ability
from zcload.model.progress import Progress, Viewer
from zcload.model.study import Point, Study
from zcload.runner import limits
from zcload.runner.block import Emit
from zcload.runner.context import PointContext
from zcload.runner.known_files import KnownFiles, identity
from zcload.runner.needs import enough_bytes
from zcload.runner.point import PointRun
from zcload.runner.point_state import PointState

if TYPE_CHECKING:
    from zcload.server.root import DocumentRoot, ServedFile


class StudyResources:
    """Provides what the points of *study* need on this host; *out* has for each the variants that cannot run there, and why."""

    def __init__(
        self,
        study: Study,
        cores: tuple[Core, ...],
        environment: Mapping[str, Any],
        out: Sequence[Mapping[str, Any]],
        rng: random.Random,
        emit: Emit,
        view: Viewer,
        replicate: int | None,
        files: KnownFiles,
    ) -> None:
        self.study, self.rng = study, rng
        self._replicate, self._files = replicate, files
        self._cores, self._out, self._emit, self._view = cores, out, emit, view
        self._interrupts_apart = environment.get("irq_time_accounting") == "yes"
        self._machine, self._able = Machine(), ability()
        self._sources: dict[tuple[Any, ...], Source] = {}
        self._networks: dict[tuple[Any, ...], Network] = {}
        self._small: dict[tuple[Any, ...], str] = {}
        self._root = _document_root() if study.serves else None
        self._enough = enough_bytes(environment.get("last_level_cache_bytes"))

    def point(self, state: PointState) -> PointRun:
        """Return the point of *state*, ready to be prepared or measured; what it cannot run here is recorded before it is prepared."""
        index = state.index
        point = self.study.points[index]
        source = self._source(index)
        wires = (point.network, point.address, point.mtu, point.offloads, point.gso_max_size)
        if wires not in self._networks:
            self._networks[wires] = open_network(point)
        context = PointContext(
            study=state.study,
            index=index,
            point=point,
            source=source,
            cache=FileCache(source.fd, source.size, point.cache),
            network=self._networks[wires],
            cores=self._cores,
            congestion=None if self.study.serves else choose_congestion(point.congestion)[0],
            machine=self._machine,
            rng=self.rng,
            interrupts_apart=self._interrupts_apart,
            emit=self._emit,
            perf=self._able,
            served=self._publish(point, source),
            out=state.out,
            cautioned=state.cautioned,
            strangers=state.strangers,
            identities=state.identities,
            half_measured=state.half_measured,
            replicate=self._replicate,
        )
        if state.digest not in (None, source.digest):
            raise ConfigError(Problem("the file is not the one that the run was begun with", key="--resume"))
        state.digest = source.digest
        if not state.prepared:
            context.record_network()
            context.record_perf()
            for name, why in self._out[index].items():
                context.record({"kind": "skipped", "variant": name, "reason": str(why)})
        return PointRun(context, state, self._view)

    def _source(self, index: int) -> Source:
        point = self.study.points[index]
        if identity(point) not in self._sources:
            folder = self._root.root if self._root else None
            progress = lambda what, fraction: self._view(Progress(what, fraction=fraction))  # noqa: E731 - a line, used once
            with interrupt.limited(limits.making_s(point), lambda: "making or reading the file"):
                self._sources[identity(point)] = self._files.open(point, progress, folder)
        return self._sources[identity(point)]

    def _publish(self, point: Point, source: Source) -> ServedFile | None:
        """Make the file and the small files of *point* reachable for the study's servers; None where it has none."""
        if self._root is None or source.path is None:
            return None
        from zcload.server.root import publish

        return publish(self._root, source.path, source.size, self._small_files(self._root, point, source), self._enough)

    def _small_files(self, root: DocumentRoot, point: Point, source: Source) -> str | None:
        """Have *root* hold the small files of *point*; return what their names begin with, None for a stream."""
        if point.transfer == "stream":
            return None
        files = (*identity(point), point.sizes)
        if files not in self._small:
            from zcload.server.root import write_files

            self._view(Progress("writing the small files"))
            self._small[files] = prefix = f"zcload-{len(self._small) + 1}-"
            write_files(root.root, prefix, catalogue_of(point, source.size), source.fd)
        return self._small[files]

    def check_sources(self) -> None:
        """Raise StudyError if a file was changed."""
        for source in self._sources.values():
            source.check()

    def close(self) -> None:
        """Give everything back."""
        self._machine.close()
        for network in self._networks.values():
            network.close()
        for source in self._sources.values():
            source.close()
        if self._root is not None:
            self._root.close()


def _document_root() -> DocumentRoot:
    from zcload.server.root import DocumentRoot

    return DocumentRoot()
