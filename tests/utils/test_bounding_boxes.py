"""Bounding boxes, against Keras in the formats that it knows, and by conversion in the others."""

import keras
import numpy as np
import pytest
from compare import close, mostly_slow

import hornbeam as hb
from hornbeam.layers.preprocessing.image.boxes import BOX_FORMATS

ours, theirs = hb.utils.bounding_boxes, keras.utils.bounding_boxes
# Boxes that leave an image of 6 rows and 9 columns, and one outside of it.
BOXES = np.float32([[[-2, -1, 4, 5], [0, 0, 19, 16]], [[12, 12, 13, 16], [5, 1, 7, 2]]])
OTHERS = np.float32(
    [[[1, 1, 3, 5], [0, 2, 9, 6], [4, 4, 4, 4]], [[2, 2, 3, 6], [5, 1, 7, 2], [-1, -1, -1, -1]]]
)
LABELS = np.int32([[1, 2], [3, 4]])
SIZE = {"height": 6, "width": 9}
SHAPE = (6, 9, 3)
FORMATS = mostly_slow(BOX_FORMATS, ("rel_center_xywh", "yxyx"))


@pytest.mark.parametrize("source", FORMATS)
def test_formats(source):
    given = theirs.convert_format(BOXES, "xyxy", source, **SIZE)
    for target in BOX_FORMATS:
        result = ours.convert_format({"boxes": given, "labels": LABELS}, source, target, **SIZE)
        close(result["boxes"], theirs.convert_format(given, source, target, **SIZE))
        assert result["labels"] is LABELS
    for dtype in ("float16", "int32"):
        result = ours.convert_format([[1, 1, 4, 5]], "xyxy", "XYWH", dtype=dtype)
        assert result.tolist() == [[1, 1, 3, 4]]
        assert result.dtype == dtype
    assert ours.convert_format(BOXES, "rel_xywh", "rel_xyxy").shape == BOXES.shape


@pytest.mark.parametrize("box_format", FORMATS)
def test_boxes_are_clipped_and_moved_in_each_format(box_format):
    """Keras moves boxes with corners in pixels only."""
    given = theirs.convert_format(BOXES, "xyxy", box_format, **SIZE)

    def check(result, expected):
        close(result, theirs.convert_format(expected, "xyxy", box_format, **SIZE), wide=10)

    result = ours.clip_to_image_size(
        {"boxes": given, "labels": LABELS}, **SIZE, bounding_box_format=box_format
    )
    expected = theirs.clip_to_image_size({"boxes": BOXES, "labels": LABELS}, **SIZE)
    check(result["boxes"], expected["boxes"])
    assert result["labels"].tolist() == np.asarray(expected["labels"]).tolist() == [[1, 2], [-1, 4]]
    check(ours.clip_to_image_size(given, 6, 9, box_format), expected["boxes"])

    numbers = [np.float32([value, 0]) for value in (30, 0.1, 0.2, 1.5, 10, 5)]
    for center in ({}, {"center_x": 1.0, "center_y": 0.2}):
        expected = theirs.affine_transform(BOXES, *numbers, **SIZE, **center)
        names = {**SIZE, **center, "bounding_box_format": box_format}
        check(ours.affine_transform(given, *numbers, **names), expected)
    check(
        ours.affine_transform(given[0], 30, 0.1, 0.2, 1.5, 10, 5, 6, 9, None, None, box_format),
        theirs.affine_transform(BOXES, *numbers, **SIZE)[0],
    )

    moves = {"crop": (1, 2, 4, 5), "pad": (1, 2, 8, 12)}
    for name, arguments in moves.items():
        move = getattr(ours, name)
        if box_format.startswith("rel_"):
            with pytest.raises(ValueError, match=f"{name}: boxes must be in pixels"):
                move(given, *arguments, box_format)
        else:
            check(move(given, *arguments, box_format), getattr(theirs, name)(BOXES, *arguments))
    assert ours.crop(BOXES.astype("int32"), 1, 2, 4, 5).dtype == "int32"


