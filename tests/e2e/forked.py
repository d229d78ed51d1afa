"""The command line, or a script, in a forked process: a new one but for the import of TensorFlow, which takes seconds.

conftest.py runs this, in a process of multiprocessing's fork server, with ARGUMENTS, STDOUT and STDERR set.
"""

import gc
import os
import runpy
import sys

# What was imported before the fork stays: nobody looks for cycles in it.
gc.freeze()
for path, descriptor in ((STDOUT, 1), (STDERR, 2)):  # noqa: F821
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, descriptor)
    os.close(file)
os.environ.pop("EDGEPORT_DATA", None)
if ARGUMENTS[0].endswith(".py"):  # noqa: F821
    sys.argv = ARGUMENTS  # noqa: F821
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit()
sys.argv = ["edgeport", *ARGUMENTS]  # noqa: F821

from edgeport.runtime.cli import main  # noqa: E402

sys.exit(main())
