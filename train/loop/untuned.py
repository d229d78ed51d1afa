"""Pipelines of tf.data without its tuner, which can double the time of an epoch."""

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return the dataset with its parallelism left as it is.

    The tuner of a dataset sleeps 10 ms, then 20 ms, 40 ms and so on, and whoever drops the iterator waits until it
    wakes (TensorFlow 2.21): every epoch then ends 10, 20, 41 or 82 seconds after it began, and no sooner.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
