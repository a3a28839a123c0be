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
    "MobileNet(alpha=0.5, depth_multiplier=2, dropout=0.2, input_shape=(64, 64, 1), classes=7)": (
        1_649_975,
        "85d554f074a48996",
    ),
    "MobileNetV2(alpha=1.4, input_shape=(65, 97, 3), include_top=False, pooling='max')": (
        4_363_712,
        "4ded5e2a40048247",
    ),
    "MobileNetV3Small(minimalistic=True)": (2_056_848, "c71ad77fc91aac8b"),
    "MobileNetV3Large(minimalistic=True)": (3_948_688, "067753490013afd2"),
    "MobileNetV3Small(alpha=0.75)": (2_051_552, "6da3e50a82b39a0b"),
    "MobileNetV3Large(alpha=0.75)": (4_012_616, "8f5dca399cb9e7e2"),
    (
        "MobileNetV3Small(alpha=1.25, dropout_rate=0.0, include_preprocessing=False,"
        " input_shape=(33, 40, 3))"
    ): (3_660_640, "0002c436c49c3234"),
    "MobileNetV3Small(include_top=False, pooling='max')": (939_120, "87aa4c2d59e41bfb"),
    "VGG16(include_top=False, pooling='max', input_shape=(32, 48, 1))": (
        14_713_536,
        "e441f2f5d9b9d10f",
    ),
    "ResNet50(include_top=False, pooling='max')": (23_587_712, "76fa0a827439bb11"),
    "ConvNeXtTiny(include_top=False, include_preprocessing=False)": (
        27_820_128,
        "559a0d0f6181ca93",
    ),
    "EfficientNetV2B0(include_preprocessing=False, classes=3, classifier_activation=None)": (
        5_923_155,
        "18fea59d5b3a67ac",
    ),
    "NASNetMobile(input_shape=(64, 33, 3), classes=3)": (4_272_887, "cc145131754373b3"),
    "RegNetX002()": (2_705_640, "3deee54f6db0dbf3"),
    "RegNetX004()": (5_194_184, "391ce25b5d233972"),
    "RegNetX006()": (6_229_320, "35eba4a0e619ce95"),
    "RegNetX008()": (7_296_968, "802953cecc94677a"),
    "RegNetX016()": (9_233_640, "324e0c1ca21b3ea6"),
    "RegNetX032()": (15_359_112, "677f4daf989287de"),
    "RegNetX040()": (22_194_312, "4dd53d1ef863a628"),
    "RegNetX064()": (26_283_464, "74f7f6d74e3f2a37"),
    "RegNetX080()": (39_663_112, "a4565a79e26721c7"),
    "RegNetX120()": (46_202_440, "3fedfe63ebe81ba7"),
    "RegNetX160()": (54_389_704, "cd7c2625540d0647"),
    "RegNetX320()": (107_973_576, "c4299c58eb4e5304"),
    "RegNetY002()": (3_183_844, "98ac9b94ba4ff33f"),
    "RegNetY004()": (4_371_296, "5c8bc017aee08d06"),
    "RegNetY006()": (6_084_920, "cf50d4186bd799a5"),
    "RegNetY008()": (6_293_056, "1775a79fad25cb71"),
    "RegNetY016()": (11_255_102, "efe1c07ef04584ec"),
    "RegNetY032()": (19_502_498, "7dedb44f014bac93"),
    "RegNetY040()": (20_708_928, "afb23e7030b6beb3"),
    "RegNetY064()": (30_665_684, "18265bd16d394199"),
    "RegNetY080()": (39_265_812, "37e390be5a1608ab"),
    "RegNetY120()": (51_918_928, "154958d8cc7061ad"),
    "RegNetY160()": (83_712_956, "c3c002007a1ac152"),
    "RegNetY320()": (145_205_058, "7fdd4b334d7dabef"),
    "ResNetRS50()": (35_745_288, "8d057dc87d2d5683"),
    "ResNetRS101()": (63_724_296, "335d7416c37fd895"),
    "ResNetRS152()": (86_773_256, "96f546dcc08a0e15"),
    "ResNetRS200()": (93_386_248, "000a01924b5b83ce"),
    "ResNetRS270()": (130_104_520, "facaa630f95699c8"),
    "ResNetRS350()": (164_268_360, "bb55284f1aa011c1"),
    "ResNetRS420()": (192_262_216, "bf6351e933bb6570"),
}

# The rows of the default tests: one network of each family at least.
QUICK = {
    "ConvNeXtTiny()", "InceptionV3()", "MobileNetV2()", "MobileNetV3Small()",
    "MobileNet(alpha=0.5, depth_multiplier=2, dropout=0.2, input_shape=(64, 64, 1), classes=7)",
    "ResNet50V2(include_top=False, pooling='avg')", "VGG16()", "Xception()",
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
