import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from i2i.config import Layer, RunConfig, dump, parse_assignment, read_yaml, resolve
from i2i.errors import ConfigError
from i2i_pix2pix import plugin
from i2i_pix2pix.config import Pix2PixConfig


def message(*layers):
    with pytest.raises(ConfigError) as caught:
        resolve(Pix2PixConfig, layers)
    return str(caught.value)


def test_later_layers_win_key_by_key():
    config = resolve(
        Pix2PixConfig,
        [Layer("a", {"trainer": {"steps": 10, "batch": 4}}), Layer("b", {"trainer": {"steps": 20}})],
    )
    assert (config.trainer.steps, config.trainer.batch, config.trainer.k) == (20, 4, 1)


def test_all_mistakes_are_reported_at_once_each_with_its_place():
    text = message(
        Layer("x.yaml", {"trainer": {"stepz": 3, "batch": "many"}, "objective": {"name": "lsgna"}}),
        Layer("--set", {"seed": -1}),
    )
    lines = text.splitlines()
    assert "x.yaml: trainer.stepz: unknown key, did you mean 'steps'?" in lines
    assert any(line.startswith("x.yaml: trainer.batch:") and "'many'" in line for line in lines)
    assert any(line.startswith("x.yaml: objective.name:") and "did you mean 'lsgan'?" in line for line in lines)
    assert any(line.startswith("--set: seed:") for line in lines)


def test_a_key_in_the_wrong_section_is_sent_to_the_right_one():
    assert "x: steps: unknown key, did you mean 'trainer.steps'?" in message(Layer("x", {"steps": 3}))


@pytest.mark.parametrize(
    "tree",
    [
        {"trainer": {"steps": 0}},
        {"trainer": {"lr": 0}},
        {"trainer": {"lr": float("nan")}},
        {"trainer": {"betas": [0.5]}},
        {"trainer": {"betas": [0.5, 1.0]}},
        {"data": {"input_channels": 5}},
        {"data": {"size": 64, "load_size": 32}},
        {"data": []},
        {"device": "gpu"},
        {"objective": {"r1": {"weight": -1}}},
    ],
)
def test_values_out_of_range_are_refused_with_their_place(tree):
    assert message(Layer("x.yaml", tree)).startswith("x.yaml")


@pytest.mark.parametrize(("size", "suggested"), [(100, "96"), (9, "32"), (250, "256")])
def test_a_size_that_cannot_be_halved_is_answered_by_one_that_can(size, suggested):
    assert f"such as {suggested}" in message(Layer("x", {"data": {"size": size}}))


@pytest.mark.parametrize(("size", "depth"), [(256, 8), (128, 7), (64, 6), (512, 8), (96, 5)])
def test_the_unet_is_as_deep_as_the_size_allows(size, depth):
    assert resolve(Pix2PixConfig, [Layer("x", {"data": {"size": size}})]).depth == depth


@pytest.mark.parametrize("preset", [{}, *plugin.presets.values()])
def test_what_is_dumped_reads_back_the_same(tmp_path, preset):
    config = resolve(Pix2PixConfig, [Layer("preset", preset)])
    path = tmp_path / "config.yaml"
    path.write_text(dump(config))
    assert resolve(Pix2PixConfig, [read_yaml(path)]) == config


@given(st.text(min_size=1), st.integers(0, 2**62), st.floats(1e-9, 1))
def test_any_value_survives_the_dump(source, seed, rate):
    config = resolve(RunConfig, [Layer("x", {"plugin": "p", "seed": seed, "data": {"source": source}})])
    config = config.model_copy(update={"trainer": config.trainer.model_copy(update={"lr": rate})})
    assert resolve(RunConfig, [Layer("y", yaml.safe_load(dump(config)))]) == config


def test_every_key_says_what_it_means():
    for line in dump(Pix2PixConfig()).splitlines():
        assert "  # " in line, line


def test_assignments_are_yaml():
    assert parse_assignment("a.b=[1, 2]").tree == {"a": {"b": [1, 2]}}
    assert parse_assignment("data.source=C=D").tree == {"data": {"source": "C=D"}}
    assert resolve(Pix2PixConfig, [parse_assignment("trainer.lr=2e-4")]).trainer.lr == 2e-4
    for wrong in ("steps", "=3", "a..b=3"):
        with pytest.raises(ConfigError, match="not of the form key=value"):
            parse_assignment(wrong)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: [", "not valid YAML"),
        ("- 1\n- 2\n", "not a mapping"),
        ("seed: 1\nseed: 2\n", "stands there twice"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, content, reason):
    path = tmp_path / "x.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml: cannot be read"):
        read_yaml(tmp_path / "nothing.yaml")


def test_an_empty_file_changes_nothing(tmp_path):
    (tmp_path / "x.yaml").write_text("# nothing yet\n")
    assert resolve(Pix2PixConfig, [read_yaml(tmp_path / "x.yaml")]) == Pix2PixConfig()


def test_what_suits_the_example_holds_for_the_example_alone(tmp_path):
    from i2i import api, plugin

    dcgan = plugin.load("dcgan")
    on_cpu = Layer("test", {"device": "cpu"})
    assert api.configure(dcgan, [on_cpu]).data.target_channels == 1
    assert api.configure(dcgan, [on_cpu, Layer("test", {"data": {"source": "digits"}})]).data.target_channels == 1
    other = api.configure(dcgan, [on_cpu, Layer("test", {"data": {"source": str(tmp_path)}})]).data
    assert (other.target_channels, other.flip, other.size) == (3, True, 32)
