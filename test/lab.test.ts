/** Labs on the real kernel: what stands is what was computed, everybody meets what the engine foretells, and nothing is left behind. */
import { execFileSync, spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleCommand } from "../scripts/bundle.mjs";
import { labGraphSchema, labListSchema, labProbeSchema, labWalkSchema } from "../src/core/schema/lab.ts";
import { cannotMakeLabs } from "../src/host/lab/up.ts";

const reason = cannotMakeLabs();
const home = mkdtempSync(join(tmpdir(), "kubewalk-labs-"));
/** Labs of these tests alone: others on this machine are left as they are. */
const run = join(home, "run");
const env = { ...process.env, KUBEWALK_RUN: run };
const command = join(home, "dist/kubewalk.mjs");
/** No other run of these tests has this name. */
const own = (name: string): string => `t${process.pid}-${name}`;

function kubewalk(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [command, ...args], { encoding: "utf8", env, maxBuffer: 1 << 28 });
}

function done(...args: string[]): string {
  const ran = kubewalk(...args);
  expect({ args, status: ran.status, err: ran.stderr }).toEqual({ args, status: 0, err: ran.stderr });
  return ran.stdout;
}

/** Processes of labs below `run`, by what their environment or command line says. */
function processes(): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      const words = readFileSync(`/proc/${pid}/environ`, "latin1") + readFileSync(`/proc/${pid}/cmdline`, "latin1");
      // The tests' own processes have the folder in their environment; those of labs have their lab's name, too.
      return words.includes(run) && (words.includes("KUBEWALK_LAB=") || words.includes("agent.py"));
    } catch {
      return false;
    }
  });
}

const names = (): string[] =>
  existsSync("/run/netns") ? readdirSync("/run/netns").filter((name) => name.startsWith(`kwl-t${process.pid}-`)) : [];

