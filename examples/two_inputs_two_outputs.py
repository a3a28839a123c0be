"""A functional model with two inputs and two outputs, given by name.

The data are generated support tickets: a text (as word numbers) and four facts about the customer.
The model predicts how urgent a ticket is (a number from 0 to 1) and which of three departments
should answer it.

Run it:  python examples/two_inputs_two_outputs.py [--quick]
"""

import argparse

import numpy as np

import hornbeam as hb
from hornbeam import layers

WORDS, LENGTH, FACTS, DEPARTMENTS = 500, 20, 4, 3


def tickets(count, generator):
    """Return inputs and targets as dictionaries, by the names of the model's inputs and outputs."""
    text = generator.integers(1, WORDS, (count, LENGTH))
    facts = generator.normal(size=(count, FACTS)).astype("float32")
    # Words below 150 are about bills, words from 300 about crashes. Words that end in 7 express
    # anger. Tickets of long-time customers (the first fact) and of angry ones are urgent.
    bills, crashes = (text < 150).sum(axis=1), (text >= 300).sum(axis=1)
    department = np.where(bills > crashes, 0, np.where(crashes > 9, 1, 2))
    anger = (text % 10 == 7).sum(axis=1) - 2
    urgency = 1 / (1 + np.exp(-(anger + facts[:, 0] - 0.5 * facts[:, 1])))
    targets = {"urgency": urgency.astype("float32")[:, np.newaxis], "department": department}
    return {"text": text, "facts": facts}, targets


def build_model():
    text = layers.Input((LENGTH,), dtype="int32", name="text")
    facts = layers.Input((FACTS,), name="facts")
    words = layers.Embedding(WORDS, 16)(text)
    words = layers.GlobalAveragePooling1D()(words)
    both = layers.Concatenate()([words, layers.Dense(8, activation="relu")(facts)])
    both = layers.Dense(64, activation="relu")(both)
    urgency = layers.Dense(1, activation="sigmoid", name="urgency")(both)
    department = layers.Dense(DEPARTMENTS, activation="softmax", name="department")(both)
    return hb.Model(
        inputs={"text": text, "facts": facts},
        outputs={"urgency": urgency, "department": department},
        name="tickets",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds on little data")
    options = parser.parse_args()
    count, epochs = (2000, 3) if options.quick else (20000, 15)

    hb.utils.set_random_seed(4)
    generator = np.random.default_rng(4)
    x_train, y_train = tickets(count, generator)
    x_test, y_test = tickets(2000, generator)
    model = build_model()
    model.summary()
    model.compile(
        optimizer="adam",
        loss={"urgency": "mse", "department": "sparse_categorical_crossentropy"},
        loss_weights={"urgency": 5.0, "department": 1.0},  # because squared errors are small
        metrics={"urgency": ["mae"], "department": ["accuracy"]},
    )
    model.fit(x_train, y_train, batch_size=64, epochs=epochs, validation_split=0.1, verbose=2)

    results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    common = np.bincount(y_test["department"]).max() / len(y_test["department"])
    print(f"Urgency: off by {results['urgency_mae']:.3f} on average")
    print(f"Department: {results['department_accuracy']:.3f} right; guessing gives {common:.3f}")
    answers = model.predict({name: values[:3] for name, values in x_test.items()}, verbose=0)
    for i in range(3):
        print(
            f"  ticket {i}: urgency {answers['urgency'][i, 0]:.2f} "
            f"(is {y_test['urgency'][i, 0]:.2f}), department {answers['department'][i].argmax()} "
            f"(is {y_test['department'][i]})"
        )


if __name__ == "__main__":
    main()
