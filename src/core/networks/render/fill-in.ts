/**
 * What the control plane would write into objects that a person left short: addresses of Services and pods, node ports, pod networks of
 * nodes, EndpointSlices of Services with a selector. Everything that is written already stays.
 */
import { formatIp, parseIp, parsePrefix, type Prefix } from "../../model/address.ts";
import { nth, sizeOf } from "../calico/ipam/range.ts";
import { IntentError } from "../network.ts";
import { fillServices } from "./fill-services.ts";
import { errorOf, type WrittenObject } from "./objects.ts";
import { listOf, nextFree, part, textOf, textsOf } from "./plain.ts";

/** The cluster's pod networks, which kube-controller-manager cuts into one for each node (`--cluster-cidr`, `--node-cidr-mask-size`). */
export const POD_NETWORK = { 4: "10.244.0.0/16", 6: "fd00:10:244::/48" } as const;
const NODE_NETWORK = {
  4: (n: number): string => `10.244.${n}.0/24`,
  // In the form of RFC 5952, which has no zero before `::`.
  6: (n: number): string => (n === 0 ? "fd00:10:244::/64" : `fd00:10:244:${n.toString(16)}::/64`),
} as const;

/** Kinds whose objects live in a namespace, as far as networks read them. */
const NAMESPACED: ReadonlySet<string> = new Set(["Pod", "Service", "EndpointSlice", "NetworkPolicy"]);

const familyOf = (text: string): 4 | 6 => (text.includes(":") ? 6 : 4);

/** InternalIPs of a Node. */
export function internalIps(node: WrittenObject): string[] {
  return listOf(part(node.value, "status")["addresses"])
    .filter((each) => each["type"] === "InternalIP")
    .map((each) => textOf(each["address"]));
}

/** Families of the cluster: those of its nodes' addresses, the first node's first one first; IPv4 when there is none. */
export function clusterFamilies(objects: readonly WrittenObject[]): (4 | 6)[] {
  const found = objects.filter((each) => each.kind === "Node").flatMap((each) => internalIps(each).map(familyOf));
  return found.length === 0 ? [4] : [...new Set(found)];
}

function fillNodes(objects: readonly WrittenObject[]): void {
  const all = objects.filter((each) => each.kind === "Node");
  const given = (node: WrittenObject): string[] => {
    const spec = part(node.value, "spec");
    const many = textsOf(spec["podCIDRs"]);
    return many.length > 0 || textOf(spec["podCIDR"]) === "" ? many : [textOf(spec["podCIDR"])];
  };
  const taken = new Set(all.flatMap(given));
  for (const node of all) {
    const spec = part(node.value, "spec");
    const own = given(node);
    if (own.length === 0)
      for (const family of clusterFamilies([node])) {
        const cidr = nextFree(taken, NODE_NETWORK[family], 0);
        taken.add(cidr);
        own.push(cidr);
      }
    spec["podCIDRs"] = own;
    spec["podCIDR"] = own[0];
  }
}

/** Addresses that a pod has: those of its status. */
export function podIps(pod: WrittenObject): string[] {
  const status = part(pod.value, "status");
  const all = [textOf(status["podIP"]), ...listOf(status["podIPs"]).map((each) => textOf(each["ip"]))];
  return [...new Set(all.filter((ip) => ip !== ""))];
}

/** Writes addresses into a pod's status. */
export function setPodIps(pod: WrittenObject, ips: readonly string[]): void {
  const status = part(pod.value, "status");
  status["podIP"] = ips[0];
  status["podIPs"] = ips.map((ip) => ({ ip }));
}

/** The next address of a network that nobody has, from the one after the gateway's; IPv4's broadcast address is none. */
function nextAddress(pod: WrittenObject, network: Prefix, cidr: string, taken: ReadonlySet<string>): string {
  const last = sizeOf(network) - (network.ip.v === 4 ? 2n : 1n);
  for (let n = 2n; n <= last; n++) {
    const ip = formatIp(nth(network, n));
    if (!taken.has(ip)) return ip;
  }
  throw errorOf(pod, `no address of ${cidr} is left for it`);
}

function fillPods(objects: readonly WrittenObject[]): void {
  const nodes = new Map(objects.filter((each) => each.kind === "Node").map((each) => [each.name, each]));
  const all = objects.filter((each) => each.kind === "Pod");
  const taken = new Set(all.flatMap(podIps));
  for (const pod of all) {
    const spec = part(pod.value, "spec");
    const status = part(pod.value, "status");
    const name = textOf(spec["nodeName"]);
    const node = nodes.get(name);
    // Not scheduled as yet: it has no network.
    if (name === "") continue;
    if (node === undefined) throw errorOf(pod, `there is no Node "${name}" for it`);
    status["phase"] ??= "Running";
    status["conditions"] ??= [{ type: "Ready", status: "True" }];
    const hostIps = internalIps(node);
    status["hostIP"] ??= hostIps[0];
    status["hostIPs"] ??= hostIps.map((ip) => ({ ip }));
    if (podIps(pod).length > 0) continue;
    if (spec["hostNetwork"] === true) {
      setPodIps(pod, hostIps);
      continue;
    }
    const ips = textsOf(part(node.value, "spec")["podCIDRs"]).map((cidr) => {
      const network = parsePrefix(cidr);
      if (network === null) throw errorOf(node, `its pod network ${cidr} is no network`);
      const ip = nextAddress(pod, network, cidr, taken);
      taken.add(ip);
      return ip;
    });
    setPodIps(pod, ips);
  }
}

/**
 * Fills the objects in, in place, and returns them with the EndpointSlices that they lack. Throws ParseError for a pod on a node that is
 * not there, and when addresses run out; IntentError when there is no Node.
 */
export function fillIn(objects: readonly WrittenObject[]): WrittenObject[] {
  if (!objects.some((each) => each.kind === "Node"))
    throw new IntentError("the objects hold no Node: without one there is no place to program");
  for (const each of objects) {
    if (each.namespace !== "" || !NAMESPACED.has(each.kind)) continue;
    each.namespace = "default";
    part(each.value, "metadata")["namespace"] = "default";
  }
  for (const node of objects) {
    if (node.kind !== "Node") continue;
    const ips = internalIps(node);
    if (ips.length === 0) throw errorOf(node, "has no InternalIP in status.addresses");
    const wrong = ips.find((ip) => parseIp(ip) === null);
    if (wrong !== undefined) throw errorOf(node, `its InternalIP "${wrong}" is no address`);
  }
  fillNodes(objects);
  fillPods(objects);
  return [...objects, ...fillServices(objects, clusterFamilies(objects))];
}
