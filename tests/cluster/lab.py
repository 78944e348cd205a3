# SPDX-License-Identifier: Apache-2.0
"""lab.py - several real daemons on one machine, driven through rnodectl; TAP

    lab = Lab(plan)
    a = lab.node("a", "node.labels=zone=a")      starts rnoded --dev=a
    lab.join(a, b)                                b takes an invitation of a
    lab.until("text", lambda: ...)                one TAP case: becomes true within a minute
    lab.ok("text", condition, detail)             one TAP case
    lab.end()

Everything lies in a folder of its own, which goes when the test ends, and so do the daemons that
it started. Waits have a limit but are not judged: the machine may be busy.
"""
import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LIMIT = 60


class Node:
    def __init__(self, lab, name, sets):
        self.lab, self.name, self.sets = lab, name, sets
        self.process = None
        self.start()

    def start(self):
        argv = [os.path.join(lab_top(), "rnoded"), f"--dev={self.name}"]
        for s in self.sets:
            argv += ["--set", s]
        self.log = open(os.path.join(self.lab.work, f"{self.name}.log"), "ab")
        self.process = subprocess.Popen(argv, stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, env=self.lab.env)
        self.lab.wait(lambda: self.ctl("status", check=False) != "")

    def ctl(self, *args, check=True, stdin=None):
        p = subprocess.run([os.path.join(lab_top(), "rnodectl"), "-c", self.name, *args],
                           env=self.lab.env, input=stdin, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        if p.returncode != 0:
            self.last_error = p.stderr
            if check:
                print(f"# {self.name}: rnodectl {' '.join(args)}: {p.stderr.strip()}")
            return ""
        return p.stdout

    def items(self, *args):
        """Rows of a command that looks, as dicts."""
        out = self.ctl(*args, "--json", "-l", "0", check=False)
        return json.loads(out)["items"] if out else []

    def states(self):
        return {i["node"].split("@")[0]: i["state"] for i in self.items("nodes")}

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)
        if sig == signal.SIGKILL:
            self.process.wait()

    def tail(self, n=15):
        with open(os.path.join(self.lab.work, f"{self.name}.log"), errors="replace") as f:
            return f.readlines()[-n:]


def lab_top():
    return os.environ.get("builddir", os.getcwd())


class Lab:
    def __init__(self, plan):
        self.work = tempfile.mkdtemp(prefix="rnode-lab.", dir=os.environ.get("TMPDIR", "/tmp"))
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.work, NO_COLOR="1", TERM="dumb",
                        LC_ALL="C.UTF-8")
        self.env.pop("RNODE_CONTEXT", None)
        self.nodes, self.n, self.failed = [], 0, 0
        atexit.register(self.close)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        print(f"1..{plan}", flush=True)
        self.plan = plan

    def close(self):
        for node in self.nodes:
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.process.kill()
                node.process.wait()
        shutil.rmtree(self.work, ignore_errors=True)

    def node(self, name, *sets):
        node = Node(self, name, sets)
        self.nodes.append(node)
        return node

    def join(self, inviter, newcomer):
        token = inviter.ctl("invite").strip()
        newcomer.ctl("join", "-", stdin=token + "\n")

    def wait(self, condition):
        end = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def ok(self, text, good, detail=""):
        self.n += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {text}")
        if not good:
            for line in str(detail).splitlines():
                print(f"# {line}")
            for node in self.nodes:
                for line in node.tail():
                    print(f"# {node.name}: {line.rstrip()}")
        sys.stdout.flush()
        return good

    def until(self, text, condition, detail=lambda: ""):
        good = self.wait(condition)
        return self.ok(text, good, "" if good else detail())

    def end(self):
        if self.n != self.plan:
            print(f"# {self.n} of {self.plan} cases ran")
        sys.exit(1 if self.failed or self.n != self.plan else 0)
