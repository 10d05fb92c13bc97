#!/usr/bin/env python3
"""Holds the virtual machine of one lab, and joins those who use it with the program inside.

    holder.py FOLDER QEMU ARGUMENT...

QEMU ends with this process, however it ends. Until `commit` comes on the lifeline this process lives no longer than whoever
started it, who writes `go` when QEMU may be started. FOLDER/vm.sock takes sessions, whose frames go into the machine and come
from it; FOLDER/console.log is the machine's console, FOLDER/qemu.log what QEMU says. Words to the starter are JSON lines.
"""
import ctypes, json, os, select, signal, socket, subprocess, sys

import frames

LIFELINE = 3
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def tell(**words):
    try:
        print(json.dumps(words), flush=True)
    except OSError:
        pass


class Holder:
    def __init__(self, folder, argv):
        self.poll = select.poll()
        self.committed = self.ready = False
        self.sessions, self.numbers, self.next = {}, {}, 1
        # Bytes that wait, by descriptor: the sessions' are bounded by their windows, the channel's by theirs together.
        self.inward, self.waiting = {}, {}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.listener.bind(f"{folder}/vm.sock")
        os.chmod(f"{folder}/vm.sock", 0o600)
        self.listener.listen(64)
        mine, its = socket.socketpair()
        self.channel = mine
        with open(f"{folder}/qemu.log", "ab") as log:
            its.set_inheritable(True)
            wired = [word.replace("CHANNEL_FD", str(its.fileno())) for word in argv]
            self.qemu = subprocess.Popen(
                wired, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[its.fileno()], preexec_fn=with_parent
            )
        its.close()
        self.ended = os.pidfd_open(self.qemu.pid)
        tell(qemu=self.qemu.pid)
        for fd in (self.listener.fileno(), self.ended, LIFELINE):
            self.poll.register(fd, select.POLLIN)
        self.watch(self.channel)

    def watch(self, sock):
        sock.setblocking(False)
        self.inward[sock.fileno()], self.waiting[sock.fileno()] = bytearray(), bytearray()
        self.poll.register(sock.fileno(), select.POLLIN)

    def send(self, sock, data):
        waiting = self.waiting[sock.fileno()]
        waiting += data
        self.flush(sock)

    def flush(self, sock):
        waiting = self.waiting[sock.fileno()]
        while waiting:
            try:
                del waiting[: sock.send(waiting[: 1 << 16])]
            except BlockingIOError:
                break
            except OSError:
                waiting.clear()
        self.poll.modify(sock.fileno(), select.POLLIN | (select.POLLOUT if waiting else 0))

    def read(self, sock):
        """More of what a socket sends; False when nothing will come any more."""
        try:
            data = sock.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.inward[sock.fileno()] += data
        return bool(data)

    def accept(self):
        sock, _ = self.listener.accept()
        self.watch(sock)
        self.sessions[self.next] = sock
        self.numbers[sock.fileno()] = self.next
        self.next += 1

    def forget(self, number):
        sock = self.sessions.pop(number)
        self.poll.unregister(sock.fileno())
        for table in (self.inward, self.waiting, self.numbers):
            del table[sock.fileno()]
        sock.close()

    def from_machine(self):
        if not self.read(self.channel):
            sys.exit(1)
        for number, kind, body in frames.take(self.inward[self.channel.fileno()], frames.OUTER):
            if kind == frames.HELLO:
                self.ready = True
                tell(ready=json.loads(body))
            elif number in self.sessions:
                self.send(self.sessions[number], frames.local(kind, body))

    def from_session(self, number):
        sock = self.sessions[number]
        goes_on = self.read(sock)
        for kind, body in frames.take(self.inward[sock.fileno()], frames.LOCAL):
            self.send(self.channel, frames.outer(number, kind, body))
        if not goes_on:
            self.send(self.channel, frames.outer(number, frames.CLOSE))
            self.forget(number)

    def from_starter(self):
        if b"commit" in os.read(LIFELINE, 4096):
            self.committed = True
            tell(committed=True)
            # Nobody reads any more.
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (1, 2):
                os.dup2(null, fd)
        elif not self.committed:
            sys.exit(1)
        self.poll.unregister(LIFELINE)

    def loop(self):
        while True:
            for fd, event in self.poll.poll():
                if fd == self.ended:
                    tell(error=f"QEMU ended with status {self.qemu.wait()}")
                    sys.exit(1)
                elif fd == LIFELINE:
                    self.from_starter()
                elif fd == self.listener.fileno():
                    self.accept()
                elif fd == self.channel.fileno():
                    if event & select.POLLOUT:
                        self.flush(self.channel)
                    if event & ~select.POLLOUT:
                        self.from_machine()
                elif fd in self.numbers:
                    number = self.numbers[fd]
                    if event & select.POLLOUT:
                        self.flush(self.sessions[number])
                    if event & ~select.POLLOUT:
                        self.from_session(number)


def main():
    for each in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(each, signal.SIG_IGN)
    if not os.read(LIFELINE, 4096).startswith(b"go"):
        sys.exit(1)
    os.set_inheritable(LIFELINE, False)
    Holder(sys.argv[1], sys.argv[2:]).loop()


main()
