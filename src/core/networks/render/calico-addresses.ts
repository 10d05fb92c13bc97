/** What Calico's own programs write into the datastore: nodes' addresses and tunnels, pods' addresses, the blocks that both are of. */
import { formatPrefix } from "../../model/address.ts";
import { text, textMap, object } from "../raw.ts";
import { nextAddress } from "../calico/ipam/assign.ts";
import { readIpam } from "../calico/ipam/read.ts";
import type { Block, IpamState, Use } from "../calico/ipam/state.ts";
import { IntentError } from "../network.ts";
import { clusterOf } from "./cluster-of.ts";
import { clusterFamilies, internalIps, podIps, setPodIps } from "./fill-in.ts";
import type { Described } from "./machines.ts";
import { errorOf, madeObject, type WrittenObject } from "./objects.ts";
import { part, textOf } from "./plain.ts";

const CRD = "crd.projectcalico.org/v1";
const ANNOTATION = "projectcalico.org/";

/** How a pool carries packets between nodes, as its object says it. */
interface Carriers {
  vxlan: boolean;
  ipip: boolean;
}

const specOfPool = (pool: WrittenObject): Record<string, unknown> => part(pool.value, "spec");

const isPoolOf =
  (family: 4 | 6) =>
  (pool: WrittenObject): boolean =>
    pool.kind === "IPPool" && textOf(specOfPool(pool)["cidr"]).includes(":") === (family === 6);

/** Carriers of a family's pools. */
export function carriersOf(objects: readonly WrittenObject[], family: 4 | 6): Carriers {
  const pools = objects.filter(isPoolOf(family)).map(specOfPool);
  const uses = (field: string): boolean => pools.some((spec) => !["", "Never"].includes(textOf(spec[field])));
  return { vxlan: uses("vxlanMode"), ipip: uses("ipipMode") };
}

/** The node's address with its length, as calico-node detects it on its devices (autodetection, first-found). */
function detected(ip: string, described: Described | undefined): string {
  const given = described?.devices.flatMap((each) => each.addresses).find((each) => each.startsWith(`${ip}/`));
  return given ?? `${ip}/${ip.includes(":") ? 64 : 24}`;
}

/** Asks Calico's IPAM. Throws ParseError, naming `whose`, when there is no address. */
class Giver {
  #state: IpamState;

  constructor(state: IpamState) {
    this.#state = state;
  }

  get state(): IpamState {
    return this.#state;
  }

