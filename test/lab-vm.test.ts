/**
 * Labs in a virtual machine: the scenarios whose links most test machines lack stand on Debian's kernel, which has them, and are what was
 * computed; every command works on them; and nothing is left of a machine, however it ends.
 */
import { spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleCommand } from "../scripts/bundle.mjs";
import { diff } from "../src/core/diff/diff.ts";
import { doctor } from "../src/core/doctor/doctor.ts";
import { ask, createWorld } from "../src/core/engine/walk.ts";
import { labListSchema, labWalkSchema } from "../src/core/schema/lab.ts";
import { ALL_KINDS, missingKinds } from "../src/host/lab/kinds.ts";
import { openLab } from "../src/host/lab/open.ts";
import { serversOf } from "../src/host/lab/places.ts";
import { probeLab, readAddresses, representatives, targetsOf } from "../src/host/lab/probe.ts";
import { isAlive, readState, type LabState } from "../src/host/lab/state.ts";
import { unfitForLabs } from "../src/host/lab/up.ts";
import { vmTools } from "../src/host/lab/vm/needs.ts";
import { loadSnapshot } from "../src/host/snapshot/load.ts";

function obstacle(): string | null {
  const unfit = unfitForLabs();
  if (unfit !== null) return unfit;
  try {
    vmTools("tcg");
  } catch (error) {
    return (error as Error).message;
  }
  const missing = ["/usr/lib/cni/ipvlan", "/usr/sbin/ipvsadm", "/usr/sbin/bird"].filter((path) => !existsSync(path));
  return missing.length === 0 ? null : `not here: ${missing.join(", ")}`;
}

const reason = obstacle();
const home = mkdtempSync(join(tmpdir(), "kubewalk-vm-"));
const run = join(home, "run");
const command = join(home, "dist/kubewalk.mjs");
// Labs of these tests alone.
process.env["KUBEWALK_RUN"] = run;

function kubewalk(args: readonly string[], input = ""): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [command, "lab", ...args], { encoding: "utf8", input, maxBuffer: 1 << 28 });
}

function done(...args: string[]): string {
  const ran = kubewalk(args);
  expect({ args, status: ran.status, err: ran.stderr }).toEqual({ args, status: 0, err: ran.stderr });
  return ran.stdout;
}

/** The processes of a lab's machine. */
const processesOf = (state: LabState): number[] =>
  [state.agent, state.vm?.qemu ?? null].flatMap((each) => (isAlive(each) ? [each?.pid ?? 0] : []));

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits for what the kernel does by itself. */
async function gone(state: LabState): Promise<void> {
  for (let n = 0; n < 1000 && processesOf(state).length > 0; n++) await pause(10);
  expect(processesOf(state)).toEqual([]);
}

/** Places and targets that are asked of each lab, at most: an emulated processor takes its time. */
const MOST = 5;

/** What must hold of a lab: its snapshot is as computed, the doctor finds nothing but these, and all are answered as foretold. */
async function judge(name: string, findings: readonly string[]): Promise<void> {
  const out = join(home, `snapshot-${name}`);
  done("snapshot", out, "--name", name);
  const snapshot = await loadSnapshot(out);
  const { differences, unowned } = diff(snapshot);
  expect({ differences, unowned }).toEqual({ differences: [], unowned: [] });
  const found = doctor(snapshot).findings.filter(({ severity }) => severity !== "info");
  expect([...new Set(found.map(({ id }) => id))]).toEqual(findings);
  const { lab, plan } = await openLab(name);
  try {
    const targets = targetsOf(lab, serversOf(plan.wiring, lab.intended.objects, lab.places), await readAddresses(lab));
    const isService = (target: string): boolean => target.startsWith("svc:");
    const few = representatives(
      [...new Set(targets.map((each) => each.name))].filter((each) => !isService(each)),
      MOST,
    );
    const asking = {
      from: representatives(
        lab.places.flatMap(({ place, machine }) => (machine === "fabric" ? [] : [place])),
        MOST,
      ),
      targets: targets.filter((each) => isService(each.name) || few.includes(each.name)),
      tries: 1,
    };
    const world = createWorld(snapshot);
    const { cells } = await probeLab(lab, asking, (question) =>
      ask(world, question, { steps: false, allRules: false }),
    );
    expect(cells.filter(({ foretold }) => foretold?.agrees !== true)).toEqual([]);
    expect(cells.filter(({ seen }) => seen.some(({ client }) => client === "answered")).length).toBeGreaterThan(10);
  } finally {
    lab.client.close();
  }
}

