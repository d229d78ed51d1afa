"""The one command line: it names every sub-command and imports only the one that is asked for."""

import argparse
import errno
import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from edgeport.runtime.errors import EdgeportError, InputError, MissingDependencyError, unknown_name
from edgeport.runtime.host.machine import version_of
from edgeport.runtime.host.terminal import failed_output, prepare_streams, visible

# What the file system refuses is the user's to mend, and no bug of ours.
# Seconds, by which time a destructor has ended.
_SOON = 0.05
_OF_THE_SYSTEM = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG,
    errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EIO,
}  # fmt: skip
# Of reproducible builds; numpy reads it, so a value that is none would end in a traceback of its own.
_SOURCE_DATE = "SOURCE_DATE_EPOCH"
_END_OF_DATES = 253_402_300_800  # the year 10,000
_OBJECTS_BETWEEN_CYCLES = 20_000


@dataclass(frozen=True)
class Command:
    """One sub-command.

    Attributes:
        name: What the user types.
        module: The module with its ``add_arguments(parser)`` and ``run(arguments) -> exit code``.
        help: One line for ``edgeport --help``.
        example: What its own help begins with.
        extra: The extra of the edgeport distribution that installs what it needs; empty for the base install.
    """

    name: str
    module: str
    help: str
    example: str
    extra: str = ""


