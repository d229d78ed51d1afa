"""The command line in a forked process: all of a new one but the import of TensorFlow, which takes seconds.

conftest.py runs this, in a process of multiprocessing's fork server, with ARGUMENTS, STDOUT and STDERR set.
"""

import os
import sys

for path, descriptor in ((STDOUT, 1), (STDERR, 2)):  # noqa: F821
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, descriptor)
    os.close(file)
os.environ.pop("EDGEPORT_DATA", None)
sys.argv = ["edgeport", *ARGUMENTS]  # noqa: F821

from edgeport.runtime.cli import main  # noqa: E402

sys.exit(main())
