#!/usr/bin/env python3
"""Holds the namespaces of one lab, and does in them what it is asked to.

    agent.py

It is the first process of a PID namespace: whatever ends it, the kernel ends every process of the lab with it, and
the lab's network namespaces are gone with their last process. It has mounts of its own: /run and /proc are the lab's.
Until `commit` it lives no longer than whoever started it, who writes `go PID NAME FOLDER` when there is something to do.
Requests come as JSON lines on FOLDER/agent.sock; what goes wrong is written to FOLDER/agent.log.
"""
import ctypes, json, os, resource, select, shutil, signal, socket, sys, threading

import files, netns, probe, processes, serve, settings, trace

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
HOST_NETNS = "/run/netns"
# The starter holds the other end.
LIFELINE = 3


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


class Agent:
    def __init__(self, folder, name, outer_pid):
        self.name, self.committed = name, False
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(f"{folder}/agent.sock")
        self.sock.listen(64)
        # Names that the host sees; reached later through this, because the lab's own /run hides them.
        self.host_netns = os.open(HOST_NETNS, os.O_DIRECTORY | os.O_RDONLY)
        check(LIBC.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
        check(LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount / private")
        check(LIBC.mount(b"proc", b"/proc", b"proc", 0, None), "mount /proc")
        # A /run of the lab's own: its programs' sockets and pid files, and an xtables lock that nobody else waits for.
        check(LIBC.mount(b"kwl", b"/run", b"tmpfs", 0, b"mode=755"), "mount /run")
        for path in ("/run/netns", "/run/lock", "/run/lab", "/run/lab/log"):
            os.makedirs(path)
        self.spaces = netns.Spaces(LIBC, check, self.host_netns, outer_pid)
        self.processes = processes.Processes(self.spaces, name)
        self.servers = serve.Servers(self.spaces)

    # --- requests, each on a thread of its own: setns(2) is of the thread

    def create(self, q):
        for place in q["places"]:
            self.spaces.create(place["netns"], place.get("forwards", False))
            self.processes.pause(place["netns"], place["place"])
        return settings.write(self.spaces, q.get("sysctls", []))

    def kinds(self, q):
        """Which link kinds the kernel has not, tried in a namespace that is gone afterwards."""
        self.spaces.create_hidden("probe")
        lines = ["link add d0 type veth peer name d1"] + [f"link add k{i} {words}" for i, words in enumerate(q["lines"])]
        ran = self.processes.run([[{"ns": "probe", "argv": ["ip", "-force", "-batch", "-"], "stdin": "".join(x + "\n" for x in lines)}]], 1)[0][0]
        failed = {int(x.rsplit(":", 1)[1]) - 2 for x in ran["err"].split("\n") if x.startswith("Command failed -:")}
        self.spaces.forget("probe")
        return {"failed": sorted(failed), "err": ran["err"]}

    def handle(self, q):
        op = q["op"]
        if op == "create":
            return self.create(q)
        if op == "kinds":
            return self.kinds(q)
        if op == "run":
            return self.processes.run(q["groups"], q.get("width", 4))
        if op == "start":
            return self.processes.start(q["name"], q["job"])
        if op == "stop":
            return self.processes.stop(q["name"])
        if op == "running":
            return self.processes.running()
        if op == "write-sysctls":
            return settings.write(self.spaces, q["settings"])
        if op == "serve":
            return self.servers.open(q["servers"])
        if op == "release":
            return self.servers.release(q["ns"], q["port"])
        if op == "probes":
            return probe.run(self.spaces, q["probes"], q["quiet"], q["limit"])
        if op == "trace-on":
            return trace.on(self.spaces, q["names"])
        if op == "trace-off":
            return trace.off()
        if op == "inodes":
            return self.spaces.inodes()
        if op == "write-file":
            return files.write(q["path"], q["text"], q.get("mode"))
        if op == "read-file":
            return files.read(q["path"])
        if op == "read-tree":
            return files.read_tree(q["path"])
        if op == "remove-tree":
            return shutil.rmtree(q["path"])
        if op == "make-folders":
            return files.make_folders(q["paths"])
        if op == "commit":
            self.committed = True
            return None
        raise ValueError(f"no such request: {op}")

    def converse(self, connection):
        with connection, connection.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                try:
                    answer = {"ok": self.handle(json.loads(line))}
                except Exception as e:
                    sys.excepthook(type(e), e, e.__traceback__)
                    answer = {"error": f"{e}"}
                try:
                    connection.sendall((json.dumps(answer) + "\n").encode())
                except OSError:
                    return

    # --- the main thread: children that ended, the servers' sockets, and whether anyone still waits for the lab

    def loop(self):
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        poll = self.servers.poll
        poll.register(woken, select.EPOLLIN)
        poll.register(self.sock.fileno(), select.EPOLLIN)
        poll.register(LIFELINE, select.EPOLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == woken:
                    os.read(woken, 4096)
                    self.processes.reap()
                elif fd == self.sock.fileno():
                    connection, _ = self.sock.accept()
                    threading.Thread(target=self.converse, args=(connection,), daemon=True).start()
                elif fd == LIFELINE:
                    if not self.committed:
                        self.give_up()
                    poll.unregister(LIFELINE)
                else:
                    self.servers.ready(fd)

    def give_up(self):
        """Whoever asked for the lab is gone before it stood."""
        self.spaces.unlink_all()
        os._exit(1)


def main():
    # The PID namespace is of the children: the child is its first process.
    check(LIBC.unshare(CLONE_NEWPID), "unshare")
    pid = os.fork()
    if pid:
        print(json.dumps({"pid": pid}), flush=True)
        os._exit(0)
    # Nothing is made before the starter has written down which process this is.
    line = os.read(LIFELINE, 4096).decode()
    if not line.startswith("go "):
        os._exit(1)
    _, outer, name, folder = line.rstrip("\n").split(" ", 3)
    try:
        log = os.open(f"{folder}/agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        os.close(log)
        agent = Agent(folder, name, int(outer))
    except Exception as e:
        print(json.dumps({"error": str(e)}), flush=True)
        os._exit(1)
    print(json.dumps({"ready": True}), flush=True)
    os.close(1)
    os.open("/dev/null", os.O_WRONLY)
    os.set_inheritable(LIFELINE, False)
    agent.loop()


main()
