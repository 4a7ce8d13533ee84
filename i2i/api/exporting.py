"""Files of a run's best weights, in the forms in which they are deployed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from i2i.api.opened import open_run
from i2i.errors import RunError

if TYPE_CHECKING:
    from i2i.artifact import Description, Precision
    from i2i.data import Samples


def export(path: str | Path, precision: Precision = "fp32") -> dict[Path, Description]:
    """Writes the model files of a run from its best weights, and returns what each says of itself.

    The first is `model.onnx`, or `model.int8.onnx` of another precision, which is fitted and judged on the run's
    validation images, or on the examples of an imported one. Raises ExportError where one would not compute what its
    network computes, or loses too much.
    """
    from i2i.course import stages
    from i2i_export.run import artifacts, export_run, export_variants

    run, entry, manifest, config = open_run(path)
    *_, last = stages(manifest, config).values()
    game = manifest.build(last)
    if precision == "fp32":
        with run.exporting():
            return export_run(run, last, game, entry.version)

    def validation() -> Samples:
        from i2i.data import open_splits

        return open_splits(last.data, manifest.kind).validation

    imported = run.facts().get("imported")
    if imported is not None and not imported["examples"]:
        raise RunError(
            f"{run.path}: was imported without images, on which {precision} would be fitted and judged",
            "Import it again with some: `i2i import FILE --examples DIR --run RUN`.",
        )
    with run.exporting():
        return export_variants(
            run, artifacts(run, last, game, entry.version), precision, None if imported is not None else validation
        )


def export_triton(
    path: str | Path,
    repository: str | Path,
    precision: Precision = "fp32",
    *,
    name: str | None = None,
    version: int = 1,
) -> dict[Path, Description]:
    """Exports a run, and adds it to a model repository of Triton Inference Server; returns what each model there is.

    name: of the model, by default the run's; another direction's has its name behind. Raises ExportError for a version
    that is there already.
    """
    from i2i_export.triton import check, pack

    called = Path(path).resolve().name if name is None else name
    check(Path(repository), called, version)  # before what takes minutes
    models = {}
    for number, (model, description) in enumerate(export(path, precision).items()):
        own = f"{called}-{description.direction}" if number else called
        check(Path(repository), own, version, description)  # all, before the first is added
        models[own] = model, description
    return {
        pack(model, description, Path(repository), own, version): description
        for own, (model, description) in models.items()
    }


def outdated(path: str | Path) -> dict[Path, Precision]:
    """The variants in a run's folder that are of other weights than the model in fp32 beside them. Needs no torch."""
    from i2i.errors import ArtifactError
    from i2i.runtime.model.find import read_description

    said = {}
    for file in sorted(Path(path).glob("model*.onnx")):
        with suppress(ArtifactError):  # a broken file is of no weights
            said[file] = read_description(file)
    whole = {each.direction: each.digest for each in said.values() if each.precision == "fp32"}
    return {
        file: each.precision
        for file, each in said.items()
        if each.precision != "fp32" and each.digest != whole.get(each.direction, each.digest)
    }