COMMANDS: tuple[Command, ...] = (
    Command(
        "quickstart",
        "edgeport.benchmarks.quickstart_command",
        "train, export, predict and benchmark on real digits that are installed",
        "edgeport quickstart -o runs/quickstart",
        "all",
    ),
    Command(
        "train",
        "edgeport.train.train_command",
        "train a CNN, or a model of your own further",
        "edgeport train --dataset photos --model mobilenet.keras --input pixels:-1:1 -o runs/train",
        "train",
    ),
    Command(
        "zoo",
        "edgeport.train.zoo.zoo_command",
        "list the trained models that are installed, with their accuracy",
        "edgeport zoo",
    ),
    Command(
        "export",
        "edgeport.export.export_command",
        "turn a Keras model into verified TFLite and ONNX files",
        "edgeport export model.keras -o exported --calibration samples.npz",
        "export",
    ),
    Command(
        "inspect",
        "edgeport.export.inspection.inspect_command",
        "show tensors, operators, sizes and quantization of a TFLite or ONNX file",
        "edgeport inspect exported/model.int8.tflite",
        "export",
    ),
    Command(
        "predict",
        "edgeport.runtime.prediction.predict_command",
        "run an artefact on pictures, arrays, tables or sound",
        "edgeport predict exported/model.int8.tflite picture.png",
    ),
    Command(
        "serve",
        "edgeport.runtime.serving.serve_command",
        "serve artefacts over HTTP: the Open Inference Protocol, and a page to draw on",
        "edgeport serve exported",
        "serve",
    ),
    Command(
        "selftest",
        "edgeport.runtime.golden.selftest_command",
        "compare the answers of the engines here with golden answers from another machine",
        "edgeport selftest artefacts",
    ),
    Command(
        "benchmark",
        "edgeport.benchmarks.benchmark_command",
        "measure what each artefact costs in accuracy, latency, start-up and memory",
        "edgeport benchmark exported --data samples.npz",
        "device",
    ),
    Command(
        "calibration",
        "edgeport.export.verification.advice.calibration_command",
        "check calibration samples: like what the model will see, and enough?",
        "edgeport calibration model.keras --calibration samples.npz",
        "export",
    ),
    Command(
        "debug",
        "edgeport.benchmarks.debug.debug_command",
        "name the layers that lose accuracy in integers, why, and what repairs it",
        "edgeport debug exported -o layers.html",
        "all",
    ),
    Command(
        "sweep",
        "edgeport.benchmarks.sweep.sweep_command",
        "train, export and score models x recipes x seeds; ends in a table and a picture",
        "edgeport sweep sweep.toml -o runs/sweep",
        "all",
    ),
    Command(
        "compare",
        "edgeport.benchmarks.compare.compare_command",
        "judge a benchmark against an earlier one, beyond noise; the exit code is for CI",
        "edgeport compare before/benchmark after/benchmark",
        "report",
    ),
    Command(
        "report",
        "edgeport.benchmarks.report.report_command",
        "make one HTML page of the benchmarks of one or several machines",
        "edgeport report workstation.json pi.json -o report.html",
        "report",
    ),
    Command(
        "bundle",
        "edgeport.export.bundle.bundle_command",
        "pack artefacts, packages, golden answers and an installer for a device",
        "edgeport bundle exported --target raspberry-pi -o edge.tar.gz",
        "export",
    ),
    Command(
        "completion",
        "edgeport.runtime.host.completion_command",
        "print what makes a shell complete commands and options",
        "edgeport completion bash",
        "completion",
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit code: see ``exit_code_of``, and the command's own page."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # TensorFlow's C++ start-up chatter would bury our own lines; set before anything imports it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Its import makes half a million objects that stay: looking for cycles among them takes a sixth of that time.
    gc.set_threshold(_OBJECTS_BETWEEN_CYCLES)

    def action() -> int:
        _check_source_date()
        return _dispatch(arguments)

    return exit_code_of("edgeport", action)


def exit_code_of(program: str, action: Callable[[], int]) -> int:
    """Return the exit code of an action; what a user can cause is one line on stderr, and no traceback.

    It is the action's own, but 2 where it was refused or its output could not be written, 130 where it was
    interrupted, and 141 where the reader of its output had left (as of a program that SIGPIPE ends).

    Args:
        program: What the line begins with.
        action: Returns its own exit code.
    """
    prepare_streams()
    sys.unraisablehook = _deliver_again
    try:
        return _after_output(program, _code_of(program, action))
    except SystemExit as ended:
        if isinstance(ended.code, int) and (code := _after_output(program, ended.code)) != ended.code:
            raise SystemExit(code) from None
        raise


def _deliver_again(lost: "sys.UnraisableHookArgs") -> None:
    """Interrupt once more after Ctrl-C came in a destructor or a callback (TensorFlow has many), which dropped it."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    # Only then: every start of the runtime can do without.
    import threading

    main = threading.main_thread().ident
    assert main is not None, "it is running"
    again = threading.Timer(_SOON, signal.pthread_kill, (main, signal.SIGINT))
    again.daemon = True
    again.start()


def _code_of(program: str, action: Callable[[], int]) -> int:
    try:
        return action()
    except EdgeportError as error:
        _complain(program, str(error))
        return 2
    except MemoryError:
        _complain(program, "not enough memory for this: take less at a time, or a machine with more")
        return 2
    except OSError as error:
        # Only for errors: it takes what every start of the runtime can do without.
        from edgeport.runtime.files.temporary import full_temporary_folder

        if error.errno == errno.ENOENT and not _has_working_folder():
            _complain(program, "the folder that it was started in has been removed: change to another")
        elif full := full_temporary_folder(error):
            _complain(program, full)
        elif error.errno in _OF_THE_SYSTEM:
            what = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
            _complain(program, f"{what}{error.strerror}")
        else:
            raise
        return 2
    except KeyboardInterrupt:
        _complain(program, "interrupted")
        return 130


def _after_output(program: str, code: int) -> int:
    """Return the exit code of a program that ended with ``code``, once it is known whether its output has arrived."""
    failure = failed_output()
    if failure is None:
        return code
    if failure.errno == errno.EPIPE:
        # The reader has left (`edgeport ... | head`): it has what it wanted.
        return code or 128 + signal.SIGPIPE
    _complain(program, f"cannot write to the standard output: {failure.strerror}")
    return code or 2


def _complain(program: str, words: str) -> None:
    print(f"{program}: {visible(words)}", file=sys.stderr)


def _has_working_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def needing(extra: str, who: str) -> Iterator[None]:
    """Turn the import of a package that is not installed into an error that names the extra which brings it.

    Args:
        extra: The extra of the edgeport distribution; empty if it would be a bug.
        who: What needs the package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not extra or missing in ("", "edgeport"):
            raise
        raise MissingDependencyError(
            f"{who} needs {missing}, which is not installed: pip install 'edgeport[{extra}]'"
        ) from error


def _check_source_date() -> None:
    """Raise InputError for a date of the sources that numpy, which reads it, would answer with a traceback."""
    given = os.environ.get(_SOURCE_DATE)
    if given is None:
        return
    if not given.strip():
        # As if it were not set: numpy takes it for a number.
        del os.environ[_SOURCE_DATE]
    elif not (given.isdecimal() and int(given[:20]) < _END_OF_DATES):
        raise InputError(f"{_SOURCE_DATE}: got '{given[:20]}', expected whole seconds since 1970: mend it, or unset it")


def _dispatch(arguments: list[str]) -> int:
    parser, parsers = empty_parsers()
    wanted = arguments[0] if arguments else "--help"
    chosen = next((known for known in COMMANDS if known.name == wanted), None)
    if chosen is None:
        if not wanted.startswith("-"):
            raise unknown_name("command", wanted, parsers)
        parser.parse_args([wanted])
        return 0
    with needing(chosen.extra, f"edgeport {chosen.name}"):
        module = with_options(chosen, parsers[wanted])
        exit_code: int = module.run(parser.parse_args(arguments))
    return exit_code


def empty_parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parser of the command line, and by name those of its commands, which have no options yet."""
    parser = _Parser(prog="edgeport", description="Take a Keras model to a small computer.")
    parser.add_argument("--version", action="version", version=f"edgeport {version_of('edgeport')}")
    parser.set_defaults(example=next(known.example for known in COMMANDS if known.name == "export"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    return parser, {known.name: commands.add_parser(known.name, help=known.help) for known in COMMANDS}


def with_options(command: Command, parser: argparse.ArgumentParser) -> Any:
    """Give a command's parser its options, and return the command's module.

    Raises:
        ModuleNotFoundError: A package that the command needs is not installed.
    """
    module = importlib.import_module(command.module)
    parser.description = f"{command.help[0].upper()}{command.help[1:]}."
    parser.set_defaults(example=command.example)
    module.add_arguments(parser)
    return module


class _Parser(argparse.ArgumentParser):
    """An argument parser whose help begins with an example, and whose complaint is one line, like all of edgeport's."""

    def format_help(self) -> str:
        example = self.get_default("example")
        return f"$ {example}\n\n{super().format_help()}" if example else super().format_help()

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {visible(message)} (see {self.prog} --help)\n")


if __name__ == "__main__":
    sys.exit(main())
