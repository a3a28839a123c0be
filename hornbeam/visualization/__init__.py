"""Pictures of data and of what models see in them: the names of `keras.visualization`, and more."""

from hornbeam.visualization.attribution import (
    draw_heatmaps,
    feature_maps,
    grad_cam,
    integrated_gradients,
)
from hornbeam.visualization.boxes import draw_bounding_boxes, plot_bounding_box_gallery
from hornbeam.visualization.gallery import plot_image_gallery
from hornbeam.visualization.masks import draw_segmentation_masks, plot_segmentation_mask_gallery

__all__ = [
    "draw_bounding_boxes",
    "draw_heatmaps",
    "draw_segmentation_masks",
    "feature_maps",
    "grad_cam",
    "integrated_gradients",
    "plot_bounding_box_gallery",
    "plot_image_gallery",
    "plot_segmentation_mask_gallery",
]
