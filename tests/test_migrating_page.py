"""What docs/migrating.md says of the flags of other projects: none is left out, and every setting exists here."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from i2i import api, config
from i2i import plugin as plugins
from i2i.errors import ConfigError

PAGE = (Path(__file__).parents[1] / "docs" / "migrating.md").read_text(encoding="utf-8")
# Of which plugins a setting is, where the page names none.
SECTIONS = {
    "pytorch-CycleGAN-and-pix2pix": ["pix2pix", "cyclegan", "cut"],
    "contrastive-unpaired-translation": ["cut"],
    "BasicSR": ["srgan"],
    "joliGEN": ["cyclegan", "cut"],
}
FLAGS = re.findall(
    r"\w+",
    """
    dataroot name model direction dataset_mode netG netD n_layers_D norm no_dropout input_nc output_nc ngf ndf
    preprocess load_size crop_size batch_size num_threads no_flip max_dataset_size n_epochs n_epochs_decay lr beta1
    gan_mode pool_size lr_policy lambda_L1 lambda_A lambda_B lambda_identity continue_train epoch epoch_count load_iter
    save_epoch_freq save_latest_freq eval num_test results_dir checkpoints_dir phase model_suffix use_wandb gpu_ids
    niter niter_decay loadSize fineSize batchSize nThreads which_model_netG which_model_netD which_direction
    which_epoch resize_or_crop no_lsgan
    """,
)


def section(title):
    """The text below a heading of the second level."""
    return re.split(r"^## ", PAGE.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.M)[0]


def settings():
    """Every span of options with a `--set` in a table: its words, and the plugins that it is for."""
    for title, usual in SECTIONS.items():
        for row in re.findall(r"^\|.*\|$", section(title), re.M):
            for part in row.strip("|").split("|")[-1].split(";"):
                named = [re.split(", ", found) for found in re.findall(r"\(([a-z0-9, ]+)\)", part)]
                known = next((names for names in named if set(names) <= set(SECTIONS[next(iter(SECTIONS))])), usual)
                for span in re.findall(r"`(--[^`]*)`", part):
                    if "--set " in span:
                        yield span, known


def assigned(words):
    """What follows each `--set`."""
    return [value for option, value in pairwise(words) if option == "--set"]


SPANS = list(settings())


def test_the_page_has_settings_of_every_section():
    assert len(SPANS) > 70
    assert {name for _, names in SPANS for name in names} == {"pix2pix", "cyclegan", "cut", "srgan"}


@pytest.mark.parametrize(("span", "names"), SPANS, ids=[span for span, _ in SPANS])
def test_every_setting_exists(span, names):
    layers = [config.parse_assignment(text) for text in assigned(shlex.split(span))]
    assert layers
    for name in names:
        config.resolve(plugins.load(name).config, layers)


def test_a_setting_that_does_not_exist_would_be_found():
    with pytest.raises(ConfigError, match="lambda_l2"):
        config.resolve(plugins.load("pix2pix").config, [config.parse_assignment("game.lambda_l2=1")])


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_is_named(flag):
    assert re.search(rf"--{flag}\b", section("pytorch-CycleGAN-and-pix2pix"))


def test_whole_commands_resolve():
    commands = re.findall(r"(i2i train \w[^`\n|]*--[^`\n|]*)", PAGE)
    assert len(commands) >= 4
    for command in commands:
        _, _, name, *words = shlex.split(command)
        files = [value for option, value in pairwise(words) if option == "--config"]
        layers = [config.read_yaml(Path(__file__).parents[1] / file) for file in files]
        layers += [config.parse_assignment(text) for text in assigned(words)]
        api.configure(plugins.load(name), [*layers, config.Layer("here", {"device": "cpu"})])


def test_what_is_said_of_defaults_is_so():
    pix2pix, cyclegan, cut = (config.resolve(plugins.load(name).config, []) for name in ("pix2pix", "cyclegan", "cut"))
    assert pix2pix.depth == 8
    assert (pix2pix.game.statistics, pix2pix.data.fit, pix2pix.trainer.ema) == ("image", "stretch", 0.999)
    for resolved in (pix2pix, cyclegan, cut):
        assert resolved.game.discriminator_layers == 3
        assert (resolved.data.size, resolved.data.resized, resolved.data.flip) == (256, 286, True)
        assert (resolved.trainer.lr, resolved.trainer.betas, resolved.trainer.batch) == (2e-4, (0.5, 0.999), 1)
        assert (resolved.trainer.schedule.name, resolved.trainer.schedule.hold) == ("linear", 0.5)
    assert [resolved.trainer.pool for resolved in (pix2pix, cyclegan, cut)] == [0, 50, 0]
