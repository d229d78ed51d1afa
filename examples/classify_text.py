"""Say what messages are about, on the device: numpy, one engine, and a vocabulary that came along.

Run it with: python classify_text.py model.int8.tflite vocabulary.txt "rain and wind today"
"""

import sys
from pathlib import Path

import numpy as np

from edgeport.runtime import load

file, vocabulary, *messages = sys.argv[1:]
predictor = load(file)
((name, shape),) = ((each.name, each.shape) for each in predictor.spec.inputs)
known = {word: number for number, word in enumerate(Path(vocabulary).read_text("utf-8").splitlines())}
for message in messages:
    ids = [known.get(word, 1) for word in message.lower().split()[: shape[1]]]
    answer = predictor.answer({name: np.array([ids + [0] * (shape[1] - len(ids))], np.int32)})
    (probabilities,) = answer.values()
    best = int(probabilities[0].argmax())
    print(f"{message}: {predictor.spec.labels[best]} ({probabilities[0, best]:.0%})")
