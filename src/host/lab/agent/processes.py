"""Programs in the lab's namespaces: those that are waited for, those that stay, and the pause processes."""
import os, signal, threading


class Processes:
    def __init__(self, spaces, lab):
        self.spaces, self.lab = spaces, lab
        self.lock = threading.Condition()
        self.expected, self.statuses = set(), {}
        self.named = {}

    def environment(self, more=None):
        path = os.environ.get("PATH", "")
        path = ":".join([path] + [x for x in ("/usr/sbin", "/sbin", "/usr/bin", "/bin") if x not in path.split(":")])
        return {**os.environ, "PATH": path, "LC_ALL": "C", "KUBEWALK_LAB": self.lab, **(more or {})}

    def spawn(self, ns, argv, env, files):
        """Starts a program in a namespace. Under the lock, so that its end is not seen before it is expected."""
        actions = [(os.POSIX_SPAWN_DUP2, f, i) for i, f in enumerate(files)]
        with self.lock:
            self.spaces.enter(ns)
            pid = os.posix_spawnp(argv[0], argv, env, file_actions=actions, setsigdef=[signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE], setsid=True)
            self.expected.add(pid)
        return pid

    def reap(self):
        """Takes every child that ended; orphans of the lab's programs are children of this process, too."""
        with self.lock:
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                if pid == 0:
                    return
                if pid in self.expected:
                    self.expected.discard(pid)
                    self.statuses[pid] = os.waitstatus_to_exitcode(status)
                    self.lock.notify_all()

    def wait(self, pid, seconds=None):
        """Exit status; negative for a signal; None when it is not over in time."""
        with self.lock:
            self.lock.wait_for(lambda: pid in self.statuses, seconds)
            return self.statuses.pop(pid, None)

    # --- waited for

    def one(self, job):
        files = [os.memfd_create(x) for x in ("in", "out", "err")]
        try:
            if job.get("stdin"):
                data = memoryview(job["stdin"].encode())
                while data:
                    data = data[os.write(files[0], data):]
                os.lseek(files[0], 0, os.SEEK_SET)
            try:
                pid = self.spawn(job["ns"], job["argv"], self.environment(job.get("env")), files)
            except FileNotFoundError:
                return {"status": 127, "out": "", "err": f"{job['argv'][0]}: not found"}
            status = self.wait(pid)
            out, err = (os.pread(f, os.fstat(f).st_size, 0).decode(errors="replace") for f in files[1:])
            return {"status": status, "out": out, "err": err}
        finally:
            for f in files:
                os.close(f)

    def run(self, groups, width):
        """Programs of a group one after the other; `width` groups at a time."""
        results = [None] * len(groups)
        numbers = iter(range(len(groups)))
        taking = threading.Lock()
        failed = []

        def work():
            while True:
                with taking:
                    i = next(numbers, None)
                if i is None:
                    return
                try:
                    results[i] = [self.one(job) for job in groups[i]]
                except Exception as e:
                    failed.append(e)
                    return

        threads = [threading.Thread(target=work) for _ in range(min(width, len(groups)))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if failed:
            raise failed[0]
        return results

    # --- those that stay

    def pause(self, ns, place):
        """The process that holds a namespace, as a pod's first container does."""
        null = os.open("/dev/null", os.O_RDWR)
        try:
            self.spawn(ns, ["sleep", "infinity"], self.environment({"KUBEWALK_PLACE": place}), [null, null, null])
        finally:
            os.close(null)

    def start(self, name, job):
        if name in self.running():
            raise ValueError(f"{name} runs already")
        log = f"/run/lab/log/{name.replace('/', '_')}"
        files = [os.open("/dev/null", os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)]
        try:
            pid = self.spawn(job["ns"], job["argv"], self.environment(job.get("env")), [files[0], files[1], files[1]])
        finally:
            for f in files:
                os.close(f)
        self.named[name] = pid
        return pid

    def running(self):
        with self.lock:
            self.named = {name: pid for name, pid in self.named.items() if pid in self.expected}
            return dict(self.named)

    def stop(self, name):
        """Asks a program to end, with all that it started in its session; after two seconds it is killed."""
        pid = self.named.pop(name, None)
        if pid is None:
            return False
        for number, seconds in ((signal.SIGTERM, 2), (signal.SIGKILL, None)):
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                pass
            with self.lock:
                if self.lock.wait_for(lambda: pid not in self.expected, seconds):
                    break
        with self.lock:
            self.statuses.pop(pid, None)
        return True
