"""The networks of the zoo train, survive files, and generate."""

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.models import zoo
from hornbeam.models.zoo.generation import beam_search, draw

RANDOM = np.random.default_rng(0)


def gpt(**options):
    hb.utils.set_random_seed(0)
    return zoo.GPT(11, length=12, depth=2, width=8, heads=2, **options)


@pytest.fixture(scope="module")
def texts():
    return gpt()


def sharpened(model):
    """Return the model with logits that differ clearly."""
    model.build()
    for weight in model.weights:
        weight.assign(RANDOM.normal(0, 0.5, weight.shape))
    return model


PROMPT = np.array([[1, 2, 3], [4, 0, 5]])


def test_the_cache_changes_nothing(texts):
    model = sharpened(texts)
    greedy = model.generate(PROMPT, 6)
    np.testing.assert_array_equal(greedy, model.generate(PROMPT, 6, cached=False))
    # A call on whole texts predicts the same, and later tokens do not matter.
    logits = np.asarray(model(greedy))
    np.testing.assert_array_equal(logits[:, 2:-1].argmax(-1), greedy[:, 3:])
    steps = model.next_logits(True, 2)
    wide = np.abs(logits).max()
    for end in (3, 4, 7):
        np.testing.assert_allclose(steps(greedy[:, :end]), logits[:, end - 1], atol=1e-5 * wide)
    ended = model.generate(PROMPT, 6, end=int(greedy[0, 4]))
    assert (ended[0, 4:] == greedy[0, 4]).all()


@pytest.mark.slow
def test_the_cache_changes_no_draw_and_no_beam(texts):
    model = sharpened(texts)
    for options in (
        {"temperature": 1.0, "seed": 3},
        {"temperature": 0.8, "top_k": 3, "seed": 3},
        {"temperature": 1.5, "top_p": 0.7, "seed": 3},
        {"beams": 3},
        {"beams": 2, "end": 4},
    ):
        cached, whole = (model.generate(PROMPT, 6, cached=c, **options) for c in (True, False))
        np.testing.assert_array_equal(cached, whole, err_msg=str(options))


def test_draws_are_limited_to_likely_tokens():
    logits = np.log(np.tile([0.1, 0.5, 0.05, 0.35], (2000, 1)))
    random = np.random.default_rng(0)
    shares = np.bincount(draw(logits, None, None, random), minlength=4) / 2000
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.05, 0.35], atol=0.04)
    assert set(draw(logits, 2, None, random)) == {1, 3}
    assert set(draw(logits, None, 0.8, random)) == {1, 3}
    assert set(draw(logits, None, 0.4, random)) == {1}


class Table:
    """Logits that depend on the last token."""

    def __init__(self, chances):
        self.logits = np.log(chances)

    def __call__(self, tokens):
        return self.logits[tokens[:, -1]]

    def reorder(self, rows):
        pass


def test_beams_find_a_better_text_than_greedy_choice():
    # From 0, token 1 is most likely, but every text after 2 is more likely.
    chances = np.array([[0.0, 0.6, 0.4], [0.34, 0.33, 0.33], [0.0, 0.0, 1.0]]) + 1e-9
    prompt = np.array([[0]], "int32")
    assert beam_search(Table(chances), prompt, 2, 1, None).tolist() == [[0, 1, 0]]
    assert beam_search(Table(chances), prompt, 2, 2, None).tolist() == [[0, 2, 2]]


WRONG = {
    "`count` must be from 1 to 9": {"count": 10},
    "`top_k` and `top_p` need a `temperature`": {"top_k": 2},
    "`beams` draws no tokens": {"beams": 2, "temperature": 1.0},
    "`top_p` must be": {"temperature": 1.0, "top_p": 1.5},
    "`beams` must be": {"beams": 0},
}


@pytest.mark.parametrize("message", WRONG)
def test_arguments_of_generate(texts, message):
    with pytest.raises(ValueError, match=message):
        texts.generate(PROMPT, **{"count": 2, **WRONG[message]})


def test_sizes_must_divide():
    with pytest.raises(ValueError, match="must be a multiple of `heads`"):
        zoo.GPT(5, width=8, heads=3)
    with pytest.raises(ValueError, match="`patch` must divide"):
        zoo.vit((8, 9, 3), patch=4, width=8, heads=2)
    with pytest.raises(ValueError, match="multiples of 4"):
        zoo.unet((10, 8, 3), widths=(4, 4, 4))


IMAGES = RANDOM.uniform(-1, 1, (8, 8, 8, 3)).astype("float32")
TOKENS = RANDOM.integers(1, 11, (8, 6))
SPARSE = {"loss": hb.losses.SparseCategoricalCrossentropy(from_logits=True)}
NETWORKS = {
    "vit": (
        lambda: zoo.vit((8, 8, 3), 2, 4, depth=1, width=8, heads=2, activation=None),
        (IMAGES, np.arange(8) % 2), SPARSE,
    ),
    "bert": (lambda: zoo.bert(11, 6, depth=1, width=8, heads=2), (TOKENS, TOKENS), SPARSE),
    "gpt": (gpt, (TOKENS[:, :-1], TOKENS[:, 1:]), SPARSE),
    "unet": (
        lambda: zoo.unet((8, 8, 3), 1, (4, 8)),
        (IMAGES, (IMAGES[..., :1] > 0).astype("float32")), {"loss": "binary_crossentropy"},
    ),
    "diffusion": (lambda: zoo.Diffusion((8, 8, 3), (4, 8), 10), (IMAGES,), {}),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "gpt" else pytest.mark.slow) for n in NETWORKS]
)
def test_a_network_learns_and_survives_files(name, tmp_path):
    hb.utils.set_random_seed(1)
    make, data, options = NETWORKS[name]
    model = make()
    model.compile(hb.optimizers.Adam(0.01), **options)
    losses = model.fit(*data, epochs=25, verbose=0).history["loss"]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    model.save(tmp_path / "model.keras")
    loaded = hb.models.load_model(tmp_path / "model.keras")
    if name == "diffusion":
        images = model.sample(2, seed=0)
        assert np.isfinite(images).all()
        np.testing.assert_allclose(loaded.sample(2, seed=0), images, atol=1e-4)
    else:
        expected = np.asarray(model(data[0]))
        np.testing.assert_allclose(loaded(data[0]), expected, atol=1e-5 * np.abs(expected).max())