  next(
    whose: WrittenObject,
    node: string,
    family: 4 | 6,
    use: Use,
    handle: string,
    attributes: Record<string, string>,
    more: Partial<Parameters<typeof nextAddress>[1]> = {},
  ): string {
    const request = { node, family, use, holder: { handle, attributes: { node, ...attributes } }, ...more };
    const { assignment, state } = nextAddress(this.#state, request);
    if (assignment.address === null) throw errorOf(whose, assignment.why);
    this.#state = state;
    return assignment.address;
  }
}

/** Addresses of a node's tunnels (node/pkg/allocateip). */
function annotateNode(
  node: WrittenObject,
  giver: Giver,
  objects: readonly WrittenObject[],
  described: Described | undefined,
): void {
  const annotations = part(part(node.value, "metadata"), "annotations");
  for (const ip of internalIps(node)) {
    const family = ip.includes(":") ? 6 : 4;
    annotations[`${ANNOTATION}IPv${family}Address`] ??= detected(ip, described);
    const { vxlan, ipip } = carriersOf(objects, family);
    const tunnel = (name: string, handle: string, type: string): void => {
      if (annotations[ANNOTATION + name] !== undefined) return;
      const attributes = { type };
      annotations[ANNOTATION + name] = giver.next(
        node,
        node.name,
        family,
        "Tunnel",
        `${handle}-${node.name}`,
        attributes,
      );
    };
    if (vxlan && family === 4) tunnel("IPv4VXLANTunnelAddr", "vxlan-tunnel-addr", "vxlanTunnelAddress");
    if (vxlan && family === 6) tunnel("IPv6VXLANTunnelAddr", "vxlan-v6-tunnel-addr", "vxlanV6TunnelAddress");
    if (ipip && family === 4) tunnel("IPv4IPIPTunnelAddr", "ipip-tunnel-addr", "ipipTunnelAddress");
  }
}

function addressPod(
  pod: WrittenObject,
  giver: Giver,
  families: readonly (4 | 6)[],
  objects: readonly WrittenObject[],
): void {
  const namespaceName = pod.namespace === "" ? "default" : pod.namespace;
  const namespace = objects.find((each) => each.kind === "Namespace" && each.name === namespaceName);
  const meta = object(pod.value["metadata"]);
  const about = object(namespace?.value["metadata"]);
  const node = text(object(pod.value["spec"])["nodeName"]) ?? "";
  const attributes = { namespace: namespaceName, pod: pod.name };
  const ips = families.map((family) =>
    giver.next(pod, node, family, "Workload", `k8s-pod-network.${namespaceName}.${pod.name}`, attributes, {
      annotations: textMap(meta["annotations"]),
      // Every namespace has its name for a label.
      namespace: {
        labels: { "kubernetes.io/metadata.name": namespaceName, ...textMap(about["labels"]) },
        annotations: textMap(about["annotations"]),
      },
    }),
  );
  setPodIps(pod, ips);
}

/** A block as its object has it: allocations by number of their attributes. */
function blockObject(block: Block): WrittenObject {
  const cidr = formatPrefix(block.prefix);
  const used = [...block.allocations.values()];
  const size = used.length + block.free.length;
  return madeObject({
    apiVersion: CRD,
    kind: "IPAMBlock",
    metadata: { name: cidr.replaceAll(/[.:/]/g, "-") },
    spec: {
      cidr,
      affinity: block.owner === null ? null : `${block.owner.type}:${block.owner.host}`,
      allocations: Array.from({ length: size }, (_, i) => {
        const at = used.findIndex(({ ordinal }) => ordinal === i);
        return at < 0 ? null : at;
      }),
      unallocated: [...block.free],
      attributes: used.map(({ handle, attributes }) => ({ handle_id: handle, secondary: { ...attributes } })),
      strictAffinity: false,
      deleted: false,
    },
  });
}

/**
 * Gives nodes and pods the addresses that Calico would, in the order in which they were written, and returns the objects with the blocks
 * and affinities that follow. Throws ParseError when a pool is exhausted or none fits, IntentError when no pool makes sense.
 */
export function giveCalicoAddresses(
  objects: readonly WrittenObject[],
  machines: ReadonlyMap<string, Described>,
): WrittenObject[] {
  // No clock here: 0 makes every block old enough to be reclaimed, of which there are none.
  const state = readIpam(clusterOf(objects), null);
  if (state === null) throw new IntentError("no IPPool of the objects has a network that makes sense");
  const giver = new Giver(state);
  const nodes = objects.filter((each) => each.kind === "Node");
  for (const node of nodes) annotateNode(node, giver, objects, machines.get(node.name));
  const served = clusterFamilies(objects).filter((family) => objects.some(isPoolOf(family)));
  for (const pod of objects) {
    const spec = object(pod.value["spec"]);
    const onNode = nodes.some((node) => node.name === spec["nodeName"]);
    if (pod.kind !== "Pod" || !onNode || spec["hostNetwork"] === true || podIps(pod).length > 0) continue;
    addressPod(pod, giver, served, objects);
  }
  const affinities = giver.state.affinities.map(({ name, owner, prefix, state: confirmed }) =>
    madeObject({
      apiVersion: CRD,
      kind: "BlockAffinity",
      metadata: { name },
      spec: { cidr: formatPrefix(prefix), node: owner.host, type: owner.type, state: confirmed, deleted: "false" },
    }),
  );
  const others = objects.filter((each) => each.kind !== "IPAMBlock" && each.kind !== "BlockAffinity");
  return [...others, ...[...giver.state.blocks.values()].map(blockObject), ...affinities];
}
