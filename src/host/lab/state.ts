/**
 * What is written down of each lab, before it is made: /run/kubewalk/lab/NAME (or $KUBEWALK_RUN/lab/NAME). Whoever comes later finds there
 * what to take away, however the lab's maker ended.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { LabError } from "./parts.ts";

/** A process of the host, known again by when it started. */
export interface ProcessId {
  pid: number;
  /** Clock ticks since boot (proc(5), stat, field 22). */
  started: string;
}

/** A lab's virtual machine. */
export interface VmState {
  /** QEMU; null until it is started. The holder of the machine is the lab's agent. */
  qemu: ProcessId | null;
  /** The process that holds the lab in the machine, as numbered there; null until it is there. */
  inner: number | null;
}

export interface LabState {
  format: "kubewalk.lab/v1";
  name: string;
  /** Where its scenario was read. */
  scenario: string;
  phase: "making" | "up";
  /** Who makes it. */
  maker: ProcessId;
  /** The process that holds everything; null until it is there. */
  agent: ProcessId | null;
  /** Its namespaces' names below /run/netns. */
  netns: string[];
  /** Whether /run/netns was made for this lab. */
  madeNetnsFolder: boolean;
  /** Faults that stand, in the order in which they were made. */
  broken: { id: string; options: Record<string, unknown> }[];
  /** Notes of faults. */
  notes: Record<string, unknown>;
  /** There when the namespaces are in a virtual machine, and not on the host. */
  vm?: VmState;
}

const NETNS = "/run/netns";

/** Folder of all labs. */
export const labsFolder = (): string => join(process.env["KUBEWALK_RUN"] ?? "/run/kubewalk", "lab");
export const labFolder = (name: string): string => join(labsFolder(), name);

/** When a process started; null when there is none. */
export function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie is over.
    return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

export const isAlive = (id: ProcessId | null): boolean => id !== null && startOf(id.pid) === id.started;

export function processId(pid: number): ProcessId {
  return { pid, started: startOf(pid) ?? "" };
}

/** Writes the state so that there is always a whole one. */
export function writeState(state: LabState): void {
  const folder = labFolder(state.name);
  const draft = join(folder, "state.json.new");
  writeFileSync(draft, `${JSON.stringify(state, null, 1)}\n`);
  renameSync(draft, join(folder, "state.json"));
}

/** The state of a lab; null when there is no such lab, or its maker died before it wrote any. */
export function readState(name: string): LabState | null {
  let text: string;
  try {
    text = readFileSync(join(labFolder(name), "state.json"), "utf8");
  } catch {
    return null;
  }
  try {
    const state = JSON.parse(text) as LabState;
    return state.format === "kubewalk.lab/v1" ? state : null;
  } catch {
    throw new LabError(`${join(labFolder(name), "state.json")}: is no state of a lab`);
  }
}

/** Names of the labs of which anything is left, sorted. */
export function labNames(): string[] {
  try {
    return readdirSync(labsFolder())
      .filter((name) => !name.startsWith("."))
      .toSorted();
  } catch {
    return [];
  }
}

export const hasFolder = (name: string): boolean => existsSync(labFolder(name));

/** Folders of labs that are about to be: no lab's name has a dot. */
const DRAFT = /^\.new-(\d+)$/;

/** Takes the folder of a new lab, with its state in it from the first moment; false when there is one already. */
export function takeFolder(state: LabState): boolean {
  const draft = join(labsFolder(), `.new-${process.pid}`);
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  writeFileSync(join(draft, "state.json"), `${JSON.stringify(state, null, 1)}\n`);
  try {
    renameSync(draft, labFolder(state.name));
    return true;
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (["EEXIST", "ENOTEMPTY"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

/** Makes /run/netns; whether it was not there. */
export function makeNetnsFolder(): boolean {
  return mkdirSync(NETNS, { recursive: true }) !== undefined;
}

function quietly(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EBUSY", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** Kills the process that holds a lab, and with it, by the kernel, every process and namespace of the lab. */
function killAgent(agent: ProcessId | null): void {
  if (agent === null || !isAlive(agent)) return;
  quietly(() => process.kill(agent.pid, "SIGKILL"));
  // The kernel ends the others first; it takes milliseconds.
  const nap = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 5000 && isAlive(agent); i++) Atomics.wait(nap, 0, 0, 2);
  if (isAlive(agent)) throw new LabError(`process ${agent.pid} of the lab does not end`);
}

/** Removes all that is left of a lab, whatever state it is in. Does nothing when nothing is left. Synchronous: it also runs at exit. */
export function removeLab(name: string): void {
  const state = hasFolder(name) ? readState(name) : null;
  if (state !== null) {
    killAgent(state.agent);
    killAgent(state.vm?.qemu ?? null);
    for (const netns of state.vm === undefined ? state.netns : []) quietly(() => unlinkSync(join(NETNS, netns)));
    if (state.madeNetnsFolder) quietly(() => rmdirSync(NETNS));
  }
  rmSync(labFolder(name), { recursive: true, force: true });
  quietly(() => rmdirSync(labsFolder()));
  // A folder that somebody named stays.
  if (process.env["KUBEWALK_RUN"] === undefined) quietly(() => rmdirSync(dirname(labsFolder())));
}

/** Whether a lab neither stands nor is being made: what is left of it can go. */
export function isRest(name: string): boolean {
  const state = readState(name);
  if (state === null) return true;
  return state.phase === "up" ? !isAlive(state.agent) : !isAlive(state.maker);
}

/** Removes the rests of labs whose makers or holders died. Answers their names. */
export function sweep(): string[] {
  sweepDrafts();
  const rests = labNames().filter(isRest);
  for (const name of rests) removeLab(name);
  return rests;
}

/** Folders of labs whose makers died before they had a name. */
function sweepDrafts(): void {
  if (!existsSync(labsFolder())) return;
  for (const name of readdirSync(labsFolder())) {
    const pid = DRAFT.exec(name)?.[1];
    if (pid !== undefined && startOf(Number(pid)) === null)
      rmSync(join(labsFolder(), name), { recursive: true, force: true });
  }
  quietly(() => rmdirSync(labsFolder()));
}
