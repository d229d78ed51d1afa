"""Compose short messages, and train a classifier that says what they are about; its vocabulary is a file beside it.

Run it with: python examples/text.py -o runs/text [--data YOUR.csv with the columns topic and message]
"""

import argparse
import csv
import random
from collections import Counter
from pathlib import Path

import keras
import numpy as np

WORDS = 12  # of a message; the rest is not read
TOPICS = {
    "weather": "rain snow wind sun storm cloud warm cold forecast umbrella",
    "food": "bread soup cheese apple dinner cook kitchen salt taste plate",
    "sport": "goal match team run win ball score coach race medal",
}
FILLERS = ["the", "a", "we", "today", "was", "with", "and", "very", "in", "some", "for", "this"]


def compose(count: int = 900) -> list[tuple[str, str]]:
    """Return topics with messages."""
    drawn = random.Random(0)
    rows = []
    for number in range(count):
        topic = list(TOPICS)[number % len(TOPICS)]
        words = drawn.sample(TOPICS[topic].split(), 3) + drawn.sample(FILLERS, 5)
        drawn.shuffle(words)
        rows.append((topic, " ".join(words)))
    return rows


def ids_of(message: str, vocabulary: list[str]) -> list[int]:
    """Return the places of a message's words in the vocabulary: 0 fills up, 1 is a word that is not in it."""
    known = {word: number for number, word in enumerate(vocabulary)}
    ids = [known.get(word, 1) for word in message.lower().split()[:WORDS]]
    return ids + [0] * (WORDS - len(ids))


def trained(ids: np.ndarray, classes: np.ndarray, *, words: int, topics: int) -> keras.Model:
    """Return a classifier of the mean of embedded words."""
    tokens = keras.Input((WORDS,), dtype="int32", name="tokens")
    hidden = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(words, 16)(tokens))
    hidden = keras.layers.Dense(16, activation="relu")(hidden)
    model = keras.Model(tokens, keras.layers.Dense(topics, activation="softmax", name="topic")(hidden))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(ids, classes, epochs=15, batch_size=32, verbose=0)
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/text"))
    parser.add_argument("--data", type=Path, help="your table of topic and message (default: one is composed)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = compose()
    if arguments.data:
        with arguments.data.open(encoding="utf-8", newline="") as file:
            rows = [(row["topic"], row["message"]) for row in csv.DictReader(file)]
    counted = Counter(word for _, message in rows for word in message.lower().split())
    vocabulary = ["[pad]", "[unknown]", *(word for word, _ in counted.most_common(5_000))]
    (arguments.output / "vocabulary.txt").write_text("\n".join(vocabulary) + "\n", "utf-8")
    topics = sorted({topic for topic, _ in rows})
    ids = np.array([ids_of(message, vocabulary) for _, message in rows], np.int32)
    names = np.array([topic for topic, _ in rows])
    np.savez(arguments.output / "messages.npz", x=ids, y=names)
    keras.utils.set_random_seed(0)
    model = trained(ids, np.searchsorted(topics, names), words=len(vocabulary), topics=len(topics))
    model.save(arguments.output / "model.keras")
    print(f"{arguments.output}/model.keras chooses one of {', '.join(topics)}; {len(vocabulary)} words are known")
