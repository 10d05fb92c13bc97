/** A lab made: from a scenario to namespaces that stand. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ParseError } from "../../core/model/source.ts";
import type { Claim } from "../../core/networks/claim.ts";
import { warmAgent, type WarmAgent } from "./agent-client.ts";
import { claimBatches, fabricLines, ipJobs, machineLines, type Batch } from "./batches.ts";
import { DAEMONS } from "./daemons/index.ts";
import { breakLab, faultOf } from "./break.ts";
import { compute, type Computed } from "./intended.ts";
import { kindsOf, missingKinds } from "./kinds.ts";
import { LabError, type Job, type LabDaemon } from "./parts.ts";
import { placesOf, serversOf } from "./places.ts";
import { readScenario } from "./scenario-read.ts";
import type { DaemonSpec, Scenario } from "./scenario.ts";
import { shippedScenarios } from "./shipped.ts";
import { saveLab, StandingLab } from "./standing.ts";
import {
  isRest,
  labFolder,
  labNames,
  makeNetnsFolder,
  processId,
  readState,
  removeLab,
  sweep,
  takeFolder,
  writeState,
  type LabState,
} from "./state.ts";
import { FABRIC, wire, type Wiring } from "./wiring.ts";

/** Says what is being done now. */
export type Saying = (what: string) => void;

/** Everything that is known of a lab before it is made. */
export interface Plan {
  scenario: Scenario;
  /** The scenario's own text. */
  text: string;
  wiring: Wiring;
  computed: Computed;
}

