/** What a scenario's networks would program, all of them together. */
import type { Claim } from "../../core/networks/claim.ts";
import { IntentError } from "../../core/networks/network.ts";
import { checkUnique, type WrittenObject } from "../../core/networks/render/objects.ts";
import type { RenderedFile, RenderedNote, Rendering } from "../../core/networks/render/renderer.ts";
import { RENDERERS } from "../../core/networks/render/renderers.ts";
import { fillIn } from "../../core/networks/render/fill-in.ts";
import { isRecord } from "../../core/networks/render/plain.ts";
import { NETWORKS } from "../../core/networks/registry.ts";
import { nodesOf, type Machine, type Site } from "../../core/networks/site.ts";
import { ParseError } from "../../core/model/source.ts";
import { objectsOf } from "./objects.ts";
import { LabError, type Intended } from "./parts.ts";
import type { NetworkChoice, Scenario } from "./scenario.ts";
import type { Wiring } from "./wiring.ts";

/** A program's command line and a node's own files, as networks read them. */
export interface NodeConfiguration {
  machine: string;
  /** By program, each with its environment before it. */
  commands: Map<string, string>;
  /** By absolute path, or by name for those of programs/. */
  files: Map<string, string>;
}

export interface Computed extends Intended {
  notes: RenderedNote[];
  beneath: ReadonlyMap<string, string>;
  configuration: NodeConfiguration[];
}

/** Who has the last word comes last: kube-proxy needs the addresses that others give to Services. */
function inOrder(networks: readonly NetworkChoice[]): NetworkChoice[] {
  return networks.toSorted((a, b) => Number(a.network === "kube-proxy") - Number(b.network === "kube-proxy"));
}

/** A machine with what several networks have put beside each other on it: the first that says a thing has it. */
function merged(machines: readonly Machine[]): Machine | null {
  const [first] = machines;
  if (first === undefined) return null;
  return {
    ...first,
    command(program) {
      for (const each of machines) {
        const command = each.command(program);
        if (command !== null) return command;
      }
      return null;
    },
    file(path) {
      for (const each of machines) {
        const file = each.file(path);
        if (file !== null) return file;
      }
      return null;
    },
    files: (prefix) => [...new Set(machines.flatMap((each) => each.files(prefix)))].toSorted(),
  };
}

/** The site of all renderings: pods' devices are those of the first network, which is the pods'. */
function mergedSite(renderings: readonly Rendering[]): Site | null {
  const froms = renderings.flatMap((each) => (each.from === undefined ? [] : [each.from]));
  const last = froms.at(-1);
  if (last === undefined) return null;
  const machines = last.site.machines.flatMap(({ name }) => {
    const machine = merged(froms.flatMap(({ site }) => site.machines.filter((each) => each.name === name)));
    return machine === null ? [] : [machine];
  });
  return { cluster: last.site.cluster, machines };
}

/** Programs whose command lines are told. */
function programsOf(renderings: readonly Rendering[], objects: readonly WrittenObject[]): Set<string> {
  const programs = new Set(renderings.flatMap((each) => Object.keys(each.from?.started.commands ?? {})));
  for (const { kind, value } of objects) {
    const spec = kind === "Machine" && isRecord(value["spec"]) ? value["spec"]["commands"] : null;
    if (isRecord(spec)) for (const program of Object.keys(spec)) programs.add(program);
  }
  return programs;
}

function configurationOf(machine: Machine, programs: ReadonlySet<string>): NodeConfiguration {
  const own: NodeConfiguration = { machine: machine.name, commands: new Map(), files: new Map() };
  for (const program of programs) {
    const command = machine.command(program);
    if (command === null) continue;
    const env = [...command.env].map(([name, value]) => `${name}=${value}`);
    own.commands.set(program, [...(env.length > 0 ? ["env", ...env] : []), program, ...command.words].join(" "));
  }
  for (const path of machine.files("")) {
    const file = machine.file(path);
    if (file !== null) own.files.set(path, file.text);
  }
  return own;
}

/** What every network that runs on a site's nodes wants; of what may be there or not only settings, which the programs do write. */
function siteClaims(site: Site): Claim[] {
  const all = nodesOf(site).flatMap((machine) => NETWORKS.flatMap((network) => network.intend(site, machine)));
  return all.filter((claim) => claim.optional !== true || claim.kind === "sysctl");
}

/**
 * Computes the objects, kernel state and files of a scenario. Throws LabError naming file and line for objects that make no sense.
 */
export function compute(scenario: Scenario, wiring: Wiring): Computed {
  return computeFor(scenario, objectsOf(scenario, wiring));
}

/** The same for objects that are there already, as faults have changed them. The renderers write into them. Throws LabError. */
export function computeFor(scenario: Scenario, given: readonly WrittenObject[]): Computed {
  let objects = given;
  const claims: Claim[] = [];
  const files: RenderedFile[] = [];
  const notes: RenderedNote[] = [];
  const beneath = new Map<string, string>();
  const configuration: NodeConfiguration[] = [];
  const renderings: Rendering[] = [];
  try {
    checkUnique(objects);
    for (const { network, mode } of inOrder(scenario.networks)) {
      const renderer = RENDERERS.find((each) => each.name === network);
      if (renderer === undefined) throw new LabError(`no network ${network}`);
      const rendering = renderer.render(objects, { mode });
      claims.push(...rendering.claims);
      files.push(...rendering.files);
      notes.push(...rendering.notes);
      for (const [place, dev] of rendering.beneath) beneath.set(place, dev);
      objects = rendering.from?.objects ?? objects;
      renderings.push(rendering);
    }
    const site = mergedSite(renderings);
    if (site !== null) {
      claims.unshift(...siteClaims(site));
      const programs = programsOf(renderings, objects);
      configuration.push(...nodesOf(site).map((machine) => configurationOf(machine, programs)));
    }
    if (scenario.nodes.length > 0 && !objects.some((each) => each.kind === "EndpointSlice")) objects = fillIn(objects);
  } catch (error) {
    if (error instanceof ParseError) throw new LabError(error.message);
    if (error instanceof IntentError) throw new LabError(`${scenario.file}: ${error.message}`);
    throw error;
  }
  return { objects, claims: unique(claims), files, notes, beneath, configuration };
}

/** What makes two claims one. */
function keyOf(claim: Claim): string {
  switch (claim.kind) {
    case "chain":
      return `${claim.at} chain ${JSON.stringify(claim.state)}`;
    case "rule":
      return `${claim.at} rule ${claim.owner} ${JSON.stringify([claim.chain, claim.state])}`;
    case "set":
      return `${claim.at} set ${JSON.stringify({ ...claim.state, elements: null })}`;
    default:
      return `${claim.at} ${claim.kind} ${JSON.stringify(claim.state)}`;
  }
}

/** Two networks may say the same, such as a setting that both need; which one says it first has it. */
function unique(claims: readonly Claim[]): Claim[] {
  const seen = new Set<string>();
  return claims.filter((claim) => {
    const key = keyOf(claim);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
