"""Canonical listings of networks, and their digests as Keras gives them."""

import ast
import hashlib
import json
import re

__all__ = ["FAMILIES", "QUICK", "ROWS", "SMALLEST", "digest", "listing", "parsed"]

# Keys of configurations that say nothing about the network, or only one of the two libraries has.
IGNORED = {
    "build_config", "build_input_shape", "layers", "lora_alpha", "lora_rank", "module", "optional",
    "quantization_config", "ragged", "registered_name", "renorm", "renorm_clipping",
    "renorm_momentum", "sparse", "synchronized",
}  # fmt: skip


def listing(model):
    """Return the lines that describe a model of Hornbeam or Keras."""
    lines = []
    for layer in model.layers:
        lines.append(_layer(layer))
        inputs = layer.input if isinstance(layer.input, (list, tuple)) else [layer.input]
        parts = getattr(layer, "layers", [])  # the input of an inner model is its own
        names = [x._keras_history[0].name for x in inputs] if not parts else ""
        lines.append(f"  of {names} to {tuple(layer.output.shape)}")
        lines += [f"  {_layer(part)}" for part in parts]
    for weight in model.weights:
        # Keras numbers the weights of `LayerScale`, which have no name there.
        path = re.sub(r"_layer_scale/variable(_\d+)?$", "_layer_scale/gamma", weight.path)
        lines.append(f"{path} {tuple(weight.shape)}")
    return [*lines, f"{model.name} {len(model.trainable_weights)}"]


def digest(model):
    """Return the first digits of the SHA-256 of a model's listing."""
    return hashlib.sha256("\n".join(listing(model)).encode()).hexdigest()[:16]


def _layer(layer):
    config = json.dumps(_plain(layer.get_config()), sort_keys=True)
    return f"{type(layer).__name__} {layer.name} {config}"


def _plain(config):
    """Return a configuration without what is ignored and `None`, and with rounded numbers."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return config["config"]["name"]
        return {
            key: _plain(value)
            for key, value in config.items()
            if key not in IGNORED and value is not None
        }
    if hasattr(config, "tolist"):
        config = config.tolist()
    if isinstance(config, (list, tuple)):
        return [_plain(value) for value in config]
    return float(f"{config:.6g}") if isinstance(config, float) else config


# Networks, with arguments other than the defaults: number of parameters, and the digest of Keras's.
# The networks of Keras 2 only have digests of their own.
ROWS = {
    "VGG16()": (138_357_544, "c2eed5e5639c8b90"),
    "ResNet50()": (25_636_712, "8ba34824b29fcfa2"),
    "ResNet50V2()": (25_613_800, "9246702d382647da"),
    "MobileNet()": (4_253_864, "05672fe792807748"),
    "MobileNetV2()": (3_538_984, "bf230dcb7e69dcde"),
    "MobileNetV3Small()": (2_554_968, "013293e4e480a7db"),
    "MobileNetV3Large()": (5_507_432, "6b9997427acf94f4"),
    "EfficientNetB0()": (5_330_571, "592f448dfc754f6a"),
    "EfficientNetV2B0()": (7_200_312, "7641a1afc1b4751c"),
    "ConvNeXtTiny()": (28_589_128, "0b433086f42079e9"),
    "Xception()": (22_910_480, "62129ff868b873c0"),
    "InceptionV3()": (23_851_784, "02770b775f6e36fd"),
    "DenseNet121()": (8_062_504, "f3e1d9e841dc2ec9"),
    "NASNetMobile()": (5_326_716, "6b9b22f450f290e7"),
    "EfficientNetV2S()": (21_612_360, "2fc58beb2cdcc826"),
    "InceptionResNetV2()": (55_873_736, "b1c019976c9cffcd"),
    "VGG19()": (143_667_240, "46afb085847b06eb"),
    "ResNet101()": (44_707_176, "910081186e431fe0"),
    "ResNet152()": (60_419_944, "a32604d671466624"),
    "ResNet101V2()": (44_675_560, "e8c1632dda796797"),
    "ResNet152V2()": (60_380_648, "bf88c6f30cb139c3"),
    "DenseNet169()": (14_307_880, "b81598f634b8a67d"),
    "DenseNet201()": (20_242_984, "f5336966a2daa464"),
    "EfficientNetB1()": (7_856_239, "0eca914def3aeb15"),
    "EfficientNetB2()": (9_177_569, "c97c4af527ca92a2"),
    "EfficientNetB3()": (12_320_535, "2d4d62bd746c0957"),
    "EfficientNetB4()": (19_466_823, "ae9140cdad019e5c"),
    "EfficientNetB5()": (30_562_527, "0608578fdb2833d9"),
    "EfficientNetV2B1()": (8_212_124, "f2572305316b92f4"),
    "EfficientNetV2B2()": (10_178_374, "b32591faf14533ff"),
    "EfficientNetV2B3()": (14_467_622, "2692ac0426da3e92"),
    "ConvNeXtSmall()": (50_223_688, "54847843f267fb41"),
    "ConvNeXtBase()": (88_591_464, "80b0a38aece5893f"),
    "ConvNeXtLarge()": (197_767_336, "0fb5dba99b282b64"),
    "ConvNeXtXLarge()": (350_196_968, "1e8393f2cc9c2241"),
    "EfficientNetV2M()": (54_431_388, "39af9d1b51830a0a"),
    "EfficientNetV2L()": (119_027_848, "ff423eea42aaa315"),
    "EfficientNetB6()": (43_265_143, "9bec5310a1400e3d"),
    "EfficientNetB7()": (66_658_687, "390696b183d505e5"),
    "NASNetLarge()": (88_949_818, "55680b9717e9da42"),
    "ResNet50V2(include_top=False, pooling='avg')": (23_564_800, "1fcb45966c667cab"),
    "MobileNetV3Small(include_top=False, pooling='avg')": (939_120, "bacc272f22a08aac"),
    "ConvNeXtTiny(include_top=False, pooling='avg')": (27_820_128, "f028c73c8a58f153"),
    "NASNetMobile(include_top=False, pooling='avg')": (4_269_716, "f476693133c36198"),
    "EfficientNetV2S(include_top=False, pooling='avg')": (20_331_360, "e27a3d111da569eb"),
}

# The rows of the default tests: one network of each family at least.
QUICK = {
    "ConvNeXtTiny()", "DenseNet121()", "EfficientNetB0()", "EfficientNetV2B0()",
    "InceptionResNetV2()", "InceptionV3()", "MobileNet()", "MobileNetV2()", "MobileNetV3Small()",
    "NASNetMobile()", "ResNet50()", "ResNet50V2(include_top=False, pooling='avg')", "VGG16()",
    "Xception()",
}  # fmt: skip

# A network of each family with different layers, and the smallest images that it takes.
FAMILIES = [
    "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2",
    "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small",
    "NASNetMobile", "ResNet50", "ResNet50V2", "VGG16", "Xception",
]  # fmt: skip
SMALLEST = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}


def parsed(row):
    """Return a row's network, arguments, number of parameters and digest."""
    call = ast.parse(row, mode="eval").body
    options = {argument.arg: ast.literal_eval(argument.value) for argument in call.keywords}
    return (call.func.id, options, *ROWS[row])
