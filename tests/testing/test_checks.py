"""For each check there are plugins that fail it and no other; tests/testing/test_command.py has one that passes all."""

import re

import pytest
import torch

from i2i.testing import CHECKS, ConformanceError, Subject, verdicts

INIT, CONFIG, GAME = "__init__.py", "config.py", "game.py"

# What stands in the game, to be replaced.
IMPORT = "from i2i.games.game import"
CHANNELS = "self.channels = config.data.input_channels, config.data.target_channels"
G = 'nn.ModuleDict({"G": Painter(self.channels, config.game.filters)})'
D = 'nn.ModuleDict({"D": Judge(sum(self.channels))})'
PAINTED = "torch.tanh(self.up(self.drop(self.down(image))))"
JUDGED = "self.net(torch.cat([condition, image], 1))"
MATCH = 'batch["target"], outputs["fake"], condition'
L1 = 'F.l1_loss(outputs["fake"], batch["target"])'
SHOWN = '"output": self.generate(batch)["fake"]'
EXPORT = 'Export(self.generators["G"], *self.channels, multiple=2)'


def game(text, other):
    return GAME, text, other


def importing(line):
    return game(IMPORT, f"{line}\n{IMPORT}")


def begins_with(line):
    """What the constructor does first."""
    return game(CHANNELS, f"{line}\n        {CHANNELS}")


def adds(players, line):
    """What the constructor does when the networks of a player are there."""
    return game(players, f"{players}\n        {line}")


def in_terms(line):
    return game('        return {"l1"', f'        {line}\n        return {{"l1"')


def has(method, line):
    return game("    def exports", f"    {method}\n        {line}\n\n    def exports")


ONCE = """
class Once(torch.autograd.Function):
    @staticmethod
    def forward(context, value):
        return value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, gradient):
        return gradient


class Judge"""

FIT = """
def fit(image):
    return F.interpolate(image, (32, 32)) if image.shape[-1] == 16 else image


class Painter"""

