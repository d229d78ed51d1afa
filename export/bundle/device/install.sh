#!/bin/sh
# Installs @TOP@ beside this file, in the folder venv: no root, no questions.
# Run it again whenever you like. It ends with 0 only if the golden answers match.
set -eu

python_version=@PYTHON@
arch=@ARCH@
system=@SYSTEM@
from_apt=@APT@
predict=@PREDICT@
benchmark=@BENCHMARK@
service=@SERVICE@
server=@SERVER@

say() { printf '%s\n' "$*"; }
fail() {
    say "install.sh: $*" >&2
    exit 1
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
cd -- "$here"

# 0. Only one at a time: a second one waits, and finds the environment made.
if command -v flock >/dev/null; then
    exec 9>>.install.lock
    flock 9
fi

# 1. The files are those that were packed.
command -v sha256sum >/dev/null || fail 'needs sha256sum: sudo apt install coreutils'
[ -f SHA256SUMS ] || fail "$here holds no SHA256SUMS: unpack the archive again"
sha256sum --check --quiet --strict SHA256SUMS >&2 ||
    fail 'a file is missing or is not the one that was packed: copy and unpack the archive again'

# 2. This is the system that they were packed for.
python=${PYTHON:-}
if [ -z "$python" ]; then
    for python in "python$python_version" python3; do
        "$python" -c 'pass' 2>/dev/null && break
    done
fi
# The Python says the architecture of the programs; that of the kernel may be another.
facts=$("$python" -c '
import platform, struct, sys
bits, machine = 8 * struct.calcsize("P"), platform.machine()
arch = {"arm64": "aarch64"}.get(machine, machine)
if bits == 32 and arch in ("aarch64", "armv8l"):
    arch = "armv7l"
print("%d.%d" % sys.version_info[:2], arch)' 2>/dev/null) ||
    fail "needs Python $python_version, and found no Python: sudo apt install python3"
if [ "$facts" != "$python_version $arch" ]; then
    case ${facts#* } in
    aarch64 | armv7l) target=raspberry-pi ;;
    *) target=linux ;;
    esac
    fail "got Python ${facts% *} on ${facts#* }, expected $python_version on $arch ($system):" \
        "bundle again with --target $target --arch ${facts#* } --python ${facts% *}," \
        "or name another interpreter: PYTHON=/path/to/python sh install.sh"
fi
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "needs Python's venv module: sudo apt install python3-venv"
if [ -n "$from_apt" ]; then
    "$python" -c 'import numpy, PIL' 2>/dev/null || fail "needs numpy and Pillow of the system: sudo apt install $from_apt"
fi

# 3. The environment. A virtual environment knows its own path, so it is made where it stays; the stamp, written last,
#    distinguishes a whole one from what a killed run left behind. The one before is kept until the new one is whole.
stamp="$(sha256sum SHA256SUMS | cut -d ' ' -f 1) $here"
is_whole() { [ "$(cat venv/installed-from 2>/dev/null)" = "$stamp" ]; }
# Also called by the trap, after whatever has gone wrong.
restore() {
    if [ -d venv.before ] && ! is_whole; then
        rm -rf venv
        mv venv.before venv
    elif [ -d venv ] && [ ! -f venv/installed-from ]; then
        rm -rf venv
    fi
    rm -rf venv.before
}
restore
if is_whole; then
    say "Already installed in $here/venv"
else
    trap restore EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ -d venv ]; then mv venv venv.before; fi
    if [ -n "$from_apt" ]; then lent=--system-site-packages; else lent=; fi
    say "Making the environment $here/venv with $("$python" --version)"
    # shellcheck disable=SC2086 # nothing, or one word
    "$python" -m venv $lent venv || fail "could not make $here/venv: the line above says why"
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    if [ "$(find wheels -name '*.whl' | wc -l)" -gt 1 ]; then
        say 'Installing the packages from the folder wheels, without a network'
        set -- --no-index --find-links wheels
    else
        say 'Fetching the packages of requirements.txt'
        set -- --only-binary=:all:
    fi
    # requirements.txt is complete: nothing that it does not name may come in.
    venv/bin/python -m pip install --quiet --no-deps "$@" --requirement requirements.txt ||
        fail 'pip could not install the packages: the lines above say why'
    venv/bin/python -m pip install --quiet --no-deps --no-index wheels/edgeport-*.whl ||
        fail 'pip could not install edgeport: the lines above say why'
    printf '%s\n' "$stamp" >venv/installed-from.partial
    mv venv/installed-from.partial venv/installed-from
    restore
    trap - EXIT HUP INT TERM
fi

# 4. The word that clients of the server must know: made once, and readable by its owner and root alone.
if [ -n "$server" ] && [ ! -s token ]; then
    (umask 077 && venv/bin/python -c 'import secrets; print(secrets.token_hex(16))' >token.partial)
    mv token.partial token
fi

# 5. The test: the golden inputs give the golden answers.
say 'Comparing the answers of this device with the golden ones'
status=0
venv/bin/edgeport selftest artefacts || status=$?
[ "$status" -ne 1 ] || fail 'the selftest failed: do not trust the answers of this device'
[ "$status" -eq 0 ] || fail "the selftest could not be run (exit code $status)"

say ''
say 'Installed. Next:'
say "  cd '$here'"
if [ -n "$predict" ]; then say "  $predict"; fi
if [ -n "$benchmark" ]; then say "  $benchmark"; fi
[ -n "$service$server" ] || exit 0
say ''
case $here in
*[!A-Za-z0-9/._-]* | /home/* | /root/* | /tmp/* | /var/tmp/*)
    say 'To run it as a service, move this folder to /opt, and run install.sh there again.'
    exit 0
    ;;
esac
# unit NAME: the command that puts a unit in its place, with this folder in it.
unit() {
    say "  sed 's|/opt/@TOP@|$here|g' examples/$1.service | sudo tee /etc/systemd/system/$1.service"
}
if [ -n "$service" ]; then
    say 'To run it as a service that answers each picture in /srv/edgeport/inbox:'
    unit edgeport
    say '  sudo install -d -o "$USER" /srv/edgeport/inbox && sudo systemctl enable --now edgeport.service'
fi
if [ -n "$server" ]; then
    say 'To run it as a server at port 8080, which asks for the word in the file token:'
    unit edgeport-serve
    say '  sudo systemctl enable --now edgeport-serve.service'
    say '  venv/bin/edgeport selftest --server http://localhost:8080 --token-file token'
fi
