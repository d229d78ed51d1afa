"""What formats are called, and the colours and marks of everything that is drawn: once, for the page and its charts."""

from edgeport.runtime.artefact.precisions import PRECISIONS

FORMAT_NAMES = {"keras": "Keras", "tflite": "TFLite", "onnx": "ONNX"}
# Marks as matplotlib has them, so that colour alone need not tell candidates apart.
MARKS = "o^DsPv*Xph"
# Each colour on a light page and on a dark one. Charts are drawn in the light ones, and ask the page for them by name.
CHART_PALETTE = {
    "paper": ("#ffffff", "#12161b"),
    "ink": ("#1b1f24", "#e7eaee"),
    "muted": ("#59616b", "#a4adb8"),
    "grid": ("#e6e9ed", "#2a313a"),
    "keras": ("#80868f", "#a7adb7"),
    "tflite": ("#d97706", "#f0a040"),
    "onnx": ("#1f5fa8", "#6aa9ef"),
    "other": ("#6b4fa0", "#b49ae6"),
    "step-1": ("#5b8cc4", "#7fb0e6"),
    "step-2": ("#d87606", "#f0a040"),
    "step-3": ("#4b3a78", "#a794dc"),
    "machine-1": ("#0072b2", "#58b0ea"),
    "machine-2": ("#c65200", "#f58a4b"),
    "machine-3": ("#00805d", "#3fc79d"),
    "machine-4": ("#b0508a", "#e295c4"),
    "machine-5": ("#8a6d00", "#d9bd4a"),
}
PAGE_PALETTE = {
    "surface": ("#f5f6f8", "#1b2027"),
    "raised": ("#ffffff", "#20262e"),
    "rule": ("#dfe3e8", "#323a44"),
    "accent": ("#1f5fa8", "#7db5f2"),
    "good-ink": ("#14592c", "#93dfab"),
    "good": ("#e2f3e7", "#16351f"),
    "bad-ink": ("#9b1c1c", "#ffb3ab"),
    "bad": ("#fde7e6", "#46191a"),
    "unknown-ink": ("#6a4f00", "#f2d57e"),
    "unknown": ("#fcf1cf", "#3a3010"),
    "wrong": ("197, 48, 48", "196, 60, 60"),
}
MACHINES = 5


def colour_of(format_name: str) -> str:
    """Return the name of the colour of a format."""
    return format_name if format_name in FORMAT_NAMES else "other"


def mark_of(precision: str) -> str:
    """Return the mark of a precision: the next one for each row of the table, the first for one that it lacks."""
    place = list(PRECISIONS).index(precision) if precision in PRECISIONS else 0
    return MARKS[place % len(MARKS)]


def machine_look(index: int) -> tuple[str, str]:
    """Return the colour and the mark of the n-th machine, where a chart is of several."""
    return f"machine-{index % MACHINES + 1}", MARKS[index % MACHINES]
