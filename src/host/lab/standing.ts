/** A lab that stands, as daemons, faults and commands work with it. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { AgentClient } from "./agent-client.ts";
import { LabError, type Intended, type Job, type Lab, type LabPlace, type Ran } from "./parts.ts";
import type { ServerSpec } from "./places.ts";
import type { Scenario } from "./scenario.ts";
import { isAlive, labFolder, writeState, type LabState } from "./state.ts";

/** Programs at a time: two for each processor of most machines, because they wait for the kernel's locks most of the time. */
const WIDTH = 4;

/** What the lab's process is asked to run. */
const request = (job: Job, netns: string): object => ({
  ns: netns,
  argv: job.argv,
  ...(job.input === undefined ? {} : { stdin: job.input }),
  ...(job.env === undefined ? {} : { env: job.env }),
});

/** What a program that failed said, with the line of its input that it named. */
export function failure(job: Job, ran: Ran): LabError {
  const said = ran.err.trim().split("\n");
  const line = /:(\d+)\s*$/.exec(said.find((each) => each.startsWith("Command failed")) ?? "")?.[1];
  const given = line === undefined ? undefined : job.input?.split("\n")[Number(line) - 1];
  const what = given === undefined ? job.argv.join(" ") : `${job.argv[0] ?? ""} ${given}`;
  const words = said.filter((each) => !each.startsWith("Command failed")).join("; ");
  return new LabError(`${job.at}: ${what}: ${words === "" ? `exit status ${ran.status}` : words}`);
}

/** Where each recorded file of a machine is in the lab, by machine and absolute path. */
export type Recorded = Map<string, Map<string, string>>;

export class StandingLab implements Lab {
  readonly name: string;
  readonly scenario: Scenario;
  readonly intended: Intended;
  readonly places: readonly LabPlace[];
  readonly machines: readonly string[];
  readonly notes: Map<string, unknown>;
  readonly recorded: Recorded;
  readonly client: AgentClient;
  readonly #state: LabState;
  readonly #netns: ReadonlyMap<string, string>;

  constructor(
    client: AgentClient,
    state: LabState,
    scenario: Scenario,
    intended: Intended,
    places: readonly LabPlace[],
    recorded: Recorded,
  ) {
    this.name = state.name;
    this.client = client;
    this.#state = state;
    this.scenario = scenario;
    this.intended = intended;
    this.places = places;
    this.machines = [...new Set(places.map((each) => each.machine))];
    this.notes = new Map(Object.entries(state.notes));
    this.recorded = recorded;
    this.#netns = new Map(places.map((each) => [each.place, each.netns]));
  }

  /** The lab's name of a namespace. Throws LabError for a place that it has not. */
  netnsOf(place: string): string {
    const found = this.#netns.get(place);
    if (found === undefined) throw new LabError(`lab ${this.name} has no ${place}`);
    return found;
  }

  /** Groups at the same time, programs of a group one after the other; answers of each. */
  async runGroups(groups: readonly (readonly Job[])[]): Promise<Ran[][]> {
    const asked = groups.map((group) => group.map((job) => request(job, this.netnsOf(job.at))));
    return this.client.ask<Ran[][]>({ op: "run", groups: asked, width: WIDTH });
  }

  /** As runGroups; rejects with LabError about the first program that failed. */
  async mustGroups(groups: readonly (readonly Job[])[]): Promise<Ran[][]> {
    const wanted = groups.filter((group) => group.length > 0);
    if (wanted.length === 0) return [];
    const results = await this.runGroups(wanted);
    for (const [i, group] of wanted.entries())
      for (const [k, job] of group.entries()) {
        const ran = results[i]?.[k];
        if (ran !== undefined && ran.status !== 0) throw failure(job, ran);
      }
    return results;
  }

  async run(job: Job): Promise<Ran> {
    const [[ran] = []] = await this.runGroups([[job]]);
    if (ran === undefined) throw new LabError(`lab ${this.name}: no answer about ${job.argv.join(" ")}`);
    return ran;
  }

  async runAll(jobs: readonly Job[]): Promise<Ran[]> {
    return jobs.length === 0 ? [] : (await this.runGroups(jobs.map((job) => [job]))).flat();
  }

  async must(jobs: readonly Job[]): Promise<Ran[]> {
    return (await this.mustGroups(jobs.map((job) => [job]))).flat();
  }

  async start(name: string, job: Job): Promise<number> {
    return this.client.ask<number>({ op: "start", name, job: request(job, this.netnsOf(job.at)) });
  }

  async stop(name: string): Promise<boolean> {
    return this.client.ask<boolean>({ op: "stop", name });
  }

  async running(): Promise<ReadonlyMap<string, number>> {
    return new Map(Object.entries(await this.client.ask<Record<string, number>>({ op: "running" })));
  }

  async logOf(name: string): Promise<string> {
    return this.read(`/run/lab/log/${name.replaceAll("/", "_")}`);
  }

