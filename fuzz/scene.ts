/** One world with one ruleset, in the kernel and as a snapshot: what a probe is sent through. */
import type { Agent } from "./agent.ts";
import { applyRuleset, applyWorld, type Refusal } from "./apply.ts";
import { collectRules, collectWorld, type Files } from "./collect.ts";
import { observed } from "./compare.ts";
import { type Entry, entriesOf } from "./entries.ts";
import type { Observed, Probe, Ruleset, World } from "./world.ts";

/** Seconds without an event after which silent probes count as timed out, and the most that a batch may take. */
const QUIET = 0.06;
const LIMIT = 0.5;
/** The same when a disagreement is looked at again. */
const PATIENT_QUIET = 0.35;
const PATIENT_LIMIT = 1.2;

export class Scene {
  readonly agent: Agent;
  readonly world: World;
  readonly refusals: Refusal[] = [];
  files: Files = {};
  #lasting: Files = {};

  private constructor(agent: Agent, world: World) {
    this.agent = agent;
    this.world = world;
  }

  /** Builds a world. */
  static async build(agent: Agent, world: World): Promise<Scene> {
    const scene = new Scene(agent, world);
    scene.refusals.push(...(await applyWorld(agent, world)));
    scene.#lasting = await collectWorld(agent, world);
    return scene;
  }

  /** Puts a ruleset in the place of the one before, and takes the snapshot. */
  async rules(ruleset: Ruleset): Promise<void> {
    this.refusals.push(...(await applyRuleset(this.agent, this.world, ruleset)));
    this.files = { ...this.#lasting, ...(await collectRules(this.agent, this.world, ruleset)) };
    await this.forget();
  }

  /** Leaves nothing behind of the packets so far: connections, neighbours, route exceptions. */
  async forget(): Promise<void> {
    await this.agent.run(
      this.world.namespaces.map((ns) => ({ ns, argv: ["ip", "neigh", "flush", "all"] })),
      4,
    );
    await this.agent.forget();
  }

  /** Sends probes at once. `patient`: takes no delay of a busy machine for a timeout. */
  async send(probes: readonly Probe[], patient = false): Promise<Observed[]> {
    return (await this.#probe(probes, patient, false)).seen;
  }

  /** The same, with what connection tracking holds at the end. */
  sendAndList(probes: readonly Probe[], patient = false): Promise<{ seen: Observed[]; entries: Entry[] }> {
    return this.#probe(probes, patient, true);
  }

  async #probe(
    probes: readonly Probe[],
    patient: boolean,
    list: boolean,
  ): Promise<{ seen: Observed[]; entries: Entry[] }> {
    const { namespaces } = this.world;
    const raw = await this.agent.probes(
      probes.map((p) => ({ ...p, ns: namespaces[p.ns]! })),
      patient ? PATIENT_QUIET : QUIET,
      patient ? PATIENT_LIMIT : LIMIT,
      list,
    );
    return {
      seen: raw.results.map((r) => observed(r, namespaces)),
      entries: namespaces.flatMap((name, ns) => entriesOf(ns, raw.entries[name] ?? [])),
    };
  }
}