beforeAll(async () => {
  if (reason === null) await bundleCommand(join(home, "dist"));
}, 120_000);
afterAll(() => {
  if (reason === null) kubewalk(["down", "--all"]);
  rmSync(home, { recursive: true, force: true });
});

const title = `labs in a virtual machine${reason === null ? "" : ` (skipped: ${reason})`}`;
describe.skipIf(reason !== null)(title, { timeout: 900_000 }, () => {
  test("ipvlan: as computed, as foretold; the kernel has every kind of link; programs have their streams", async () => {
    done("up", "ipvlan", "--vm");
    // Its pods bypass the node's rules, by the network's nature.
    await judge("ipvlan", ["underlay-bypasses-services"]);
    const { lab } = await openLab("ipvlan");
    expect(await missingKinds(lab.client, ALL_KINDS)).toEqual([]);
    lab.client.close();
    const many = "a line of some length\n".repeat(50_000);
    const echoed = kubewalk(["exec", "shop/web-1", "--", "sh", "-c", "cat; echo over >&2; exit 7"], many);
    expect(echoed.stdout === many).toBe(true);
    expect(echoed).toMatchObject({ status: 7, stderr: "over\n" });
    expect(done("exec", "n1", "--", "ip", "-br", "link")).not.toContain("enp");
    const listed = labListSchema.parse(JSON.parse(done("ls", "-o", "json"))).labs;
    expect(listed).toMatchObject([{ name: "ipvlan", phase: "up" }]);
    const state = readState("ipvlan");
    expect(state && processesOf(state)).toHaveLength(2);
    // The machine ends with its holder, and the next command tidies up.
    process.kill(state?.agent?.pid ?? 0, "SIGKILL");
    if (state !== null) await gone(state);
    expect(kubewalk(["down", "--all"]).stderr).toContain("removed what was left of lab ipvlan");
    expect(existsSync(join(run, "lab"))).toBe(false);
  });

  test("calico-ipip: as computed, as foretold, rule by rule; a fault is made and mended", async () => {
    done("up", "calico-ipip", "--vm");
    await judge("calico-ipip", []);
    const walk = labWalkSchema.parse(
      JSON.parse(done("walk", "shop/client-1", "svc:shop/web:80", "--name", "calico-ipip", "-o", "json")),
    );
    expect(walk).toMatchObject({ agrees: true, seen: { client: "answered" } });
    done("break", "forwarding-off", "node=n2", "--name", "calico-ipip");
    const { labs } = labListSchema.parse(JSON.parse(done("ls", "-o", "json")));
    expect(labs.find((each) => each.name === "calico-ipip")?.broken).toEqual(["forwarding-off"]);
    done("mend", "forwarding-off", "--name", "calico-ipip");
    const state = readState("calico-ipip");
    done("down", "calico-ipip");
    expect(state && processesOf(state)).toEqual([]);
  });

  test("kube-proxy-ipvs: as computed, as foretold", async () => {
    done("up", "kube-proxy-ipvs", "--vm");
    await judge("kube-proxy-ipvs", []);
    done("down", "kube-proxy-ipvs");
  });

  test.each(["SIGINT", "SIGKILL"] as const)("%s while the machine boots leaves nothing that runs", async (signal) => {
    const maker = spawn(process.execPath, [command, "lab", "up", "ipvlan", "--vm", "--name", "k"], { stdio: "ignore" });
    const over = new Promise<number | null>((resolve) => maker.on("close", (code) => resolve(code)));
    let state: LabState | null = null;
    while (maker.exitCode === null && (state?.vm?.qemu ?? null) === null) {
      await pause(5);
      state = readState("k");
    }
    expect(state && processesOf(state)).toHaveLength(2);
    maker.kill(signal);
    expect(await over).toBe(signal === "SIGINT" ? 130 : null);
    if (state !== null) await gone(state);
    done("down", "--all");
    expect(existsSync(join(run, "lab"))).toBe(false);
  });

  test("the host has no namespace of theirs", () => {
    const names = existsSync("/run/netns") ? readdirSync("/run/netns") : [];
    expect(names.filter((name) => /^kwl-(?:ipvlan|calico-ipip|kube-proxy-ipvs|k)-/.test(name))).toEqual([]);
    expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(run);
  });
});
