"""The course of a run: one training or several in a row, the scores, and the exported files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from i2i import report
from i2i.config import RunConfig, dump, read_yaml, resolve
from i2i.errors import I2IError, PluginError, RunError
from i2i.files import write_text
from i2i.plugin import STRICT, strict
from i2i.training import checkpoint as checkpoints
from i2i.training.agreed import newest_agreed
from i2i.training.fault import place, told
from i2i.training.run import Run
from i2i.training.scoring import plain
from i2i.training.session import Session
from i2i.training.start import Start
from i2i.training.stopping import signal_of, terminable
from i2i.training.world import ALONE, World
from i2i_export.run import export_run

if TYPE_CHECKING:
    from i2i.plugin import Entry, Plugin
    from i2i.training.fit import Outcome
    from i2i.training.observer import Observer


class Course:
    """What is to be done in a run: its stages, of which all but the last are runs of their own inside it.

    Opens the data and networks of the first stage to be played, so that what is wrong with them is known before
    anything is written; raises I2IError. run: where there is one already, what it has is not done again. world: of the
    processes of which this is one; all play, and the first alone writes.
    """

    def __init__(
        self,
        entry: Entry,
        manifest: Plugin,
        config: RunConfig,
        observer: Observer | None,
        run: Run | None = None,
        world: World = ALONE,
    ) -> None:
        self._entry, self._manifest, self._config, self._observer = entry, manifest, config, observer
        self._world = world
        *earlier, (_, self._last) = stages(manifest, config).items()
        self._earlier = dict(earlier)
        self._start: Start | None = None
        if run is not None and checkpoints.find(run.checkpoints):  # what came before has done its part
            self._earlier = {}
        elif config.init is not None:
            self._start = Start.open(Path(config.init))
        first, place = self._last, run
        for name, stage in self._earlier.items():
            done = None if run is None else Run(run.stages / name)
            if done is None or done.state() != "finished":
                first, place = stage, done
                break
            self._start = Start.open(done.path)
        self._opened: tuple[RunConfig, Session] | None = (first, self._open(first, place))

    def follow(self, run: Run) -> Run:
        """Plays all stages that are not finished, scores and exports; leaves in `run.json` how it ended."""
        assert self._opened is not None
        classes = self._opened[1].config.data.classes
        whole = self._config.model_copy(update={"data": self._config.data.model_copy(update={"classes": classes})})
        with self._reporting(run), terminable(), _answering(run, self._world):
            if self._world.first:
                write_text(run.config, dump(whole))
            for name, config in self._earlier.items():
                stage = Run(run.stages / name)
                if self._world.tell(stage.state()) != "finished":
                    self._play_stage(run, name, config)
                    facts = stage.facts()
                    if facts["state"] == "interrupted":
                        if self._world.first:
                            run.finish("interrupted", step=facts["step"], signal=facts["signal"])
                        self._world.tell(None)
                        return run
                self._start = Start.open(stage.path)
            self._play(run, self._last)
        return run

    @contextmanager
    def _reporting(self, run: Run) -> Iterator[None]:
        """Writes the report and the model card, however the run ends; the first process does."""
        try:
            yield
        finally:
            if self._world.first:
                try:
                    report.write(run)
                    if run.model.is_file():
                        report.write_card(run)
                except Exception as error:  # what was trained is there, and is not to be lost for what tells of it
                    if strict():
                        raise
                    if self._observer is not None:
                        self._observer.said(f"{run.report}: not written: {error}; try `i2i report {run.path}`")

    def _play_stage(self, run: Run, name: str, config: RunConfig) -> None:
        stage = Run(run.stages / name)
        if self._world.first:
            run.begin(stage=name)
            if stage.state() is None:
                Run.create(stage.path, self._config.plugin)
        with stage.locked() if self._world.first else nullcontext(), _answering(stage, self._world):
            self._world.tell(None)  # now it is there for all
            if self._world.first:
                write_text(stage.config, dump(config))
            self._play(stage, config)

    def _open(self, config: RunConfig, run: Run | None) -> Session:
        """A session on `config`, at the newest whole checkpoint of `run` where it has one."""
        found, passed = (None, []) if run is None else newest_agreed(run.checkpoints, self._world)
        if run is not None and passed and found is None:
            raise RunError(
                f"{run.checkpoints}: none is whole: {'; '.join(passed)}",
                "Restore one of them; or begin anew in another folder: i2i train PLUGIN --out DIR",
            )
        session = Session(self._manifest, config, self._observer, None if found else self._start, self._world)
        for what in passed:
            session.observer.said(f"passed over: {what}")
        if run is not None and found is not None:
            before = {} if "config" in found.told else {"config": self._config_of(run, config)}
            session.resume(replace(found, told={**found.told, **before}))
        return session

    def _config_of(self, run: Run, config: RunConfig) -> dict[str, object]:
        """What `run` was played by when last it was, for checkpoints of versions that did not keep it themselves."""
        was = resolve(self._manifest.config, [read_yaml(run.config)])
        if config is self._last:  # of a run with stages, the file tells what all of them are made from
            *_, was = stages(self._manifest, was).values()
        return was.model_dump(mode="json")

    def _play(self, run: Run, config: RunConfig) -> None:
        """Returns when the first process has noted how it ended."""
        if self._opened is not None and self._opened[0] is config:
            session, self._opened = self._opened[1], None
        else:
            session = self._open(config, run)
        if self._world.first:
            checkpoints.sweep(run.checkpoints)
        outcome: Outcome | None = None
        try:
            outcome = session.play(run)
            if self._world.first:
                self._conclude(run, session, outcome)
        except KeyboardInterrupt as interrupt:
            if outcome is None:  # in the middle of a step: what was played since the last checkpoint is lost
                raise
            if self._world.first:
                run.finish("interrupted", step=outcome.step, signal=signal_of(interrupt).name)
        self._world.tell(None)

    def _conclude(self, run: Run, session: Session, outcome: Outcome) -> None:
        if outcome.stopped is not None:
            run.finish("interrupted", step=outcome.step, signal=outcome.stopped.name)
            return
        assessed = session.score(run)
        with run.exporting():
            described = export_run(run, session.config, session.build(), self._entry.version)
        model = described[run.model]
        evaluated = assessed.evaluated.model_copy(update={"digest": model.digest})
        evaluated.write(run.evaluation, assessed.pictures)
        run.finish("finished", step=outcome.step, scores=plain(evaluated), kind=model.kind)


@contextmanager
def _answering(run: Run, world: World) -> Iterator[None]:
    """Notes in `run.json` that the run was broken off, and by what; the first process does."""
    try:
        yield
    except BaseException as error:
        if not world.first:
            raise
        with suppress(I2IError):  # where the disk is full, that is what is raised
            if isinstance(error, KeyboardInterrupt):
                run.finish("interrupted", step=None, signal=signal_of(error).name)
            else:
                run.finish("failed", error=str(error))
        raise


def stages(manifest: Plugin, config: RunConfig) -> dict[str, RunConfig]:
    """The configuration of each stage in their order, the last one that of the run itself.

    Raises PluginError where the plugin cannot tell them.
    """
    if manifest.stages is None:
        return {"": config}
    try:
        named = dict(manifest.stages(config))
    except I2IError:
        raise
    except Exception as error:  # a plugin may raise anything
        if strict():
            raise
        where = place(error, manifest.game.partition(":")[0].partition(".")[0])
        raise PluginError(
            f"plugin '{manifest.name}' has no stages for this configuration{f', {where}' if where else ''}: "
            f"{told(error)}",
            f"{STRICT}=1 shows the traceback.",
        ) from error
    if not named:
        raise PluginError(
            f"plugin '{manifest.name}' has no stages for this configuration",
            "The last of the manifest's `stages` is the run itself: give at least that.",
        )
    return named