# check -> what breaks a plugin so that this check fails: a name, what is said, replacements
BROKEN = {
    "manifest": [
        (
            "torch is imported",
            r"loading the manifest imports torch \(i2i_demo_\d+.game, line 2\)",
            (INIT, "import DemoConfig", "import DemoConfig\nfrom PACKAGE.game import Demo"),
        ),
        ("a summary of two lines", "summary: not one line", (INIT, '"A demonstration"', '"A\\ndemonstration"')),
    ],
    "settings": [
        (
            "an unknown key in a preset",
            r"presets\['cpu'\]: trainer.stepz: unknown key",
            (INIT, '"steps": 100', '"stepz": 100'),
        ),
        ("a preset of no device", r"presets\['gpu'\]: never used", (INIT, '{"cpu"', '{"gpu"')),
        ("an example of another kind", "the embedded set photos has no paired data", (INIT, "openmoji", "photos")),
        ("small that is refused", "game.filters: input should be", (INIT, '"filters": 4', '"filters": 0')),
        (
            "a default that YAML changes",
            "the defaults: game.of: not the same",
            (CONFIG, "    filters:", '    of: object = Field((1, 2), description="a list, when read")\n    filters:'),
        ),
    ],
    "imports": [
        (
            "a module of the trainer",
            r"i2i_demo_\d+/game.py:6: i2i.training.schedule.factor",
            importing("from i2i.training.schedule import factor"),
        ),
        ("another plugin", "i2i_pix2pix.networks", importing("import i2i_pix2pix.networks")),
        ("what is private", "i2i.nn.deploy._per_image", importing("from i2i.nn.deploy import _per_image")),
    ],
    "players": [
        (
            "a layer without a shape",
            "Demo: no shape yet: generators.F.weight, generators.F.bias",
            adds(G, 'self.generators["F"] = nn.LazyLinear(4)'),
        ),
        (
            "a parameter of nobody",
            "Demo: of neither player, so never trained: scale",
            begins_with("self.scale = nn.Parameter(torch.ones(1))"),
        ),
        (
            "a network of both",
            "of both players.*: G.down.0.weight",
            adds(D, 'self.discriminators["G"] = self.generators["G"]'),
        ),
        ("no discriminators", "no `discriminators`", game("self.discriminators = nn", "self.judges = nn")),
        ("discriminators in a list", "no discriminators", game(D, "nn.ModuleList([Judge(6)])")),
        ("an exception", "ZeroDivisionError: division by zero", begins_with("1 / 0")),
    ],
    "step": [
        (
            "a network that is never used",
            "Demo: a step leaves generators.H as it was",
            adds(G, 'self.generators["H"] = nn.Linear(2, 2)'),
        ),
        (
            "a discriminator that is never asked",
            "Demo: a step leaves discriminators.H as it was",
            adds(D, 'self.discriminators["H"] = nn.Linear(2, 2)'),
        ),
        (
            "weights that are changed by hand",
            "Demo: discriminators.D.net.0.weight changes while its player does not move",
            in_terms('self.discriminators["D"].net[0].weight.data.mul_(0.99)'),
        ),
        ("a batch that is changed", "in place: target", in_terms('batch["target"].mul_(0.99)')),
        (
            "a setting of torch that is changed",
            "changes a setting of torch",
            in_terms("torch.set_num_threads(torch.get_num_threads() + 1)"),
        ),
        (
            "a mode that is left behind",
            "generators.G is in another mode",
            in_terms('self.generators["G"].training = False'),
        ),
        (
            "a layer that is never used",
            "Demo: no gradient in 4 steps: generators.G.spare.bias, generators.G.spare.weight",
            game("self.drop = nn", "self.spare = nn.Linear(2, 2)\n        self.drop = nn"),
        ),
        (
            "a setting that is changed in building",
            "changes a setting of torch: deterministic from False to True",
            begins_with("torch.use_deterministic_algorithms(True, warn_only=True)"),
        ),
        ("an exception in terms", r"ZeroDivisionError: division by zero; the batch holds input", in_terms("1 / 0")),
    ],
    "sizes": [
        (
            "a size that is accepted and cannot be played",
            "the configuration accepts data.size 48, but: .*RuntimeError",
            (CONFIG, "% 32", "% 16"),
            game("nn.Conv2d(8, 1, 4, 2, 1))", "nn.Conv2d(8, 1, 4, 2, 1), nn.Unflatten(2, (-1, 8)))"),
        ),
        (
            "a refusal in the midst of training",
            "the configuration accepts data.size 48, but: of 48 pixels",
            (CONFIG, "% 32", "% 16"),
            importing("from i2i.errors import ConfigError"),
            in_terms('if batch["input"].shape[-1] == 48:\n            raise ConfigError("of 48 pixels", "never")'),
        ),
    ],
    "channels": [
        (
            "channels that are fixed",
            "the configuration accepts data.input_channels 1 and data.target_channels 1, but: .*RuntimeError",
            game(CHANNELS, "self.channels = 3, 3"),
        )
    ],
    "previews": [
        ("no output", "no output, which are scored", game('"output": self', '"made": self')),
        (
            "an output of another size",
            r"output \[2, 3, 16, 16\], target \[2, 3, 32, 32\]",
            game(SHOWN, f"{SHOWN}[..., ::2, ::2]"),
        ),
        (
            "the input last",
            "the input does not come first",
            game('{"input": batch["input"], "output"', '{"output"'),
            game('"target": batch["target"]}', '"target": batch["target"], "input": batch["input"]}'),
        ),
        (
            "other pictures each time",
            "other pictures of the same batch each time: output",
            game(SHOWN, f"{SHOWN} + 0.1 * torch.randn(1)"),
        ),
        ("no number", "previews: not finite: output", game(SHOWN, f"{SHOWN} * torch.nan")),
        (
            "a measure of the batch",
            r"Demo.measures: mean \[\]",
            has("def measures(self, batch):", 'return {"mean": batch["target"].mean()}'),
        ),
        (
            "a measure that is taken",
            "the name psnr is taken",
            has("def measures(self, batch):", 'return {"psnr": batch["target"].mean((1, 2, 3))}'),
        ),
    ],
    "objectives": [
        (
            "a loss that is not finite",
            "objective.name=wasserstein: step 0: the generators' loss l1 is infinite",
            begins_with('self.l1 = torch.inf if config.objective.name == "wasserstein" else 10'),
            game(f"10 * {L1}", f"self.l1 * {L1}"),
        ),
        (
            "logits that cannot be differentiated twice",
            "objective.gradient_penalty.weight=1: ",
            game(JUDGED, "self.net(Once.apply(torch.cat([condition, image], 1)))"),
            game("class Judge", ONCE),
        ),
        (
            "float32 alone",
            "trainer.precision=bfloat16: .*RuntimeError",
            game("self.drop(self.down(image))", "self.drop(self.down(image)).lerp(torch.zeros(1), 0.5)"),
        ),
    ],
    "seed": [
        (
            "other random numbers",
            "two games of one seed differ in their losses: ",
            importing("import random"),
            game(f"10 * {L1}", f"random.uniform(9, 11) * {L1}"),
        ),
        ("a seed of its own", "sets torch's seed itself when it is built", begins_with("torch.manual_seed(7)")),
        ("a seed for each step", "sets torch's seed itself in a step", in_terms("torch.manual_seed(7)")),
    ],
    "checkpoint": [
        (
            "a count that is not saved",
            "goes on from a checkpoint otherwise than without",
            begins_with("self.count = 0"),
            in_terms("self.count += 1"),
            game(f"10 * {L1}", f"self.count * {L1}"),
        )
    ],
    "batch": [
        (
            "a target that is resized",
            "trains in silence on a batch with 'target' at half its size",
            game("class Painter", FIT),
            game(MATCH, MATCH.replace('batch["target"]', 'fit(batch["target"])')),
            game(L1, L1.replace('batch["target"]', 'fit(batch["target"])')),
        ),
        (
            "an image that may be missing",
            "trains in silence on a batch without 'target'",
            game(MATCH, MATCH.replace('batch["target"]', 'batch.get("target", batch["input"])')),
            game(L1, L1.replace('batch["target"]', 'batch.get("target", batch["input"])')),
        ),
        (
            "an error that does not say whose it is",
            "what it says of a batch with one more channel in 'input' does not name it and the batch: wrong channels",
            importing("from i2i.errors import DataError"),
            game(
                '        return {"fake": self',
                '        if batch["input"].shape[1] != 3:\n            raise DataError("wrong channels", "mend it")\n'
                '        return {"fake": self',
            ),
            (CONFIG, "if self.data.size % 32:", "if self.data.size % 32 or self.data.input_channels != 3:"),
        ),
    ],
    "run": [
        ("nothing to export", "Demo.exports: nothing", game(f'{{"G": {EXPORT}}}', "{}")),
        (
            "what no batch has",
            "G takes 'drawing' of 3 channels, and a batch has input of 3, target of 3",
            game("multiple=2)", 'multiple=2, examples="drawing")'),
        ),
        (
            "weights that are not averaged",
            "the export G makes other pictures than previews shows",
            importing("import copy"),
            adds(D, 'self.first = (copy.deepcopy(self.generators["G"]).eval(),)'),
            game(EXPORT, EXPORT.replace('self.generators["G"]', "self.first[0]")),
        ),
        (
            "another graph",
            "the exported graph differs from the network",
            game(PAINTED, f"{PAINTED} * (1 if torch.compiler.is_exporting() else 0.5)"),
        ),
        ("too small a multiple", "torch could not export Painter", game("multiple=2)", "multiple=1)")),
    ],
}
CASES = [
    pytest.param(check, name, says, replacements, id=f"{check}-{name.replace(' ', '-')}")
    for check, cases in BROKEN.items()
    for name, says, *replacements in cases
]
FIRST = {cases[0][0] for cases in BROKEN.values()}


