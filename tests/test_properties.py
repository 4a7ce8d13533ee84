"""What holds whatever is given: of images, of configurations."""

import tempfile
import types
import typing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt, MinLen
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel

from i2i import header, images
from i2i import plugin as plugins
from i2i.config import Layer, RunConfig, dump, parse_assignment, read_yaml, resolve
from i2i.errors import ConfigError, ImageError

PLUGINS = ("cgan", "cut", "cyclegan", "dcgan", "pix2pix", "srgan")
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 13, 4), dtype=np.uint8))
FILES = [images.encode(NOISE.convert(mode), suffix) for suffix in images.WRITABLE for mode in ("L", "RGB", "RGBA")]
PATIENCE = timedelta(seconds=5)
WIDELY = settings(max_examples=150, deadline=PATIENCE, suppress_health_check=[HealthCheck.too_slow])
SOME = settings(max_examples=40, deadline=PATIENCE, suppress_health_check=list(HealthCheck))


def outcome(make, error):
    """What comes out, or what an error of ours says."""
    try:
        return make(), ""
    except error as raised:
        return None, str(raised)


@st.composite
def damaged(draw):
    """A sound file in which bytes are changed, left out, put in or doubled."""
    content = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(0, 12))
        what = draw(st.sampled_from(["change", "leave out", "put in", "end", "double"]))
        if what == "change":
            content[at : at + length] = draw(st.binary(min_size=length, max_size=length))
        elif what == "leave out":
            del content[at : at + length]
        elif what == "put in":
            content[at:at] = draw(st.binary(max_size=length))
        elif what == "end":
            del content[at:]
        else:
            content[at:at] = content[at : at + length]
    return bytes(content)


@WIDELY
@given(st.one_of(st.binary(max_size=400), damaged()))
def test_any_bytes_are_an_image_or_an_error_of_ours(content):
    found, told = outcome(lambda: header.read(content, name="given", max_pixels=10**6), ImageError)
    assert told.startswith("given: ") if found is None else found.form in {*images.FORMATS, "MPO"}
    read, told = outcome(lambda: images.read(content, name="given", max_pixels=10**6, heard=[].append), ImageError)
    if read is None:
        assert told.startswith("given: ")
    else:
        assert read.mode in images.MODES.values()
        assert 0 < read.width * read.height <= 10**6
        assert not read.info


def written(text):
    """The layer of a file that holds `text`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(path)


def keys(model):
    for name, field in model.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation)


NAMES = st.one_of(st.sampled_from(sorted(set(keys(RunConfig)))), st.text(max_size=5))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TREES = st.recursive(SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=4))


def settled(layer):
    """Whatever is given, it becomes a configuration or an error of ours."""
    config, told = outcome(lambda: resolve(RunConfig, [Layer("plugin", {"plugin": "x"}), layer]), ConfigError)
    assert told if config is None else isinstance(config, RunConfig)


@WIDELY
@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_any_tree_is_a_configuration_or_an_error_of_ours(tree):
    settled(Layer("here", tree))


def laughs(first, again):
    """A short file in which each line has the one before it several times: as large as it would be written out."""
    return "\n".join([f"k0: &k0 {first}", *(f"k{n}: &k{n} {again.replace('?', f'*k{n - 1}')}" for n in range(1, 16))])


@WIDELY
@given(st.one_of(st.text(), st.binary(), st.text(alphabet="{}[]&*!:-'\"#|> \na1.")))
@example("seed: " + "9" * 5_000)
@example("seed: 2020-99-99")
@example("{" + ",".join(f"a{n}" for n in range(30_000)) + "}")
@example("[" * 600)
@example("data: &a {data: *a}")
@example("data: &a [*a]")
@example("trainer: {betas: &a [*a]}")
@example(laughs("[x]", "[?, ?, ?, ?]"))
@example(laughs("{x: 1}", "{p: ?, q: ?, r: ?, s: ?}"))
@example(laughs("{x: 1}", "[?, ?, ?, ?]"))
@example(laughs("{x: 1}", "{<<: [?, ?, ?, ?]}"))
@example("!!python/object/apply:os.system ['true']")
@example("seed: !!python/name:os.system")
def test_any_text_is_a_configuration_or_an_error_of_ours(text):
    layer, told = outcome(lambda: written(text), ConfigError)
    if layer is None:
        assert told
    else:
        settled(layer)


def test_a_long_list_is_read_back():
    classes = [f"c{n}" for n in range(10_500)]
    assert written("data: {classes: [" + ", ".join(classes) + "]}").tree == {"data": {"classes": classes}}


@WIDELY
@given(st.text())
@example("seed=2020-99-99")
@example("seed=" + "9" * 5_000)
@example("seed=" + "[" * 600)
def test_any_assignment_is_a_configuration_or_an_error_of_ours(text):
    layer, told = outcome(lambda: parse_assignment(text), ConfigError)
    if layer is None:
        assert told
    else:
        settled(layer)


def values(annotation, metadata):
    """Values of a field's type within its bounds."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return values(inner[0], [*inner[1:], *metadata])
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values(each, metadata) for each in inner])
    if origin is tuple and inner[-1] is ...:
        return st.lists(values(inner[0], []), min_size=1, max_size=4, unique=True)
    if origin is tuple:
        return st.tuples(*(values(each, []) for each in inner)).map(list)
    if annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return trees(annotation)
    if annotation is str:
        length = next((each.min_length for each in flat(metadata) if isinstance(each, MinLen)), 0)
        return st.text(min_size=length, max_size=12)
    return numbers(annotation, flat(metadata))


def flat(metadata):
    for each in metadata:
        yield from each.metadata if hasattr(each, "metadata") else [each]


def numbers(annotation, bounds):
    low, high, less, more = None, None, False, False
    for each in bounds:
        match each:
            case Ge(ge=low):
                pass
            case Gt(gt=low):
                more = True
            case Le(le=high):
                pass
            case Lt(lt=high):
                less = True
    if annotation is int:
        return st.integers(
            min_value=None if low is None else low + more, max_value=10**6 if high is None else high - less
        )
    return st.floats(low, high, exclude_min=more, exclude_max=less, allow_nan=False, allow_infinity=False)


def trees(model, leave=()):
    """Trees of some of a section's keys."""
    fields = {name: field for name, field in model.model_fields.items() if name not in leave}
    return st.fixed_dictionaries(
        {}, optional={name: values(field.annotation, list(field.metadata)) for name, field in fields.items()}
    )


@pytest.mark.parametrize("name", PLUGINS)
@SOME
@given(st.data())
def test_what_is_printed_is_read_back_as_it_was(name, data):
    model = plugins.load(name).config
    tree = data.draw(trees(model, leave=("plugin", "device")))
    try:
        config = resolve(model, [Layer("plugin", {"plugin": name}), Layer("drawn", tree)])
    except ConfigError:  # keys that do not go with each other
        assume(False)
    assert resolve(model, [written(dump(config))]) == config
