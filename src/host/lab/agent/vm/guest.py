#!/usr/bin/env python3
"""The first process of a lab's virtual machine: runs programs for those outside, each a session of the channel.

    guest.py

When it ends, or the channel does, the machine is switched off. A session begins with RUN and a JSON object, one of

    argv, env; rows, columns     a program, with a terminal of that size or without one
    connect                      a socket's path: what is sent goes there, what comes from there is its output
    lab                          the name of a lab: its agent is started, and the output is {"pid": …} when it listens
"""
import fcntl, json, os, pty, queue, signal, socket, struct, subprocess, sys, termios, threading, time

import frames

NAME = "kubewalk"
AGENT = "/run/kubewalk-vm/agent/agent.py"
LABS = "/run/kubewalk/lab"


def find_port():
    for port in os.listdir("/sys/class/virtio-ports"):
        with open(f"/sys/class/virtio-ports/{port}/name", encoding="ascii") as file:
            if file.read().strip() == NAME:
                return os.open(f"/dev/{port}", os.O_RDWR)
    raise OSError("no port of this name")


class Channel:
    def __init__(self, port):
        self.port, self.lock = port, threading.Lock()

    def send(self, session, kind, body=b""):
        with self.lock:
            frames.write_all(self.port, frames.outer(session, kind, body))


class Session:
    def __init__(self, channel, number, request):
        self.channel, self.number = channel, number
        self.credit, self.enough = frames.WINDOW, threading.Condition()
        self.input = queue.Queue()
        self.master = self.process = self.sock = None
        if "connect" in request:
            self.connect(request["connect"])
        elif "rows" in request:
            self.spawn_on_terminal(request)
        else:
            self.spawn(request)
        threads = [threading.Thread(target=self.carry, args=each, daemon=True) for each in self.outputs]
        for each in threads:
            each.start()
        threading.Thread(target=self.feed, daemon=True).start()
        threading.Thread(target=self.wait, args=(threads,), daemon=True).start()

    def connect(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.outputs, self.stdin = [(self.sock.fileno(), frames.STDOUT)], self.sock.fileno()

    def spawn(self, request):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            request["argv"], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, cwd="/", env=request["env"], start_new_session=True
        )
        self.outputs = [(self.process.stdout.fileno(), frames.STDOUT), (self.process.stderr.fileno(), frames.STDERR)]
        self.stdin = self.process.stdin.fileno()

    def spawn_on_terminal(self, request):
        self.master, terminal = pty.openpty()
        self.resize(request["rows"], request["columns"])
        self.process = subprocess.Popen(
            request["argv"], stdin=terminal, stdout=terminal, stderr=terminal, cwd="/", env=request["env"],
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)
        self.outputs, self.stdin = [(self.master, frames.STDOUT)], self.master

    def resize(self, rows, columns):
        if self.master is not None:
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def carry(self, fd, kind):
        """From the program out, no more than the other side takes."""
        while True:
            try:
                data = os.read(fd, frames.PIECE)
            except OSError:
                # A terminal whose last user is gone.
                return
            if not data:
                return
            with self.enough:
                self.enough.wait_for(lambda: self.credit > 0)
                self.credit -= len(data)
            self.channel.send(self.number, kind, data)

    def take_credit(self, count):
        with self.enough:
            self.credit += count
            self.enough.notify_all()

    def feed(self):
        """From outside into the program."""
        while (data := self.input.get()) is not None:
            try:
                frames.write_all(self.stdin, data)
            except OSError:
                pass
            self.channel.send(self.number, frames.CREDIT, struct.pack(">I", len(data)))
        if self.sock is not None:
            self.sock.shutdown(socket.SHUT_WR)
        elif self.master is None:
            self.process.stdin.close()

    def wait(self, threads):
        if self.process is None:
            for each in threads:
                each.join()
        status = 0 if self.process is None else self.process.wait()
        # Whoever the program left behind may keep its output open: what it printed itself comes within this time.
        for each in threads:
            each.join(5)
        self.channel.send(self.number, frames.EXIT, struct.pack(">i", status))

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def close(self):
        """Nobody listens any more."""
        self.input.put(None)
        self.take_credit(1 << 40)
        if self.process is None:
            self.sock.close()
            return
        for number in (signal.SIGHUP, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            self.signal(number)
            time.sleep(2)


class Guest:
    def __init__(self, port):
        self.port, self.channel, self.sessions = port, Channel(port), {}

    def begin(self, number, body):
        request = json.loads(body)
        if "lab" in request:
            self.start_lab(number, request["lab"])
            return
        try:
            self.sessions[number] = Session(self.channel, number, request)
        except OSError as e:
            what = request["connect"] if "connect" in request else request["argv"][0]
            self.over(number, frames.STDERR, f"{what}: {e.strerror}\n", 127)

    def over(self, number, kind, text, status):
        """A session that was short."""
        self.channel.send(number, kind, text.encode())
        self.channel.send(number, frames.EXIT, struct.pack(">i", status))

    def start_lab(self, number, name):
        """As its starter on a host does (agent-client.ts), but its lifeline stays: the machine is what ends with the maker."""
        folder = f"{LABS}/{name}"
        os.makedirs(folder, 0o700)
        end, self.lifeline = os.pipe()
        agent = subprocess.Popen(
            [sys.executable, "-B", "-E", "-s", "-S", AGENT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            pass_fds=[3], preexec_fn=lambda: os.dup2(end, 3), start_new_session=True, cwd="/",
        )
        os.close(end)
        first = json.loads(agent.stdout.readline() or "{}")
        os.write(self.lifeline, f"go {first.get('pid')} {name} {folder}\n".encode())
        second = json.loads(agent.stdout.readline() or "{}")
        agent.stdout.close()
        agent.wait()
        if second.get("ready"):
            self.over(number, frames.STDOUT, json.dumps(first), 0)
        else:
            self.over(number, frames.STDERR, second.get("error", "the lab's process said nothing"), 1)

    def handle(self, number, kind, body):
        if kind == frames.RUN:
            self.begin(number, body)
            return
        session = self.sessions.get(number)
        if session is None:
            return
        if kind == frames.STDIN:
            session.input.put(body)
        elif kind == frames.STDIN_END:
            session.input.put(None)
        elif kind == frames.CREDIT:
            session.take_credit(*struct.unpack(">I", body))
        elif kind == frames.SIGNAL:
            session.signal(*struct.unpack(">i", body))
        elif kind == frames.RESIZE:
            session.resize(*struct.unpack(">HH", body))
        elif kind == frames.CLOSE:
            del self.sessions[number]
            threading.Thread(target=session.close, daemon=True).start()

    def loop(self):
        self.channel.send(0, frames.HELLO, json.dumps({"kernel": os.uname().release}).encode())
        buffer = bytearray()
        while data := os.read(self.port, 1 << 16):
            buffer += data
            for number, kind, body in frames.take(buffer, frames.OUTER):
                self.handle(number, kind, body)


def main():
    worker = os.fork()
    if worker == 0:
        Guest(find_port()).loop()
        sys.exit(0)
    # The first process is the parent of all whose own is gone, and lets them go when they end.
    while True:
        try:
            if os.wait()[0] == worker:
                break
        except ChildProcessError:
            break
    power_off()


def power_off():
    with open("/proc/sysrq-trigger", "w", encoding="ascii") as file:
        file.write("o")
    time.sleep(60)


main()
