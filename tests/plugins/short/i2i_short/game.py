"""pix2pix as a stranger would write it: the game."""

from torch import nn
from torch.nn import functional as F

from i2i.games.game import Export, Game, Match
from i2i_short.networks import discriminator, generator


class Short(Game):
    def __init__(self, config):
        super().__init__()
        self.channels = config.data.input_channels, config.data.target_channels
        self.generators = nn.ModuleDict({"G": generator(config)})
        self.discriminators = nn.ModuleDict({"D": discriminator(config)})
        self.lambda_l1 = config.game.lambda_l1

    def generate(self, batch):
        return {"fake": self.generators["G"](batch["input"])}

    def matches(self, batch, outputs):
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"], condition=batch["input"])

    def terms(self, batch, outputs):
        return {"l1": self.lambda_l1 * F.l1_loss(outputs["fake"], batch["target"])}

    def previews(self, batch):
        return {"input": batch["input"], "output": self.generate(batch)["fake"], "target": batch["target"]}

    def exports(self):
        return {"G": Export(self.generators["G"], *self.channels, multiple=self.generators["G"].multiple)}
