/** Finds machines (nodes, and what was recorded beside them) and the addresses that they answer to. */
import { parseIp } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import { NameError, NotRecordedError } from "./errors.ts";
import { globalAddresses, type Directory } from "./directory.ts";
import { nearest } from "./suggest.ts";

/** The root namespace of a machine. Throws NameError for a name that nobody has, NotRecordedError for a node without a recording. */
export function hostNamespace(dir: Directory, machine: string): Namespace {
  const host = dir.places.get(`${machine}/host`);
  if (host !== undefined) return host;
  if (dir.nodes.has(machine) || dir.machines.has(machine)) {
    throw new NotRecordedError(`nothing was recorded of the network of node ${machine}`);
  }
  throw new NameError(`unknown node ${machine}`, nearest(machine, new Set([...dir.machines, ...dir.nodes.keys()])));
}

/**
 * Addresses of a machine that people mean by its name, in order: a node's InternalIP, else its ExternalIP; for a machine
 * that is no node, every global address of its links. Empty when none is known.
 */
export function knownAddresses(dir: Directory, machine: string): string[] {
  const node = dir.nodes.get(machine);
  for (const type of ["InternalIP", "ExternalIP"]) {
    const found = (node?.addresses ?? []).filter((a) => a.type === type && parseIp(a.address) !== null);
    if (found.length > 0) return found.map((a) => a.address);
  }
  const host = dir.places.get(`${machine}/host`);
  return host === undefined ? [] : globalAddresses(host);
}

/** As knownAddresses, but a machine that nobody knows throws NameError, and one of which nothing was recorded NotRecordedError. */
export function machineAddresses(dir: Directory, machine: string): string[] {
  const known = knownAddresses(dir, machine);
  return known.length > 0 ? known : globalAddresses(hostNamespace(dir, machine));
}