@pytest.mark.parametrize("box_format", FORMATS)
def test_overlaps(box_format):
    first, second = (theirs.convert_format(b, "xyxy", box_format, **SIZE) for b in (BOXES, OTHERS))
    shape = {"image_shape": SHAPE}
    for one, other in ((first, second), (first[0], second), (second, first[0]), (first[0],) * 2):
        for masking in ({}, {"use_masking": True}, {"use_masking": True, "mask_val": 2}):
            if masking and one.ndim != other.ndim:
                continue  # an error in Keras
            expected = theirs.compute_iou(one, other, box_format, **masking, **shape)
            close(ours.compute_iou(one, other, box_format, **masking, **shape), expected, wide=10)
    result = ours.compute_ciou(first, second[:, :2], box_format, **shape)
    close(result, theirs.compute_ciou(BOXES, OTHERS[:, :2], "xyxy"), wide=10)


def test_padding_is_told_by_its_corners():
    boxes = np.float32([[-3, -3, 2, 2], [-1, -1, 5, 5], [-2, -2, -2, -2], [0, 0, 0, 0]])
    for box_format in ("xyxy", "xywh", "center_xywh"):
        expected = theirs.compute_iou(boxes, boxes, box_format, use_masking=True)
        close(ours.compute_iou(boxes, boxes, box_format, use_masking=True), expected)


@pytest.mark.parametrize("encoding", ["center_yxhw", "center_xywh"])
@pytest.mark.parametrize("variance", [None, [0.1, 0.1, 0.2, 0.2]], ids=["", "variance"])
def test_offsets_from_anchors(encoding, variance):
    anchors = np.float32([[1, 1, 3, 5], [0, 2, 9, 2]])  # the second has no area
    for formats in (("xyxy", "xywh"), ("yxyx", "rel_xyxy"), ("rel_xywh", "rel_yxyx")):
        arguments = (*formats, encoding, variance, SHAPE)
        deltas = ours.encode_box_to_deltas(anchors, BOXES, *arguments)
        close(deltas, theirs.encode_box_to_deltas(anchors, BOXES, *arguments), wide=10)
        result = ours.decode_deltas_to_boxes(anchors, BOXES / 10, *arguments)
        close(result, theirs.decode_deltas_to_boxes(anchors, BOXES / 10, *arguments), wide=10)
    arguments = ("xyxy", "xyxy", encoding, variance)
    deltas = ours.encode_box_to_deltas(OTHERS[:, :2], OTHERS[:, 1::-1], *arguments)
    close(ours.decode_deltas_to_boxes(OTHERS[:, :2], deltas, *arguments), OTHERS[:, 1::-1], wide=10)
    levels = {"a": anchors, "b": anchors + 1}
    result = ours.decode_deltas_to_boxes(levels, dict.fromkeys(levels, BOXES / 10), *arguments)
    close(result["b"], ours.decode_deltas_to_boxes(anchors + 1, BOXES / 10, *arguments))


def test_an_image_shape_follows_the_data_format():
    expected = ours.compute_ciou(BOXES / 9, OTHERS[:, :2] / 9, "rel_yxyx", SHAPE)
    hb.config.set_image_data_format("channels_first")
    try:
        result = ours.compute_ciou(BOXES / 9, OTHERS[:, :2] / 9, "rel_yxyx", (3, 6, 9))
    finally:
        hb.config.set_image_data_format("channels_last")
    close(result, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ours.convert_format(BOXES, "xyxy", "xy"), "`target` must be one of xyxy.*'xy'"),
        (lambda: ours.convert_format(BOXES[..., :3], "xyxy", "xywh"), "must have size 4.*2, 2, 3"),
        (
            lambda: ours.convert_format(BOXES, "xyxy", "rel_xyxy"),
            "need the image's `height` and `width`",
        ),
        (lambda: ours.clip_to_image_size(BOXES), "need the image's `height` and `width`"),
        (lambda: ours.compute_iou(BOXES[0, 0], BOXES, "xyxy"), "`boxes1` must have shape"),
        (lambda: ours.compute_iou(BOXES, BOXES, "rel_xyxy"), "need `image_shape`"),
        (
            lambda: ours.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", "xyxy"),
            "`encoding_format` must be one of center_xywh, center_yxhw",
        ),
        (
            lambda: ours.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", variance=[1, 2, 3]),
            "`variance` must be 4 numbers",
        ),
    ],
)
def test_arguments_are_named_in_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
