/** What a lab's machines and pods have, as their namespaces and objects say. */
import { part, textOf } from "../../../core/networks/render/plain.ts";
import type { WrittenObject } from "../../../core/networks/render/objects.ts";
import { podIps } from "../../../core/networks/render/fill-in.ts";
import type { Lab, LabPlace } from "../parts.ts";

/** An address on a device of a namespace. */
export interface OwnAddress {
  dev: string;
  address: string;
  length: number;
  family: 4 | 6;
}

interface Listed {
  ifname?: unknown;
  addr_info?: { family?: unknown; local?: unknown; prefixlen?: unknown; scope?: unknown }[];
}

/** Global addresses of a namespace, as `ip -j addr` lists them. */
export async function addressesOf(lab: Lab, at: string): Promise<OwnAddress[]> {
  const [ran] = await lab.must([{ at, argv: ["ip", "-j", "addr"] }]);
  const listed = JSON.parse(ran?.out || "[]") as Listed[];
  return listed.flatMap(({ ifname, addr_info: all = [] }) =>
    all.flatMap(({ family, local, prefixlen, scope }): OwnAddress[] =>
      scope === "global" && typeof local === "string"
        ? [{ dev: String(ifname), address: local, length: Number(prefixlen), family: family === "inet6" ? 6 : 4 }]
        : [],
    ),
  );
}

/** Nodes of the scenario, by name in their order. */
export const nodeNames = (lab: Lab): string[] => lab.scenario.nodes.map(({ name }) => name);

/** The object of a Node; undefined when there is none. */
export function nodeObject(lab: Lab, name: string): WrittenObject | undefined {
  return lab.intended.objects.find((each) => each.kind === "Node" && each.name === name);
}

/** First InternalIP of a node in a family; null when it has none. */
export function internalIp(lab: Lab, name: string, family: 4 | 6 = 4): string | null {
  const listed = part(nodeObject(lab, name)?.value ?? {}, "status")["addresses"];
  const all: Record<string, unknown>[] = Array.isArray(listed) ? listed : [];
  const found = all.find(
    (each) => each["type"] === "InternalIP" && textOf(each["address"]).includes(":") === (family === 6),
  );
  return found === undefined ? null : textOf(found["address"]);
}

/** The object of a pod's place; undefined when it has none. */
export function podObject(lab: Lab, { pod }: Pick<LabPlace, "pod">): WrittenObject | undefined {
  return lab.intended.objects.find(
    (each) => each.kind === "Pod" && each.name === pod?.name && each.namespace === pod.namespace,
  );
}

/** Addresses of the pod of a place. */
export function podAddresses(lab: Lab, place: Pick<LabPlace, "pod">): string[] {
  const found = podObject(lab, place);
  return found === undefined ? [] : podIps(found);
}

/** Places of pods on a machine, in the order of the lab. */
export const podsOn = (lab: Lab, machine: string): LabPlace[] =>
  lab.places.filter((each) => each.machine === machine && each.pod !== null);