  folderOf(machine: string): string {
    if (!this.machines.includes(machine)) throw new LabError(`lab ${this.name} has no machine ${machine}`);
    const folder = `/run/lab/${machine}`;
    if (!this.#isVm) mkdirSync(this.outer(folder), { recursive: true });
    return folder;
  }

  /** Makes every machine's folder in a virtual machine, where that takes asking; elsewhere they come when they are needed. */
  async prepareFolders(): Promise<void> {
    if (this.#isVm)
      await this.client.ask({ op: "make-folders", paths: this.machines.map((machine) => `/run/lab/${machine}`) });
  }

  get #isVm(): boolean {
    return this.#state.vm !== undefined;
  }

  /** Numbers of the namespaces, by place. */
  async inodes(): Promise<Map<string, number>> {
    const byName = await this.client.ask<Record<string, number>>({ op: "inodes" });
    return new Map(this.places.map(({ place, netns }) => [place, byName[netns] ?? 0]));
  }

  /** Calls `act` with a folder of the host that has the files of one in the lab, and removes the lab's afterwards. */
  async withFolder<T>(path: string, act: (folder: string) => T): Promise<T> {
    const folder = this.#isVm ? mkdtempSync(join(tmpdir(), "kubewalk-lab-")) : this.outer(path);
    try {
      if (this.#isVm) {
        const files = await this.client.ask<Record<string, string>>({ op: "read-tree", path });
        for (const [name, text] of Object.entries(files)) {
          mkdirSync(dirname(join(folder, name)), { recursive: true });
          writeFileSync(join(folder, name), text);
        }
        await this.client.ask({ op: "remove-tree", path });
      }
      return act(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Makes folders in the lab. */
  async makeFolders(paths: readonly string[]): Promise<void> {
    if (this.#isVm) await this.client.ask({ op: "make-folders", paths });
    else for (const path of paths) mkdirSync(this.outer(path), { recursive: true });
  }

  /** The host's path of a path in the lab, whose mounts are its own. None in a virtual machine. */
  outer(path: string): string {
    const { agent } = this.#state;
    if (agent === null || !isAlive(agent)) throw new LabError(`lab ${this.name} is gone`);
    if (!path.startsWith("/run/") || path.includes("/../"))
      throw new LabError(`${path}: the lab's own files are below /run`);
    return join(`/proc/${agent.pid}/root`, path);
  }

  async write(path: string, text: string, mode?: number): Promise<void> {
    if (this.#isVm) {
      await this.client.ask({ op: "write-file", path, text, ...(mode === undefined ? {} : { mode }) });
      return;
    }
    const outer = this.outer(path);
    mkdirSync(dirname(outer), { recursive: true });
    writeFileSync(outer, text, mode === undefined ? {} : { mode });
  }

  async read(path: string): Promise<string> {
    if (this.#isVm) return this.client.ask<string>({ op: "read-file", path });
    try {
      return readFileSync(this.outer(path), "utf8");
    } catch (error) {
      if (error instanceof LabError) throw error;
      throw new LabError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async serve(servers: readonly ServerSpec[]): Promise<void> {
    const asked = servers.map((each) => ({ ...each, ns: this.netnsOf(each.at) }));
    const refused = await this.client.ask<[string, string, number, string][]>({ op: "serve", servers: asked });
    const [first] = refused;
    if (first !== undefined)
      throw new LabError(`${first[0]}: port ${first[2]}/${first[1]} cannot be served: ${first[3]}`);
  }

  async release(at: string, port: number): Promise<void> {
    await this.client.ask({ op: "release", ns: this.netnsOf(at), port });
  }

  async sysctl(settings: readonly { at: string; key: string; value: string }[]): Promise<void> {
    if (settings.length === 0) return;
    const asked = settings.map(({ at, key, value }) => [this.netnsOf(at), key, value]);
    const refused = await this.client.ask<[string, string, string][]>({ op: "write-sysctls", settings: asked });
    const [first] = refused;
    if (first !== undefined) throw new LabError(`${this.placeOf(first[0])}: ${first[1]} cannot be set: ${first[2]}`);
  }

  /** The place of a namespace's name. */
  placeOf(netns: string): string {
    return this.places.find((each) => each.netns === netns)?.place ?? netns;
  }

  record(machine: string, absolute: string, pathInLab: string): void {
    const files = this.recorded.get(machine) ?? new Map<string, string>();
    files.set(absolute, pathInLab);
    this.recorded.set(machine, files);
  }
}

/** Writes down what later commands need of a lab. */
export function saveLab(lab: StandingLab, state: LabState): void {
  state.notes = Object.fromEntries(lab.notes);
  const recorded = Object.fromEntries(
    [...lab.recorded].map(([machine, files]) => [machine, Object.fromEntries(files)]),
  );
  writeFileSync(join(labFolder(lab.name), "recorded.json"), JSON.stringify(recorded));
  writeState(state);
}
