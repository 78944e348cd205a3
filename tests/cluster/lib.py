# SPDX-License-Identifier: Apache-2.0
"""lib.py - TAP for tests of several daemons on this machine, driven through rnodectl

Each daemon is `rnoded --dev=NAME` with a folder of its own under one temporary folder, which goes
when the test ends, and so do the daemons.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.environ.get("builddir", os.getcwd())
HERE = os.path.dirname(os.path.abspath(__file__))
work = tempfile.mkdtemp(prefix="rnode-cluster.", dir=os.environ.get("TMPDIR", "/tmp"))
env = dict(os.environ, XDG_RUNTIME_DIR=work, NO_COLOR="1", TERM="dumb", LC_ALL="C.UTF-8")
nodes = {}
count = failed = 0


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    end()
    sys.exit(0)


def ok(passed, text, *notes):
    global count, failed
    count += 1
    print(f"{'ok' if passed else 'not ok'} {count} - {text}", flush=True)
    if not passed:
        failed += 1
        for note in notes:
            for line in str(note).splitlines()[:20]:
                print(f"# {line}", flush=True)
    return passed


def equal(got, want, text):
    return ok(got == want, text, f"got  {got}", f"want {want}")


def until(test, seconds=10.0):
    """The first true value of test(), or the last; and how long it took."""
    start = time.monotonic()
    while True:
        value = test()
        took = time.monotonic() - start
        if value or took > seconds:
            return value, took
        time.sleep(0.02)


class Node:
    def __init__(self, name, *options, prefix=()):
        self.name, self.options, self.prefix = name, options, list(prefix)
        self.process = None
        nodes[name] = self

    def start(self):
        log = open(f"{work}/{self.name}.log", "a")
        self.process = subprocess.Popen(
            self.prefix + [f"{TOP}/rnoded", f"--dev={self.name}", *self.options],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        up, _ = until(lambda: self.ctl("-q", "status").returncode == 0)
        if not up:
            print(f"# {self.name} does not answer:\n# " + self.log().replace("\n", "\n# "))
        return up

    def ctl(self, *args, timeout=60, stdin=None):
        return subprocess.run([f"{TOP}/rnodectl", "-c", self.name, *args], env=env, input=stdin,
                              capture_output=True, text=True, timeout=timeout)

    def eval(self, call):
        """What the call gives, as rnodectl prints it; errors too."""
        r = self.ctl("--timeout", "50s", "eval", call)
        return (r.stdout if r.returncode == 0 else r.stdout + r.stderr).strip()

    def signal(self, sig):
        self.process.send_signal(sig)
        if sig == signal.SIGKILL:
            self.process.wait()

    def log(self):
        with open(f"{work}/{self.name}.log") as f:
            return f.read()

    def full_name(self):
        return self.eval("erlang:node()")


def join(first, other):
    token = first.ctl("invite", "-q").stdout
    r = other.ctl("join", "-", stdin=token)
    return ok(r.returncode == 0, f"{other.name} joins {first.name}", r.stdout + r.stderr)


def compile_erl(*names):
    """The modules of this folder, compiled; skips everything where there is no erlc."""
    erlc = os.environ.get("ERLC") or shutil.which("erlc")
    if not erlc or erlc == "no":
        skip_all("no erlc here")
    for name in names:
        subprocess.run([erlc, "-o", work, f"{HERE}/{name}.erl"], check=True)


def end():
    for n in nodes.values():
        if n.process and n.process.poll() is None:
            n.process.kill()
            n.process.wait()
    shutil.rmtree(work, ignore_errors=True)


def finish():
    reports = [n.name for n in nodes.values() if os.path.exists(f"{work}/{n.name}.log")
               and any(s in n.log() for s in ("rnode: bug:", "Sanitizer", "runtime error:"))]
    ok(not reports, "no node reports a bug", *[nodes[n].log()[-2000:] for n in reports])
    print(f"1..{count}")
    end()
    sys.exit(1 if failed else 0)