def of(name):
    """The check of that name."""
    return next(check for check in CHECKS if check.name == name)


def needed(name):
    """The name of a check, and those of all that it needs."""
    return {name}.union(*(needed(other) for other in of(name).needs))


def failures(names):
    """What those of the checks say that the installed plugin fails."""
    checks = [check for check in CHECKS if check.name in names]
    return {each.check: each for each in verdicts(Subject("demo"), checks) if each.state == "failed"}


def test_there_is_a_broken_plugin_for_each_check():
    assert BROKEN.keys() == {check.name for check in CHECKS}
    assert all(check.says and set(check.needs) <= BROKEN.keys() for check in CHECKS)


@pytest.mark.parametrize(("check", "name", "says", "replacements"), CASES)
def test_what_is_broken_fails_its_check_and_no_other(install, check, name, says, replacements):
    install(*replacements)
    # One of each check is shown to all that take no whole run; the others to what comes before.
    tried = (
        {each.name for each in CHECKS} - {"run"} | {check} if name in FIRST else needed(check) - {"manifest"} | {check}
    )
    failed = failures(tried)
    assert failed.keys() == {check}, failed
    assert re.search(says, failed[check].problem), failed[check]
    assert failed[check].hint


SOUND = {
    "a module that is looked for, not imported": (
        "manifest",
        [
            (
                INIT,
                "from i2i.plugin",
                "from importlib.util import find_spec\n\nfind_spec('torchvision')\nfrom i2i.plugin",
            )
        ],
    ),
    "many moves of the discriminators": ("objectives", [(INIT, "small={", 'small={"trainer": {"k": 5}, ')]),
    "a refusal in building": (
        "sizes",
        [
            (CONFIG, "% 32", "% 16"),
            importing("from i2i.errors import ConfigError"),
            begins_with('if config.data.size % 32:\n            raise ConfigError("32", "no other")'),
        ],
    ),
    "what a batch holds and no loss needs": (
        "batch",
        [
            game(MATCH, 'batch["input"], outputs["fake"], condition'),
            game(L1, L1.replace('batch["target"]', 'batch["input"]')),
        ],
    ),
    "what is frozen": (
        "step",
        [game("self.drop = nn", "self.spare = nn.Linear(2, 2).requires_grad_(False)\n        self.drop = nn")],
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_unusual_and_right_passes(install, name):
    check, replacements = SOUND[name]
    install(*replacements)
    of(check)(Subject("demo"))


def test_in_a_namespace_package_only_what_is_the_plugins_own_is_looked_at(install, tmp_path):
    package = install()
    space = f"{package}_space"
    for name in ("ours", "theirs"):
        (tmp_path / space / name).mkdir(parents=True)
        (tmp_path / space / name / "__init__.py").write_text("")
    (tmp_path / space / "ours" / "manifest.py").write_text(f"from {package} import plugin\n")
    (tmp_path / space / "theirs" / "it.py").write_text("import i2i.training.trainer\n")
    points = tmp_path / f"{package}-1.2.dist-info" / "entry_points.txt"
    points.write_text(f"[i2i.plugins]\ndemo = {space}.ours.manifest:plugin\n")
    of("imports")(Subject("demo"))
    (tmp_path / space / "ours" / "other.py").write_text("import i2i.training.trainer\n")
    assert f"{space}/ours/other.py:1: i2i.training.trainer" in failures({"imports"})["imports"].problem
    (tmp_path / space / "ours" / "other.py").unlink()
    (tmp_path / package / "other.py").write_text("import i2i.training.trainer\n")
    assert f"{package}/other.py:1: i2i.training.trainer" in failures({"imports"})["imports"].problem


def test_what_is_not_python_cannot_be_read(install, tmp_path):
    package = install()
    (tmp_path / package / "odd.py").write_text("def {{ name }}():\n")
    problem = failures({"imports"})["imports"].problem
    assert re.match(rf"{package}/odd\.py cannot be read: SyntaxError: ", problem), problem


def test_settings_of_torch_are_set_back(install):
    install(in_terms("torch.set_default_dtype(torch.float64); torch.use_deterministic_algorithms(True)"))
    with pytest.raises(ConformanceError, match=r"default type from torch\.float32 to torch\.float64, deterministic"):
        of("step")(Subject("demo"))
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_needs_a_failed_check_is_not_tried(install):
    install(begins_with("1 / 0"))
    said = {each.check: each for each in verdicts(Subject("demo"))}
    assert [name for name, each in said.items() if each.state == "passed"] == ["manifest", "settings", "imports"]
    assert said["players"].state == "failed"
    assert (said["checkpoint"].state, said["checkpoint"].problem) == ("not tried", "needs seed")
