"""Openers that misbehave, for the tests of measuring processes."""

import os
import signal

from edgeport.benchmarks.measure.candidates.openers import open_artefact


def open_talkative(*, path: str, threads: int):
    print("this engine writes to standard output")
    os.write(1, b"and past Python's buffers\n")
    return open_artefact(path=path, threads=threads)


class Dying:
    engine = {"name": "dying", "version": "1"}  # noqa: RUF012

    def answers(self, images):
        os.kill(os.getpid(), signal.SIGSEGV)

    def call(self, what, images):
        return lambda: None


def open_dying(*, threads: int) -> Dying:
    return Dying()


class Counting:
    """Each call takes as long as its batch and kind say, and a turn can be recognised."""

    engine = {"name": "counting", "version": "1"}  # noqa: RUF012

    def answers(self, images):
        return images.reshape(len(images), -1)[:, :2].astype("float32")

    def call(self, what, images):
        import time

        seconds = {"engine": 0.001, "predict": 0.002, "label": 0.003}[what] * len(images)
        return lambda: time.sleep(seconds)


def open_counting(*, threads: int) -> Counting:
    return Counting()


def open_mortal(*, threads: int, starts: str) -> Counting:
    """Die when started for the second time."""
    with open(starts, "a+") as file:
        file.write("x")
        file.seek(0)
        if file.read() == "xx":
            os.kill(os.getpid(), signal.SIGKILL)
    return Counting()
