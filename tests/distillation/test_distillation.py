"""Distillation against Keras: losses, training, errors and files."""

import keras
import numpy as np
import pytest
from compare import close, plain

import hornbeam as hb

pytestmark = pytest.mark.filterwarnings(
    # Keras's variables do not support an argument that NumPy 2 passes.
    "ignore:__array__ implementation:DeprecationWarning"
)
RANDOM = np.random.RandomState(0)
A, B = (RANDOM.normal(size=(4, 5)).astype("float32") for _ in "ab")
X, Y = RANDOM.normal(size=(8, 5)).astype("float32"), RANDOM.randint(0, 3, 8)

LOSSES = {
    "name": lambda k: "kl_divergence",
    "function": lambda k: k.losses.categorical_crossentropy,
    "class_name": lambda k: "KLDivergence",
    "divergence": lambda k: k.losses.KLDivergence(),
    "logits": lambda k: k.losses.CategoricalCrossentropy(from_logits=True),
    "sum": lambda k: k.losses.KLDivergence(reduction="sum"),
    "unreduced": lambda k: k.losses.MeanSquaredError(reduction="none"),
    "two": lambda k: ["mse", k.losses.KLDivergence()],
    "one_of_two": lambda k: [None, "mae"],
    "dict": lambda k: {"u": "mse", "v": "cosine_similarity"},
}


def outputs_like(loss, x):
    if isinstance(loss, dict):
        return {"u": x, "v": 2 * x}
    return [x, 2 * x] if isinstance(loss, list) else x


@pytest.mark.parametrize("name", LOSSES)
def test_a_distillation_loss_has_keras_s_value(name):
    for make in (
        lambda k, loss: k.distillation.LogitsDistillation(2.0, loss),
        lambda k, loss: k.distillation.FeatureDistillation(loss),
    ):
        values = []
        for k in (hb, keras):
            loss = LOSSES[name](k)
            teacher, student = outputs_like(loss, A), outputs_like(loss, B)
            values.append(make(k, loss).compute_loss(teacher, student))
        close(*values)


def test_configs_are_keras_s_and_come_back():
    for make in (
        lambda d, k: d.LogitsDistillation(4.0, ["mse", None]),
        lambda d, k: d.FeatureDistillation(k.losses.MeanAbsoluteError(), "a", "b"),
    ):
        ours, theirs = make(hb.distillation, hb), make(keras.distillation, keras)
        assert plain(ours.get_config()) == plain(theirs.get_config())
        assert type(ours).from_config(theirs.get_config()).get_config() == ours.get_config()


def network(k, seed, outputs=3, inputs=5, norm=False):
    def glorot(i):
        return k.initializers.GlorotUniform(seed=seed + i)

    x = k.Input((inputs,))
    h = k.layers.Dense(6, "tanh", kernel_initializer=glorot(0), name="hidden")(x)
    h = k.layers.BatchNormalization(name="norm")(h) if norm else h
    top = {"kernel_initializer": glorot(1), "kernel_regularizer": "l2" if norm else None}
    y = k.layers.Dense(outputs, name="top", **top)(h)
    return k.Model(x, y, name=f"network_{seed}")