/** What there is of a host that a lab might touch. */
function hostState(): Record<string, string> {
  const text = (program: string, ...args: string[]): string =>
    execFileSync(program, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  const settings = spawnSync("sysctl", ["-a", "-r", "^net\\."], { encoding: "utf8", maxBuffer: 1 << 28 }).stdout;
  return {
    links: text("ip", "-d", "link").replaceAll(
      /(?:qlen|gc_timer|hello_timer|tcn_timer|topology_change_timer) +[\d.]+/g,
      "",
    ),
    addresses: text("ip", "-o", "addr").replaceAll(/(?:valid|preferred)_lft \S+/g, ""),
    routes:
      text("ip", "route", "show", "table", "all") +
      text("ip", "-6", "route", "show", "table", "all").replaceAll(/expires \S+/g, ""),
    rules: text("ip", "rule") + text("ip", "-6", "rule"),
    rulesets: text("nft", "list", "ruleset").replaceAll(/packets \d+ bytes \d+/g, ""),
    // Counters and hints that change by themselves.
    settings: settings
      .split("\n")
      .filter((line) => !/nf_conntrack_count|inet_peer|tcp_fastopen_key|stable_secret|\.nr_|_count = /.test(line))
      .join("\n"),
    mounts: readFileSync("/proc/self/mounts", "utf8"),
  };
}

beforeAll(async () => {
  if (reason === null) await bundleCommand(join(home, "dist"));
}, 60_000);
afterAll(() => {
  if (reason === null) kubewalk("lab", "down", "--all");
  rmSync(home, { recursive: true, force: true });
});

describe.skipIf(reason !== null)(`labs${reason === null ? "" : ` (skipped: ${reason})`}`, { timeout: 240_000 }, () => {
  test("flannel-vxlan: no difference to what was computed, and all that is asked ends as foretold", () => {
    const name = own("a");
    done("lab", "up", "flannel-vxlan", "--name", name);
    const list = labListSchema.parse(JSON.parse(done("lab", "ls", "-o", "json")));
    expect(list.labs).toMatchObject([{ name, phase: "up", namespaces: 17, broken: [] }]);
    // One that holds each namespace, and the lab's own.
    expect(processes()).toHaveLength(18);
    const snapshot = join(home, "snapshot");
    done("lab", "snapshot", snapshot, "--name", name);
    const diff = JSON.parse(done("diff", snapshot, "-o", "json")) as { differences: unknown[]; unowned: unknown[] };
    expect(diff).toMatchObject({ differences: [], unowned: [] });
    const report = labProbeSchema.parse(JSON.parse(done("lab", "probe", "--name", name, "-o", "json")));
    expect(report.cells.length).toBeGreaterThan(300);
    expect(report.cells.filter((cell) => cell.foretold?.agrees !== true)).toEqual([]);
    expect(report.cells.filter((cell) => cell.seen.every((each) => each.client === "answered")).length).toBeGreaterThan(
      350,
    );
    const graph = labGraphSchema.parse(JSON.parse(done("lab", "graph", "--name", name, "-o", "json")));
    // One pair for each node, for the host outside, and for each pod; a tunnel between each two nodes.
    expect(graph.links.filter((each) => each.kind === "veth")).toHaveLength(3 + 1 + 12);
    expect(graph.links.filter((each) => each.kind === "tunnel")).toHaveLength(3);
    const walk = labWalkSchema.parse(
      JSON.parse(done("lab", "walk", "shop/client-1", "svc:shop/web:80", "--name", name, "-o", "json")),
    );
    expect(walk).toMatchObject({ agrees: true, seen: { client: "answered" } });
    expect(walk.places.flatMap((each) => each.kernel).length).toBeGreaterThan(10);
    expect(
      done("lab", "exec", "--name", name, "shop/client-1", "--", "ip", "-o", "-4", "addr", "show", "eth0"),
    ).toContain("10.244.");
    expect(kubewalk("lab", "exec", "--name", name, "n1", "--", "sh", "-c", "exit 7").status).toBe(7);
    done("lab", "down", name);
    expect({ names: names(), processes: processes(), left: existsSync(join(run, "lab")) }).toEqual({
      names: [],
      processes: [],
      left: false,
    });
  });

  test("two labs of one scenario do not meet, and the host is as before", () => {
    const before = hostState();
    const [a, b] = [own("b"), own("c")];
    for (const name of [a, b]) done("lab", "up", "flannel-vxlan", "--name", name);
    expect(kubewalk("lab", "up", "flannel-vxlan", "--name", a)).toMatchObject({ status: 2 });
    // Both answer at the same addresses, each in its own.
    for (const name of [a, b]) {
      const cells = labProbeSchema.parse(
        JSON.parse(
          done("lab", "probe", "--name", name, "--from", "shop/client-1", "--to", "svc:shop/web", "-o", "json"),
        ),
      ).cells;
      expect(cells.length).toBeGreaterThan(0);
      expect(cells.every((cell) => cell.foretold?.agrees === true)).toBe(true);
    }
    done("lab", "exec", "--name", a, "n1", "--", "ip", "link", "del", "flannel.1");
    const broken = kubewalk("lab", "probe", "--name", b, "--from", "n1", "--to", "shop/web-2", "--no-engine");
    expect(broken.status).toBe(0);
    expect(hostState()).toEqual(before);
    done("lab", "down", "--all");
    expect(names()).toEqual([]);
    expect(hostState()).toEqual(before);
  });

  test("interrupted, it leaves nothing", async () => {
    const child = spawn(process.execPath, [command, "lab", "up", "flannel-vxlan", "--name", own("i")], {
      env,
      stdio: "ignore",
    });
    const over = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)));
    while (names().length < 5 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 2));
    child.kill("SIGINT");
    expect(await over).toBe(130);
    expect({ names: names(), processes: processes(), left: existsSync(join(run, "lab")) }).toEqual({
      names: [],
      processes: [],
      left: false,
    });
  });

  test("killed at 50 moments, lab down finds and removes every rest", { timeout: 400_000 }, async () => {
    // Evenly over the time that one takes, so that every stage is met.
    const start = performance.now();
    done("lab", "up", "flannel-vxlan", "--name", own("k"));
    const whole = performance.now() - start;
    done("lab", "down", "--all");
    for (let i = 0; i < 50; i++) {
      const child = spawn(process.execPath, [command, "lab", "up", "flannel-vxlan", "--name", own("k")], {
        env,
        stdio: "ignore",
      });
      const over = new Promise<void>((resolve) => child.on("close", () => resolve()));
      await new Promise((resolve) => setTimeout(resolve, (whole * (i + 1)) / 50));
      // Every second time the lab's own process is killed as well, so that it cannot tidy up after its maker.
      if (i % 2 === 1) for (const pid of processes()) spawnSync("kill", ["-9", pid]);
      child.kill("SIGKILL");
      await over;
      const ran = kubewalk("lab", "down", "--all");
      expect({ i, status: ran.status }).toEqual({ i, status: 0 });
      expect({ i, names: names(), left: existsSync(join(run, "lab")) }).toEqual({ i, names: [], left: false });
      // What had no rest written down ends by itself, as its maker's end is told to it.
      for (let n = 0; n < 500 && processes().length > 0; n++) await new Promise((resolve) => setTimeout(resolve, 10));
      expect({ i, processes: processes() }).toEqual({ i, processes: [] });
    }
  });
});
