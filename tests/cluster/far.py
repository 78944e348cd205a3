# SPDX-License-Identifier: Apache-2.0
"""far.py - nodes in network namespaces, with link.c as the network between them

    net = Net(seed, size)           skips everything where that is not allowed
    net.nodes[0].start() ...
    net.set(a, b, loss=5, delay=50) from a to b; None stands for each
    net.close()
"""
import os
import shutil
import subprocess

import lib
from lib import Node, TOP, env, skip_all, until, work

DOWN_AFTER = 3                      # seconds, cluster.down_after of these nodes
tag = f"rnt-{os.getpid()}-"


def run(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True)


def why_not():
    if os.geteuid() != 0 or not shutil.which("ip"):
        return "namespaces need root and the command ip"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun here"
    if run("ip", "netns", "add", f"{tag}t", check=False).returncode != 0:
        return "no network namespaces here"
    able = run("ip", "netns", "exec", f"{tag}t", "ip", "tuntap", "add", "eth0", "mode", "tun",
               check=False).returncode == 0
    run("ip", "netns", "del", f"{tag}t")
    return None if able else "no TUN devices in namespaces here"


class Away(Node):
    """A node in its own namespace, with a configuration instead of --dev."""

    def __init__(self, k, options):
        super().__init__(f"n{k}")
        self.k, self.ns, self.address = k, f"{tag}{k}", f"10.77.0.{k}"
        self.socket, self.full = f"{work}/n{k}.sock", f"n{k}@h{k}"
        self.sets = (f"node.name={self.full}", f"listen.control={self.socket}",
                     f"listen.peers={self.address}:7465", f"store.path={work}/n{k}",
                     f"vm.code_path={work}", "vm.schedulers=2", f"cluster.down_after={DOWN_AFTER}s",
                     "cluster.suspect_after=2s", "cluster.heartbeat=500ms", *options)

    def inside(self, *words, check=True):
        return run("ip", "netns", "exec", self.ns, *words, check=check)

    def start(self):
        os.makedirs(f"{work}/n{self.k}", exist_ok=True)
        log = open(f"{work}/{self.name}.log", "a")
        open(f"{work}/n{self.k}.conf", "w").close()
        words = ["ip", "netns", "exec", self.ns, f"{TOP}/rnoded", "-c", f"{work}/n{self.k}.conf"]
        for s in self.sets:
            words += ["--set", s]
        self.process = subprocess.Popen(words, stdout=log, stderr=log, env=env,
                                        stdin=subprocess.DEVNULL)
        up, _ = until(lambda: self.ctl("-q", "status").returncode == 0)
        if not up:
            print(f"# {self.name} does not answer:\n# " + self.log()[-2000:].replace("\n", "\n# "))
        return up

    def ctl(self, *args, timeout=60, stdin=None):
        return subprocess.run([f"{TOP}/rnodectl", "-c", self.socket, *args], env=env, input=stdin,
                              capture_output=True, text=True, timeout=timeout)

    def sees(self):
        """How many others it is connected to."""
        return self.eval("erlang:nodes()").count("@")


class Net:
    def __init__(self, seed, size, *options):
        reason = why_not()
        if reason:
            skip_all(reason)
        self.nodes = [Away(k, options) for k in range(1, size + 1)]
        for n in self.nodes:
            run("ip", "netns", "add", n.ns)
        self.link = subprocess.Popen([f"{TOP}/tests/cluster/link", str(seed)]
                                     + [n.ns for n in self.nodes], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.link.stdout.readline()
        for n in self.nodes:
            n.inside("ip", "addr", "add", f"{n.address}/24", "dev", "eth0")
            n.inside("ip", "link", "set", "eth0", "up")
            n.inside("ip", "link", "set", "lo", "up")

    def set(self, a=None, b=None, **conditions):
        words = " ".join(f"{k}={v}" for k, v in conditions.items())
        self.link.stdin.write(f"{a.k if a else 0} {b.k if b else 0} {words}\n")
        self.link.stdin.flush()

    def counts(self):
        """Packets taken, lost and doubled since the last question."""
        self.link.stdin.write("?\n")
        self.link.stdin.flush()
        return [int(n) for n in self.link.stdout.readline().split()]

    def both(self, n, **conditions):
        self.set(n, None, **conditions)
        self.set(None, n, **conditions)

    def join_all(self):
        for n in self.nodes[1:]:
            lib.join(self.nodes[0], n)
        return until(lambda: all(n.sees() == len(self.nodes) - 1 for n in self.nodes), 20)

    def close(self):
        for n in self.nodes:
            if n.process and n.process.poll() is None:
                n.process.kill()
                n.process.wait()
        self.link.kill()
        self.link.wait()
        for n in self.nodes:
            run("ip", "netns", "del", n.ns, check=False)
