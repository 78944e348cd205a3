# SPDX-License-Identifier: Apache-2.0
# lib.sh - TAP for shell tests that drive a real node through rnodectl
#
# Sourced with the number of tests: . lib.sh 12. Gives: node_start, node_stop, ctl, ok, like, fails.
# Everything lies in a folder of its own that goes when the test ends, and so does the node.
set -u
plan=$1
top=${builddir:-$PWD}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/rnode-test.XXXXXX")
export XDG_RUNTIME_DIR=$work NO_COLOR=1 TERM=dumb LC_ALL=C.UTF-8
unset RNODE_CONTEXT
name=t
node_pid=
count=0
failed=0
echo "1..$plan"

finish() {
    [ -z "$node_pid" ] || kill -KILL "$node_pid" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT

# ok DESCRIPTION COMMAND...: passes when the command does
ok() {
    local text=$1; shift
    count=$((count + 1))
    if "$@" >"$work/ok.out" 2>&1; then
        echo "ok $count - $text"
    else
        failed=$((failed + 1))
        echo "not ok $count - $text"
        sed 's/^/# /' "$work/ok.out" | head -20
    fi
}

# like DESCRIPTION REGEX COMMAND...: its output (both streams) has a line that matches
like() {
    local text=$1 regex=$2; shift 2
    count=$((count + 1))
    "$@" >"$work/like.out" 2>&1
    if grep -Eq -- "$regex" "$work/like.out"; then
        echo "ok $count - $text"
    else
        failed=$((failed + 1))
        echo "not ok $count - $text"
        echo "# no line like $regex in:"
        sed 's/^/# /' "$work/like.out" | head -20
    fi
}

# fails DESCRIPTION CODE REGEX COMMAND...: exit code and output
fails() {
    local text=$1 code=$2 regex=$3 got; shift 3
    count=$((count + 1))
    "$@" >"$work/fails.out" 2>&1
    got=$?
    if [ "$got" = "$code" ] && grep -Eq -- "$regex" "$work/fails.out"; then
        echo "ok $count - $text"
    else
        failed=$((failed + 1))
        echo "not ok $count - $text"
        echo "# exit $got, expected $code, and a line like $regex in:"
        sed 's/^/# /' "$work/fails.out" | head -20
    fi
}

ctl() { "$top/rnodectl" -c "$name" "$@"; }

# Start the node and wait until it answers, 10 s at most.
node_start() {
    "$top/rnoded" --dev="$name" "$@" >"$work/node.out" 2>"$work/node.log" &
    node_pid=$!
    for _ in $(seq 200); do
        ctl -q status >/dev/null 2>&1 && return 0
        kill -0 "$node_pid" 2>/dev/null || break
        sleep 0.05
    done
    echo "# the node did not start:"; sed 's/^/# /' "$work/node.log"
    return 1
}

# Stop with a signal (TERM unless told) and give its exit code.
node_stop() {
    local rc
    kill -"${1:-TERM}" "$node_pid"
    wait "$node_pid" 2>/dev/null
    rc=$?
    node_pid=
    return $rc
}

assemble() { "$top/rnode-asm" -o "$work/$2" "$1"; }

# until_true COMMAND...: try for 5 s
until_true() {
    for _ in $(seq 100); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    return 1
}

finish_tests() {
    [ "$count" = "$plan" ] || { echo "# ran $count of $plan tests"; exit 1; }
    [ "$failed" = 0 ]
}
