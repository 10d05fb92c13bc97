/** `kubewalk lab up`, `scenarios`, `exec`, `snapshot`, `break`, `mend`. */
import { spawn } from "node:child_process";
import { availableParallelism, constants } from "node:os";
import { resolve } from "node:path";
import { warmAgent, type WarmAgent } from "../../../host/lab/agent-client.ts";
import { breakLab, mendLab } from "../../../host/lab/break.ts";
import { FAULTS } from "../../../host/lab/faults/index.ts";
import { findPlace } from "../../../host/lab/find-place.ts";
import { shippedScenarios } from "../../../host/lab/shipped.ts";
import { snapshotLab } from "../../../host/lab/snapshot.ts";
import { isLabel } from "../../../host/lab/scenario-item.ts";
import { makeLab, plan, scenarioText, type Plan } from "../../../host/lab/up.ts";
import { vmAgent } from "../../../host/lab/vm/agent.ts";
import { execInVm } from "../../../host/lab/vm/exec.ts";
import type { VmSize } from "../../../host/lab/vm/qemu.ts";
import type { Host } from "../../define/shared.ts";
import { EXIT, UsageError } from "../../exit.ts";
import { lines } from "../../io.ts";
import { table } from "../../text/width.ts";
import { asUsage, needLabs, withLab } from "./common.ts";

const seconds = (from: number, to: number): string => `${((to - from) / 1000).toFixed(2)} s`;

/** A plan, or nothing: then the process that waits for it goes as well. */
async function planBeside(make: () => Plan, warm: WarmAgent): Promise<Plan> {
  try {
    // The process is started first.
    await new Promise((turn) => setImmediate(turn));
    return make();
  } catch (error) {
    warm.dismiss();
    throw error;
  }
}

/** A virtual machine as people want it. */
export interface VmWish {
  /** MiB. */
  memory: number | undefined;
  cpus: number | undefined;
  accel: "tcg" | "kvm" | undefined;
}

const sizeOf = ({ memory = 1024, cpus = Math.min(2, availableParallelism()), accel = "tcg" }: VmWish): VmSize => ({
  memory,
  cpus,
  accel,
});

/**
 * Makes a lab, in a virtual machine when `vm` is not null. Resolves to the exit status. Rejects with UsageError for a scenario that makes no
 * sense and for what this machine lacks.
 */
export async function labUp(
  which: string,
  name: string | undefined,
  vm: VmWish | null,
  { io, now }: Host,
): Promise<number> {
  return asUsage(async () => {
    const start = now();
    if (name !== undefined && !isLabel(name))
      throw new UsageError(`--name: should be lower-case letters, digits and dashes, not ${name}`);
    const { file, text, usual } = scenarioText(which);
    needLabs();
    const say = (what: string): void => {
      if (io.err.isTTY) void io.err.write(`\r\u001B[K${what}`).catch(() => undefined);
    };
    // It starts while this process computes.
    const warm = vm === null ? warmAgent() : vmAgent(sizeOf(vm), say);
    const wanted = await planBeside(() => plan(text, file, usual), warm);
    const lab = await makeLab(name ?? wanted.scenario.name, wanted, say, warm);
    if (io.err.isTTY) await io.err.write("\r\u001B[K");
    lab.client.close();
    const { scenario } = wanted;
    const pods = lab.places.filter((each) => !each.place.endsWith("/host")).length;
    await io.out.write(
      lines([
        `lab ${lab.name} stands${vm === null ? "" : " in a virtual machine"}: ${lab.places.length - pods} machines, ${pods} pods, in ${seconds(start, now())}`,
        `  kubewalk lab probe --name ${lab.name}    who reaches whom`,
        `  kubewalk lab exec --name ${lab.name} ${scenario.nodes[0]?.name ?? lab.machines[0] ?? ""} -- ip route`,
        `  kubewalk lab down ${lab.name}`,
      ]),
    );
    return EXIT.answered;
  });
}

export async function labScenarios({ io }: Host): Promise<number> {
  return asUsage(async () => {
    const rows = [...shippedScenarios()].map(([name]) => {
      const { text } = scenarioText(name);
      return [name, /^about: *(.*)$/m.exec(text)?.[1] ?? ""];
    });
    await io.out.write(lines(table([["SCENARIO", "WHAT"], ...rows])));
    return EXIT.answered;
  });
}

/** Runs a program in a namespace of a lab, with this command's own streams. Resolves to the program's exit status. */
export async function labExec(name: string | undefined, place: string, argv: readonly string[]): Promise<number> {
  return withLab(name, async ({ lab, state }) => {
    const found = lab.places.find((each) => each.place === findPlace(lab, place));
    const { agent } = state;
    if (agent === null || found === undefined) throw new UsageError(`no lab ${lab.name} stands`);
    const inner = state.vm?.inner ?? null;
    const into = [
      "--target",
      String(inner ?? agent.pid),
      "--mount",
      "--pid",
      `--net=/run/netns/${found.netns}`,
      "--wd=/",
    ];
    const whose = { KUBEWALK_LAB: lab.name, KUBEWALK_PLACE: found.place };
    if (state.vm !== undefined) return execInVm(lab.name, ["nsenter", ...into, "--", ...argv], whose);
    const child = spawn("nsenter", [...into, "--", ...argv], { stdio: "inherit", env: { ...process.env, ...whose } });
    // The program gets the terminal's signals itself.
    const ignore = (): void => undefined;
    const before = process.listeners("SIGINT");
    process.removeAllListeners("SIGINT");
    process.on("SIGINT", ignore);
    try {
      return await new Promise<number>((done, failed) => {
        child.on("error", (error) => failed(new UsageError(`nsenter cannot be run: ${error.message}`)));
        child.on("close", (code, signal) => done(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
      });
    } finally {
      process.off("SIGINT", ignore);
      for (const each of before) process.on("SIGINT", each);
    }
  });
}

export async function labSnapshot(name: string | undefined, out: string, { io }: Host): Promise<number> {
  return withLab(name, async ({ lab, plan: planned }) => {
    await snapshotLab(lab, planned, resolve(out), new Date().toISOString().replace(/\.\d+Z$/, "Z"));
    await io.out.write(`${out}\n`);
    return EXIT.answered;
  });
}

/** `key=value` words as options; numbers and true, false as such. */
function optionsOf(words: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf("=");
      if (at < 1) throw new UsageError(`options of a fault are key=value, not ${word}`);
      const text = word.slice(at + 1);
      const value: unknown = /^(?:\d+|true|false)$/.test(text) ? JSON.parse(text) : text;
      return [word.slice(0, at), value];
    }),
  );
}

export async function labFaults({ io }: Host): Promise<number> {
  const rows = FAULTS.map((each) => [each.id, each.scenario, each.summary]);
  await io.out.write(lines(table([["FAULT", "SCENARIO", "WHAT"], ...rows])));
  return EXIT.answered;
}

export async function labBreak(
  name: string | undefined,
  id: string,
  words: readonly string[],
  { io }: Host,
): Promise<number> {
  const options = optionsOf(words);
  return withLab(name, async ({ lab, state }) => {
    await breakLab(lab, state, id, options);
    await io.out.write(`${id} stands in lab ${lab.name}\n`);
    return EXIT.answered;
  });
}

export async function labMend(name: string | undefined, id: string, { io }: Host): Promise<number> {
  return withLab(name, async ({ lab, state }) => {
    await mendLab(lab, state, id);
    await io.out.write(`${id} is mended in lab ${lab.name}\n`);
    return EXIT.answered;
  });
}
