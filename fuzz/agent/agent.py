#!/usr/bin/env python3
"""Drives the network namespaces of one fuzzing pipeline.

Reads one JSON request a line from stdin, answers one JSON line each. Everything it makes lives in a
mount namespace of its own: names of namespaces are bind mounts on a private /run, so that the kernel
removes all of it when this process ends, however it ends. It never enters a namespace it did not make.
"""
import ctypes, json, os, select, signal, sys, traceback

import conntrack, probe, trace

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


class Agent:
    def __init__(self):
        check(LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
        check(LIBC.unshare(CLONE_NEWNS), "unshare")
        check(LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount / private")
        # A /run of its own: no trace of the names outside, and an xtables lock that nobody else waits for.
        check(LIBC.mount(b"kwf", b"/run", b"tmpfs", 0, b"size=64m"), "mount /run")
        os.makedirs("/run/netns")
        os.makedirs("/run/lock")
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.fds = {}
        self.servers = []
        self.traces = []

    def enter(self, name):
        check(LIBC.setns(self.fds[name], CLONE_NEWNET), "setns")

    def leave(self):
        check(LIBC.setns(self.home, CLONE_NEWNET), "setns")

    # --- namespaces

    def create(self, names):
        for name in names:
            check(LIBC.unshare(CLONE_NEWNET), "unshare net")
            path = f"/run/netns/{name}"
            open(path, "w").close()
            check(LIBC.mount(b"/proc/thread-self/ns/net", path.encode(), None, MS_BIND, None), "bind")
            self.fds[name] = os.open(path, os.O_RDONLY)
        self.leave()

    def unname(self, name):
        """Takes a namespace's name away, as the root namespace of a node has none; it stays open."""
        LIBC.umount2(f"/run/netns/{name}".encode(), 2)
        os.unlink(f"/run/netns/{name}")

    def destroy(self):
        for s in self.servers:
            s.close()
        self.servers = []
        self.trace_off()
        for name, fd in self.fds.items():
            os.close(fd)
            if os.path.exists(f"/run/netns/{name}"):
                self.unname(name)
        self.fds = {}

    # --- commands

    def start(self, job):
        files = [os.memfd_create(x) for x in ("in", "out", "err")]
        if job.get("stdin"):
            os.write(files[0], job["stdin"].encode())
            os.lseek(files[0], 0, os.SEEK_SET)
        self.enter(job["ns"])
        pid = os.posix_spawnp(job["argv"][0], job["argv"], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, f, i) for i, f in enumerate(files)])
        return pid, files

    def finish(self, pid, files):
        _, status = os.waitpid(pid, 0)
        out = []
        for f in files[1:]:
            size = os.fstat(f).st_size
            out.append(os.pread(f, size, 0).decode(errors="replace"))
        for f in files:
            os.close(f)
        return {"status": os.waitstatus_to_exitcode(status), "out": out[0], "err": out[1]}

    def run(self, jobs, width):
        """Runs jobs in order, at most `width` at a time."""
        results, running = [], []
        for job in jobs:
            if len(running) >= width:
                results.append(self.finish(*running.pop(0)))
            running.append(self.start(job))
        results += [self.finish(*r) for r in running]
        self.leave()
        return results

    # --- settings

    def write_sysctls(self, settings):
        """settings: [[namespace, path below /proc/sys, value]]; answers the ones that the kernel refused."""
        refused = []
        for ns, path, value in settings:
            self.enter(ns)
            names = [path]
            if "/*/" in path:
                head, tail = path.split("/*/")
                names = [f"{head}/{d}/{tail}" for d in os.listdir(f"/proc/sys/{head}")]
            for name in names:
                try:
                    with open(f"/proc/sys/{name}", "w") as f:
                        f.write(value)
                except OSError as e:
                    refused.append([ns, name, e.strerror])
        self.leave()
        return refused

    def read_sysctls(self, names, globs, conf):
        """As `sysctl -a` prints it, of the settings asked for: plain paths, and per-interface ones."""
        texts = {}
        for ns in self.fds:
            self.enter(ns)
            lines = []
            paths = list(names)
            for family in ("ipv4", "ipv6"):
                base = f"net/{family}/conf"
                paths += [f"{base}/{dev}/{key}" for dev in os.listdir(f"/proc/sys/{base}") for key in conf[family]]
            for path in paths:
                try:
                    fd = os.open(f"/proc/sys/{path}", os.O_RDONLY)
                except OSError:
                    continue
                try:
                    value = os.read(fd, 4096).decode().strip()
                finally:
                    os.close(fd)
                key = path.replace(".", "\0").replace("/", ".").replace("\0", "/")
                lines.append(f"{key} = {value}")
            texts[ns] = "\n".join(sorted(lines)) + "\n"
        self.leave()
        return texts

    # --- servers and probes

    def serve(self, servers):
        for s in servers:
            self.enter(s["ns"])
            try:
                self.servers.append(probe.Server(s))
            except OSError as e:
                self.leave()
                return f"{s}: {e}"
        self.leave()
        return None

    def probes(self, probes, quiet, limit, entries):
        """Sends all probes at once; see probe.py. `entries`: answers what connection tracking holds of them, by namespace, before any socket is closed."""
        watch = probe.Watch(self.servers)
        for i, p in enumerate(probes):
            self.enter(p["ns"])
            watch.send(i, p)
        self.leave()
        watch.wait(quiet, limit)
        held = {}
        if entries:
            for ns in self.fds:
                self.enter(ns)
                held[ns] = conntrack.entries()
            self.leave()
        return {"results": watch.finish(), "entries": held}

    # --- state between rulesets

    def forget(self):
        """Empties connection tracking and the route exceptions that earlier probes left behind."""
        for ns in self.fds:
            self.enter(ns)
            conntrack.flush()
            for family in ("ipv4", "ipv6"):
                try:
                    with open(f"/proc/sys/net/{family}/route/flush", "w") as f:
                        f.write("1")
                except OSError:
                    pass
        self.leave()

    def trace_on(self):
        for ns in self.fds:
            self.enter(ns)
            self.traces.append((ns, trace.listen()))
        self.leave()

    def trace_off(self):
        events = {ns: trace.drain(s) for ns, s in self.traces}
        for _, s in self.traces:
            s.close()
        self.traces = []
        return events

    def handle(self, q):
        op = q["op"]
        if op == "create":
            return self.create(q["names"])
        if op == "unname":
            return self.unname(q["name"])
        if op == "destroy":
            return self.destroy()
        if op == "run":
            return self.run(q["jobs"], q.get("width", 4))
        if op == "write-sysctls":
            return self.write_sysctls(q["settings"])
        if op == "read-sysctls":
            return self.read_sysctls(q["names"], q.get("globs", []), q["conf"])
        if op == "serve":
            return self.serve(q["servers"])
        if op == "probes":
            return self.probes(q["probes"], q["quiet"], q["limit"], q.get("entries", False))
        if op == "forget":
            return self.forget()
        if op == "trace-on":
            return self.trace_on()
        if op == "trace-off":
            return self.trace_off()
        raise ValueError(f"no such request: {op}")


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    agent = Agent()
    for line in sys.stdin:
        try:
            answer = {"ok": agent.handle(json.loads(line))}
        except Exception:
            agent.leave()
            answer = {"error": traceback.format_exc()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
