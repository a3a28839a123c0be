"""Training and evaluation on single batches, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hornbeam import tree
from hornbeam.data.arrays import as_arrays
from hornbeam.data.sources import ArraySource, Source
from hornbeam.training.checks import check_before_training
from hornbeam.training.evaluate import without_names
from hornbeam.training.host import arrays_on_host
from hornbeam.training.interrupts import Interrupts
from hornbeam.training.logs import Logs
from hornbeam.training.requests import check_flag
from hornbeam.training.step import steps_for
from hornbeam.training.weighting import class_weighted
from hornbeam.typing import ClassWeights, Structure

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["on_batch"]


def on_batch(
    model: Trainable,
    kind: str,
    x: Structure,
    y: Structure,
    sample_weight: Structure,
    class_weight: ClassWeights,
    return_dict: bool,
    reset_metrics: bool = True,
) -> Any:
    """Run one batch through a step of training or evaluation; see `Model.train_on_batch`."""
    model.require_compiled(f"{kind}_on_batch")
    check_flag(f"{kind}_on_batch", "return_dict", return_dict)
    check_flag(f"{kind}_on_batch", "reset_metrics", reset_metrics)
    x = as_arrays(arrays_on_host(model, x), "x")
    rows = next((len(a) for a in tree.flatten(x) if a is not None), 0)
    source: Source = ArraySource(x, y, sample_weight, batch_size=max(rows, 1))
    check_before_training(model, source)
    if class_weight is not None:
        source = class_weighted(source, class_weight, model)
    batch = next(source.epoch(0, 0))
    if reset_metrics:  # the results are of this batch alone
        model.reset_metrics()
    with Interrupts() as interrupts, interrupts.held():
        results = dict(Logs(steps_for(model, kind).once(batch)))
    return results if return_dict else without_names(results)