/** The text of a scenario by its shipped name or as a file. Throws LabError. */
export function scenarioText(which: string): { file: string; text: string; usual: string } {
  const shipped = shippedScenarios();
  const path = shipped.get(which) ?? which;
  const usual = (path.split("/").pop() ?? path).replace(/\.ya?ml$/, "");
  try {
    return { file: shipped.has(which) ? `${which}.yaml` : path, text: readFileSync(path, "utf8"), usual };
  } catch (error) {
    const known = [...shipped.keys()].join(", ");
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new LabError(`${which}: no such file, and no scenario of this name; there are ${known}`);
    throw new LabError(`${which}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Reads and computes a scenario. Throws LabError with file and line for what makes no sense. */
export function plan(text: string, file: string, usual: string): Plan {
  try {
    const scenario = readScenario(text, file, usual);
    const wiring = wire(scenario);
    return { scenario, text, wiring, computed: compute(scenario, wiring) };
  } catch (error) {
    if (error instanceof ParseError) throw new LabError(error.message);
    throw error;
  }
}

/** The daemons of a scenario with their specs. Throws LabError for one that there is not. */
export function daemonsOf(scenario: Scenario): { daemon: LabDaemon; spec: DaemonSpec }[] {
  return scenario.daemons.map((spec) => {
    const daemon = DAEMONS.find((each) => each.name === spec.name);
    if (daemon === undefined)
      throw new LabError(
        `${spec.file}:${spec.line}: there is no daemon ${spec.name}; there are ${DAEMONS.map((each) => each.name).join(", ")}`,
      );
    return { daemon, spec };
  });
}

/** Whether a program is in one of the folders that the lab's programs are looked for in. */
function isHere(program: string): boolean {
  const path = `${process.env["PATH"] ?? ""}${delimiter}/usr/sbin${delimiter}/sbin${delimiter}/usr/bin${delimiter}/bin`;
  return program.startsWith("/")
    ? existsSync(program)
    : path.split(delimiter).some((folder) => existsSync(join(folder, program)));
}

/** Packages of Debian that bring the programs which a lab runs. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  bridge: "iproute2",
  sleep: "coreutils",
  "iptables-restore": "iptables",
  "ip6tables-restore": "iptables",
  ipset: "ipset",
  nft: "nftables",
  nfacct: "nfacct",
  ipvsadm: "ipvsadm",
};

function checkPrograms(needed: readonly { program: string; package: string }[]): void {
  const missing = needed.filter((each) => !isHere(each.program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((each) => each.package))];
  const programs = [...new Set(missing.map((each) => each.program))];
  throw new LabError(
    `not here: ${programs.join(", ")}; apt-get install ${packages.join(" ")} brings ${programs.length === 1 ? "it" : "them"}`,
  );
}

/** What can be told at once of why no lab can be made by this user on this machine; null when nothing speaks against it. */
export function unfitForLabs(): string | null {
  if (process.platform !== "linux") return "a lab needs Linux";
  if (process.getuid?.() !== 0) return "a lab needs root, to make network namespaces";
  if (!isHere("python3")) return "a lab needs Python 3 (apt-get install python3-minimal)";
  if (!isHere("ip")) return "a lab needs iproute2 (apt-get install iproute2)";
  return null;
}

/** Why no lab can be made by this user on this machine, tried; null when it can. */
export function cannotMakeLabs(): string | null {
  const unfit = unfitForLabs();
  if (unfit !== null) return unfit;
  const tried = spawnSync("unshare", ["--net", "--pid", "--fork", "--mount", "true"], { encoding: "utf8" });
  return tried.status === 0 ? null : `network namespaces cannot be made here: ${tried.stderr.trim()}`;
}

/** Takes the lab's folder and writes down what will be made. Throws LabError when there is such a lab, or its names meet another's. */
function takeName(name: string, scenario: string, netns: readonly string[], isVm: boolean): LabState {
  for (const other of labNames()) {
    // Machines have their own names.
    const theirs = other === name || isVm ? null : readState(other);
    const meets = theirs?.vm === undefined ? theirs?.netns.find((each) => netns.includes(each)) : undefined;
    if (meets !== undefined) throw new LabError(`lab ${other} has a namespace ${meets}, too: choose another --name`);
  }
  const state: LabState = {
    format: "kubewalk.lab/v1",
    name,
    scenario,
    phase: "making",
    maker: processId(process.pid),
    agent: null,
    netns: [...netns],
    madeNetnsFolder: false,
    broken: [],
    notes: {},
    ...(isVm ? { vm: { qemu: null, inner: null } } : {}),
  };
  if (!takeFolder(state)) {
    if (!isRest(name))
      throw new LabError(`lab ${name} stands already: kubewalk lab down ${name}, or choose another --name`);
    removeLab(name);
    if (!takeFolder(state)) throw new LabError(`lab ${name} is being made by another kubewalk`);
  }
  return state;
}

const hasLoads = (batch: Batch): boolean => batch.loads.length > 0;

/** Makes kernel state: segments, machines with what their networks put on them, then pods, then settings. */
async function apply(lab: StandingLab, { wiring, computed, scenario }: Plan, claims: readonly Claim[]): Promise<void> {
  const netnsOf = (place: string): string => lab.netnsOf(place);
  const byMachine = new Map<string, Claim[]>();
  for (const claim of claims) {
    const [machine = ""] = claim.at.split("/", 1);
    const list = byMachine.get(machine);
    if (list === undefined) byMachine.set(machine, [claim]);
    else list.push(claim);
  }
  const laid = fabricLines(wiring, netnsOf);
  if (laid.length > 0)
    await lab.must([{ at: `${FABRIC}/host`, argv: ["ip", "-batch", "-"], input: `${laid.join("\n")}\n` }]);
  const hosts: Batch[] = [];
  const others: Batch[] = [];
  for (const machine of lab.machines) {
    const place = `${machine}/host`;
    const batches = claimBatches(machine, byMachine.get(machine) ?? [], computed.beneath, netnsOf);
    const wired = wiring.machines.find((each) => each.name === machine);
    for (const batch of batches.values()) {
      if (batch.at === place) {
        // A host that BIRD tells of has its address by both.
        if (wired !== undefined) batch.ip.unshift(...machineLines(wired).filter((line) => !batch.ip.includes(line)));
        hosts.push(batch);
      } else others.push(batch);
    }
  }
  const nodes = new Set(scenario.nodes.map((each) => each.name));
  const given = hosts.flatMap(({ at }) =>
    nodes.has(at.split("/", 1)[0] ?? "")
      ? Object.entries(scenario.sysctls).map(([key, value]) => ({ at, key, value }))
      : [],
  );
  await lab.sysctl(given);
  // Rules need no devices, so they are loaded while others make theirs.
  await lab.mustGroups([...hosts.map(ipJobs), ...hosts.filter(hasLoads).map((each) => each.loads)]);
  await lab.mustGroups(others.map((each) => [...ipJobs(each), ...each.loads]));
  await loadIpvs(lab, computed);
  await lab.sysctl([...hosts, ...others].flatMap((batch) => batch.sysctl.map((each) => ({ at: batch.at, ...each }))));
  await loadVirtualServers(lab, computed);
}

const VIRTUAL_SERVERS = "ipvsadm --restore";

/** ipvs' own settings are there with its module, which ipvsadm loads. Rejects with LabError where there is none. */
async function loadIpvs(lab: StandingLab, { files }: Computed): Promise<void> {
  const first = files.find((each) => each.path === VIRTUAL_SERVERS);
  if (first !== undefined) await lab.must([{ at: first.at, argv: ["ipvsadm", "--list", "--numeric"] }]);
}

/** ipvs' virtual servers are no claims. */
async function loadVirtualServers(lab: StandingLab, { files }: Computed): Promise<void> {
  const jobs = files
    .filter((each) => each.path === VIRTUAL_SERVERS)
    .map((each): Job => ({ at: each.at, argv: ["ipvsadm", "--restore"], input: each.text }));
  await lab.must(jobs);
}

function neededPrograms(
  computed: Computed,
  daemons: readonly { daemon: LabDaemon }[],
): { program: string; package: string }[] {
  const kinds = new Set(
    computed.claims.flatMap((claim) => {
      if (claim.kind === "set") return claim.state.backend === "ipset" ? ["ipset"] : ["nft"];
      if (claim.kind !== "chain" && claim.kind !== "rule") return [];
      const chain = claim.kind === "chain" ? claim.state : claim.chain;
      if (chain.backend === "nft") return ["nft"];
      return [chain.family === "ip" ? "iptables-restore" : "ip6tables-restore"];
    }),
  );
  if (computed.files.some((each) => each.path === VIRTUAL_SERVERS)) kinds.add("ipvsadm");
  const own = ["ip", "bridge", "sleep", ...kinds].map((program) => ({
    program,
    package: PACKAGES[program] ?? program,
  }));
  return [...own, ...daemons.flatMap(({ daemon }) => daemon.programs)];
}

/**
 * Makes the lab of a plan and resolves when everything in it works. Rejects with LabError for what the machine lacks, before anything is made,
 * and for what goes wrong, after all of it was removed again. `warm`: an agent's process that was started before.
 */
export async function makeLab(
  name: string,
  wanted: Plan,
  say: Saying,
  warm: WarmAgent = warmAgent(),
): Promise<StandingLab> {
  try {
    return await make(name, wanted, say, warm);
  } catch (error) {
    warm.dismiss();
    throw error;
  }
}

async function make(name: string, wanted: Plan, say: Saying, warm: WarmAgent): Promise<StandingLab> {
  const { scenario, text, wiring, computed } = wanted;
  const daemons = daemonsOf(scenario);
  for (const { id } of scenario.faults) faultOf(id);
  checkPrograms(neededPrograms(computed, daemons));
  sweep();
  const places = placesOf(name, wiring, computed.objects, computed.claims);
  const state = takeName(
    name,
    scenario.file,
    places.map((each) => each.netns),
    warm.isVm === true,
  );
  const tidy = tidyAtExit(name);
  try {
    writeFileSync(join(labFolder(name), "scenario.yaml"), text);
    state.madeNetnsFolder = state.vm === undefined && makeNetnsFolder();
    writeState(state);
    const agent = await warm.begin(name, (id, vm) => {
      state.agent = id;
      if (vm !== undefined) state.vm = vm;
      writeState(state);
    });
    const lab = new StandingLab(agent.client, state, scenario, computed, places, new Map());
    const missing = await missingKinds(agent.client, kindsOf(computed.claims));
    if (missing.length > 0)
      throw new LabError(
        `this kernel has no links of kind ${missing.map(({ kind, brings }) => `${kind}: ${brings} would bring it`).join("; ")}${state.vm === undefined ? "; lab up --vm boots a kernel of /boot, which may have it" : ""}`,
      );
    await lab.prepareFolders();
    say(`${places.length} namespaces`);
    const forwards = new Set(wiring.machines.flatMap((each) => (each.kind === "router" ? [each.name] : [])));
    await agent.client.ask({
      op: "create",
      places: places.map((each) => ({
        netns: each.netns,
        place: each.place,
        forwards: forwards.has(each.machine) && each.place.endsWith("/host"),
      })),
    });
    say("devices, routes, rules");
    const brought = (claim: Claim): boolean =>
      daemons.some(({ daemon, spec }) => daemon.brings?.(claim, spec, scenario) === true);
    await apply(
      lab,
      wanted,
      computed.claims.filter((claim) => !brought(claim)),
    );
    await lab.serve(serversOf(wiring, computed.objects, places));
    for (const { daemon, spec } of daemons) {
      say(daemon.name);
      await daemon.start(lab, spec);
    }
    for (const { id, options } of scenario.faults) {
      say(`fault ${id}`);
      await breakLab(lab, state, id, options);
    }
    await agent.commit();
    state.phase = "up";
    saveLab(lab, state);
    return lab;
  } catch (error) {
    removeLab(name);
    throw error;
  } finally {
    tidy.over();
  }
}

/** Whatever ends this process while a lab is being made, but kill -9, takes the lab with it. */
function tidyAtExit(name: string): { over(): void } {
  const tidy = (): void => removeLab(name);
  const end = (): void => process.exit(130);
  const signals = ["SIGTERM", "SIGHUP", "SIGINT"] as const;
  process.on("exit", tidy);
  for (const each of signals) process.on(each, end);
  return {
    over() {
      process.off("exit", tidy);
      for (const each of signals) process.off(each, end);
    },
  };
}