def distiller(k, **arguments):
    d = k.distillation
    teacher, student = network(k, 1), network(k, 5)
    # Seeds give other numbers in Keras.
    for model, seed in ((teacher, 1), (student, 2)):
        numbers = np.random.RandomState(seed)
        model.set_weights([numbers.normal(size=w.shape) for w in model.get_weights()])
    losses = [d.LogitsDistillation(2.0), d.FeatureDistillation("mae", "hidden", "hidden")]
    model = d.Distiller(teacher, student, losses, [0.5, 2.0], **arguments)
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(k.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


@pytest.mark.parametrize("share", [0.25, 0, 1])
def test_training_gives_keras_s_numbers(share):
    results = []
    for k in (hb, keras):
        model = distiller(k, student_loss_weight=share)
        kept = model.teacher.get_weights()
        arguments = {"batch_size": 4, "verbose": 0}
        history = model.fit(X, Y, epochs=2, shuffle=False, **arguments).history
        evaluated = model.evaluate(X, Y, return_dict=True, **arguments)
        assert not model.teacher.trainable
        assert len(model.trainable_variables) == 4
        for a, b in zip(kept, model.teacher.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        weights = model.student.get_weights()
        results.append((dict(sorted(history.items())), evaluated, weights, model.predict(X)))
    assert results[0][0].keys() == results[1][0].keys()
    close(*results)


def test_files_are_read_both_ways(tmp_path):
    models = {}
    for name, k in (("ours", hb), ("theirs", keras)):
        models[name] = distiller(k)
        models[name].fit(X, Y, batch_size=8, verbose=0)
        models[name].save(tmp_path / f"{name}.keras")
    again = hb.saving.load_model(tmp_path / "ours.keras")
    assert again.evaluate(X, Y, verbose=0) == models["ours"].evaluate(X, Y, verbose=0)
    with pytest.warns(UserWarning, match="the file has no loss"):
        ours = hb.saving.load_model(tmp_path / "theirs.keras")
    close(ours.get_weights(), models["theirs"].get_weights())
    close(ours.distillation_loss_weights, [0.5, 2.0])
    with pytest.warns(UserWarning, match="custom"):  # Keras cannot compile its own files either
        theirs = keras.saving.load_model(tmp_path / "ours.keras")
    close(theirs.get_weights(), models["ours"].get_weights())
    close(theirs.predict(X, verbose=0), models["ours"].predict(X, verbose=0))


def test_the_student_runs_once_per_step_and_keeps_its_regularization():
    student = network(hb, 2, norm=True)
    loss = hb.distillation.FeatureDistillation("mse", "top", "top")
    extra = hb.distillation.FeatureDistillation("mse", "hidden", "norm")
    model = hb.distillation.Distiller(network(hb, 1), student, [loss, extra], student_loss_weight=0)
    model.compile(hb.optimizers.SGD(0.0), "mse")
    hidden = hb.Model(student.input, student.get_layer("hidden").output)(X)
    history = model.fit(X, verbose=0, batch_size=8).history  # needs no targets
    mean = student.get_layer("norm").moving_mean
    np.testing.assert_allclose(mean, 0.01 * np.mean(hidden, 0), rtol=1e-4, atol=1e-7)
    penalty = 0.01 * np.sum(np.square(student.get_layer("top").kernel))
    close(history["loss"][0], history["distillation_loss"][0] + penalty)


class Own(hb.Model):
    def __init__(self):
        super().__init__()
        self.dense = hb.layers.Dense(3)

    def call(self, x):
        return self.dense(x)


REFUSED = {
    "is to be above 0": (r"`temperature` must be a number above 0", lambda d, t, s: (
        d.LogitsDistillation(temperature=0))),
    "no loss": ("at least one loss", lambda d, t, s: d.LogitsDistillation(loss=[None])),
    "a number": ("names, functions or Losses", lambda d, t, s: d.FeatureDistillation(3)),
    "share": ("from 0 to 1", lambda d, t, s: (
        d.Distiller(t, s, d.LogitsDistillation(), student_loss_weight=2))),
    "weights": ("one number per distillation loss", lambda d, t, s: (
        d.Distiller(t, s, d.LogitsDistillation(), [1.0, 2.0]))),
    "no distillation loss": ("DistillationLoss", lambda d, t, s: d.Distiller(t, s, "mse")),
    "teacher": ("`teacher` must be a Model", lambda d, t, s: (
        d.Distiller(None, s, d.LogitsDistillation()))),
    "outputs": ("the outputs of both models must have equal shapes", lambda d, t, s: (
        d.Distiller(t, network(hb, 1, outputs=4), d.LogitsDistillation()))),
    "inputs": ("the inputs of both models must have equal shapes", lambda d, t, s: (
        d.Distiller(t, network(hb, 1, inputs=4), d.LogitsDistillation()))),
    "layer": ("Known: 'hidden'", lambda d, t, s: (
        d.Distiller(t, s, d.FeatureDistillation("mse", "nope", "hidden")))),
    "subclass": ("functional or sequential", lambda d, t, s: (
        d.Distiller(Own(), Own(), d.FeatureDistillation("mse", "dense", "dense")))),
    "compile": ("student_loss_weight=0", lambda d, t, s: (
        d.Distiller(t, s, d.LogitsDistillation()).compile())),
    "widths": ("Choose layers with equal output shapes", lambda d, t, s: (
        d.FeatureDistillation().compute_loss(A, B[:, :3]))),
    "structure": ("must have `loss`'s nested structure", lambda d, t, s: (
        d.LogitsDistillation().compute_loss([A, A], [B, B]))),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_arguments_are_refused(name):
    words, call = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        call(hb.distillation, network(hb, 1), network(hb, 2))


def test_subclasses_and_own_losses_train():
    class Own1(hb.distillation.DistillationLoss):
        def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
            return hb.ops.mean(hb.ops.abs(teacher_outputs - student_outputs))

    model = hb.distillation.Distiller(Own(), Own(), Own1(), 3.0, student_loss_weight=0.0)
    model.compile("sgd", "mse")
    history = model.fit(X, verbose=0, batch_size=8).history
    assert history["loss"] == history["distillation_loss"]
    assert history["loss"][0] > 0
