"""Small networks to read, change and train: transformers, and U-Nets."""

from hornbeam.layers.layer import Layer
from hornbeam.models.zoo.gpt import GPT, DecoderBlock
from hornbeam.models.zoo.transformers import PositionEmbedding, bert, vit
from hornbeam.models.zoo.unets import Diffusion, diffusion_unet, unet
from hornbeam.objects.family import Family

__all__ = [
    "GPT", "DecoderBlock", "Diffusion", "PositionEmbedding", "bert", "diffusion_unet", "unet",
    "vit",
]  # fmt: skip

_CLASSES = {
    "GPT": GPT, "DecoderBlock": DecoderBlock, "Diffusion": Diffusion,
    "PositionEmbedding": PositionEmbedding,
}  # fmt: skip

ZOO = Family(
    "network of the zoo", Layer, "hornbeam.models.zoo", {"__all__": list(_CLASSES), **_CLASSES},
    takes_functions=False,
)  # fmt: skip
