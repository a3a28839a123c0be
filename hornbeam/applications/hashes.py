"""Checksums of the published weights: MD5 or SHA-256, with the classifier and without it.

No checksum is published for MobileNet and MobileNet v2.
"""

from __future__ import annotations

__all__ = ["HASHES"]

HASHES: dict[str, tuple[str | None, str | None]] = {
    "ConvNeXtBase": (
        "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        None,
    ),
    "ConvNeXtLarge": (
        "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
        None,
    ),
    "ConvNeXtSmall": (
        "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        None,
    ),
    "ConvNeXtTiny": (
        "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    "ConvNeXtXLarge": (
        "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
        None,
    ),
    "DenseNet121": (
        "9d60b8095a5708f2dcce2bca79d332c7",
        "30ee3e1110167f948a6b9946edeeb738",
    ),
    "DenseNet169": (
        "d699b8f76981ab1b30698df4c175e90b",
        "b8c4d4c20dd625c148057b9ff1c1176b",
    ),
    "DenseNet201": (
        "1ceb130c1ea1b78c3bf6114dbdfd8807",
        "c13680b51ded0fb44dff2d8f86ac8bb1",
    ),
    "EfficientNetB0": (
        "902e53a9f72be733fc0bcb005b3ebbac",
        "50bc09e76180e00e4465e1a485ddc09d",
    ),
    "EfficientNetB1": (
        "1d254153d4ab51201f1646940f018540",
        None,
    ),
    "EfficientNetB2": (
        "b15cce36ff4dcbd00b6dd88e7857a6ad",
        None,
    ),
    "EfficientNetB3": (
        "ffd1fdc53d0ce67064dc6a9c7960ede0",
        None,
    ),
    "EfficientNetB4": (
        "18c95ad55216b8f92d7e70b3a046e2fc",
        None,
    ),
    "EfficientNetB5": (
        "ace28f2a6363774853a83a0b21b9421a",
        None,
    ),
    "EfficientNetB6": (
        "165f6e37dce68623721b423839de8be5",
        None,
    ),
    "EfficientNetB7": (
        "8c03f828fec3ef71311cd463b6759d99",
        None,
    ),
    "EfficientNetV2B0": (
        "21ecbf6da12460d5c40bb2f29ceb2188",
        "893217f2bb855e2983157299931e43ff",
    ),
    "EfficientNetV2B1": (
        "069f0534ff22adf035c89e2d9547a9dc",
        None,
    ),
    "EfficientNetV2B2": (
        "424e49f28180edbde1e94797771950a7",
        None,
    ),
    "EfficientNetV2B3": (
        "1f1fc43bd98a6e4fd8fdfd551e02c7a0",
        None,
    ),
    "EfficientNetV2L": (
        "27e6d408b53c7ebc868fefa357689935",
        None,
    ),
    "EfficientNetV2M": (
        "a3bf6aa3276309f4fc6a34aa114c95cd",
        None,
    ),
    "EfficientNetV2S": (
        "e1d88a8495beba45748fedd0cecbe016",
        "af0682fb74e8c54910f2d4393339c070",
    ),
    "InceptionResNetV2": (
        "e693bd0210a403b3192acc6073ad2e96",
        "d19885ff4a710c122648d3b5c3b684e4",
    ),
    "InceptionV3": (
        "9a0d58056eeedaa3f26cb7ebd46da564",
        "bcbd6486424b2319ff4ef7d526e38f63",
    ),
    "NASNetLarge": (
        "11577c9a518f0070763c2b964a382f17",
        None,
    ),
    "NASNetMobile": (
        "020fb642bf7360b370c678b08e0adf61",
        "1ed92395b5b598bdda52abe5c0dbfd63",
    ),
    "ResNet101": (
        "f1aeb4b969a6efcfb50fad2f0c20cfc5",
        "88cf7a10940856eca736dc7b7e228a21",
    ),
    "ResNet101V2": (
        "6343647c601c52e1368623803854d971",
        "c0ed64b8031c3730f411d2eb4eea35b5",
    ),
    "ResNet152": (
        "100835be76be38e30d865e96f2aaae62",
        "ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
    "ResNet152V2": (
        "a49b44d1979771252814e80f8ec446f9",
        "ed17cf2e0169df9d443503ef94b23b33",
    ),
    "ResNet50": (
        "2cb95161c43110f7111970584f804107",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
    "ResNet50V2": (
        "3ef43a0b657b3be2300d5770ece849e0",
        "fac2f116257151a9d068a22e544a4917",
    ),
    "VGG16": (
        "64373286793e3c8b2b4e3219cbf3544b",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "VGG19": (
        "cbe5617147190e668d6c5d5026f83318",
        "253f8cb515780f3b799900260a226db6",
    ),
    "Xception": (
        "0a58e3b7378bc2990ea3b43d5981f1f6",
        "b0042744bf5b25fce3cb969f33bebb97",
    ),
    "large_224_1.0_float": (
        "59e551e166be033d707958cf9e29a6a7",
        "07fb09a5933dd0c8eaafa16978110389",
    ),
    "small_224_1.0_float": (
        "8768d4c2e7dee89b9d02b2d03d65d862",
        "d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
}
