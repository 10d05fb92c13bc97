/** What `kubewalk render` can show of a network: kernel state, configuration of its daemons, and what neither holds. */
import type { Claim } from "../claim.ts";
import type { Network } from "../network.ts";
import { nodesOf, type Machine, type OwnDevice, type Site } from "../site.ts";
import type { Described, OwnRoute, Started } from "./machines.ts";
import type { WrittenObject } from "./objects.ts";
import { siteFromObjects } from "./site.ts";

/** A file that a daemon reads, or what a command loads. */
export interface RenderedFile {
  /** Machine that has it, or place of the namespace. */
  at: string;
  /** Its usual path, or the command that reads it. */
  path: string;
  text: string;
}

/** What is neither kernel state nor a file: who answers for an address, which entries come with the first packet. */
export interface RenderedNote {
  at: string;
  title: string;
  lines: string[];
}

/** A machine, with what it has before the network comes. */
export interface RenderedMachine {
  name: string;
  devices: Pick<OwnDevice, "name" | "mtu" | "mac" | "addresses">[];
  routes: OwnRoute[];
}

export interface Rendering {
  claims: Claim[];
  files: RenderedFile[];
  notes: RenderedNote[];
  machines: RenderedMachine[];
  /** Devices of hosts under devices of other namespaces, by the latter's `PLACE NAME`: a macvlan or ipvlan does not tell. */
  beneath: ReadonlyMap<string, string>;
  /** What it was computed from, with all that was filled in; absent for hosts without a cluster. */
  from?: RenderedFrom;
}

/** What a rendering was computed from. */
export interface RenderedFrom {
  site: Site;
  /** With what the control plane and the network's own controllers would have written. */
  objects: readonly WrittenObject[];
  started: Started;
}

/** Choices that objects do not make. */
export interface RenderOptions {
  /** One of the renderer's modes. Null: the objects', else the first of the modes. */
  mode: string | null;
}

export interface Renderer {
  name: string;
  about: string;
  /** What `--mode` takes; empty when there is nothing to choose. */
  modes: readonly string[];
  /** Throws ParseError and IntentError for objects that make no sense. */
  render(objects: readonly WrittenObject[], options: RenderOptions): Rendering;
}

/** A machine of the site, and what an object of kind Machine, or the habit without one, tells of it. */
export interface OnMachine {
  site: Site;
  machine: Machine;
  described: Described;
}

/** How a network is rendered on Nodes. */
export interface Plan {
  /** The objects with what the network's own controllers would have written. */
  objects: readonly WrittenObject[];
  started: Started;
  networks: readonly Network[];
  files?: (on: OnMachine) => RenderedFile[];
  notes?: (on: OnMachine) => RenderedNote[];
  beneath?: (on: OnMachine) => [string, string][];
}

export function renderedMachine({ name, devices, routes }: Omit<Described, "commands" | "files">): RenderedMachine {
  const told = devices.map((device) => ({
    name: device.name,
    mtu: device.mtu,
    mac: device.mac,
    addresses: device.addresses,
  }));
  return { name, devices: told, routes };
}

/** A renderer of what networks program on every Node. */
export function rendererOf(
  name: string,
  about: string,
  modes: readonly string[],
  planOf: (objects: readonly WrittenObject[], options: RenderOptions) => Plan,
): Renderer {
  return {
    name,
    about,
    modes,
    render(written, options) {
      const { objects, started, networks, files, notes, beneath } = planOf(written, options);
      const { site, described, objects: filled } = siteFromObjects(objects, started);
      const on = nodesOf(site).flatMap((machine): OnMachine[] => {
        const own = described.find((each) => each.name === machine.name);
        return own === undefined ? [] : [{ site, machine, described: own }];
      });
      const claims = on.flatMap(({ machine }) => networks.flatMap((network) => network.intend(site, machine)));
      return {
        claims: claims.filter((claim) => claim.optional !== true),
        files: on.flatMap((each) => files?.(each) ?? []),
        notes: on.flatMap((each) => notes?.(each) ?? []),
        machines: on.map((each) => renderedMachine(each.described)),
        beneath: new Map(on.flatMap((each) => beneath?.(each) ?? [])),
        from: { site, objects: filled, started },
      };
    },
  };
}

/** A network that makes these claims: for what has no part in snapshots. */
export function networkOf(name: string, intend: Network["intend"]): Network {
  return { name, about: name, intend };
}
