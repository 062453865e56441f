#!/bin/sh
# Say in one sentence each what set-up needs and this machine lacks, before anything is downloaded.
#
# Usage: sh tools/check_machine.sh [--node] <python> [<argument> ...]
#
# This has to run where the right Python and Node.js are missing. So it uses only commands that are
# built into sh, and asks Python in words that every version since 2 understands.
OLDEST_PYTHON=3.11
OLDEST_NODE=18 # Pyodide needs WebAssembly's reference types, which Node.js 16 has not.

ASK="
import sys
lacking = []
for module in ('sqlite3', 'ssl', 'ensurepip', 'venv'):
    try:
        __import__(module)
    except ImportError:
        lacking.append(module)
is_old = '%d.%02d' % sys.version_info[:2] < '$OLDEST_PYTHON'
print('%s %d.%d.%d' % (('old' if is_old else lacking[-1] if lacking else 'good',) + sys.version_info[:3]))
"
status=0

lacks() {
  printf 'Unexpired needs %s.\n' "$1" >&2
  status=1
}

# Set `problem` to why a command does not work: what it says in its first line.
diagnose() {
  problem="$1 was not found"
  command -v "$1" >/dev/null || return
  problem=$("$@" 2>&1)
  problem="$1 does not run: ${problem%%
*}"
}

# Set `advice` to how to choose another Python: one that is here, if there is a good one.
advise() {
  for name in python3 python3.11 python3.12 python3.13 python3.14; do
    case $("$name" -c "$ASK" 2>&1) in
      good\ *)
        advice="$name is here: add PYTHON=$name to the command"
        return
        ;;
    esac
  done
  advice="add PYTHON=... to the command if it has another name"
}

check_python() {
  answer=$("$@" -c "$ASK" 2>/dev/null)
  version=${answer#* }
  case $answer in
    good\ *) return ;;
    old\ *) problem="$1 is $version" ;;
    ensurepip\ * | venv\ *)
      lacks "Python's module ${answer%% *}, but $1 ($version) has none: on Debian, apt install python${version%.*}-venv"
      return
      ;;
    *\ [1-9]*)
      lacks "Python's module ${answer%% *}, but $1 ($version) was built without it"
      return
      ;;
    *) diagnose "$@" -c "$ASK" ;;
  esac
  advise
  lacks "Python $OLDEST_PYTHON or later, but $problem; $advice"
}

check_node() {
  version=$(node --version 2>/dev/null)
  major=${version#v}
  major=${major%%.*}
  case $major in
    '' | *[!0-9]*) diagnose node --version ;;
    *)
      [ "$major" -lt $OLDEST_NODE ] || return
      problem="node is ${version#v}"
      ;;
  esac
  lacks "Node.js $OLDEST_NODE or later, but $problem"
}

if [ "$1" = --node ]; then
  shift
  check_node
  command -v npm >/dev/null || lacks "npm, which comes with Node.js, but npm was not found"
fi
check_python "$@"
exit $status
