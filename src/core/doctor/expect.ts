/** What a client should meet if all is well, as the cluster's objects say it. */
import { inPrefix, parseIp, parsePrefix } from "../model/address.ts";
import type { Endpoint, Service, ServicePort } from "../model/cluster.ts";
import { globalAddresses, type Directory } from "../names/directory.ts";
import type { Sender, Target } from "./target.ts";

/** `answer`, or why nobody should expect one. */
export type Expectation = { answer: true } | { answer: false; why: string };

const ANSWER: Expectation = { answer: true };
const no = (why: string): Expectation => ({ answer: false, why });

/** Endpoints of a Service port that get traffic: ready ones, else those that still serve while they terminate (KEP-1669). */
export function usableEndpoints(dir: Directory, service: Service, port: ServicePort, family: 4 | 6): Endpoint[] {
  const slices = (dir.slices.get(`${service.namespace}/${service.name}`) ?? []).filter(
    (slice) =>
      slice.addressType === (family === 6 ? "IPv6" : "IPv4") &&
      // A port without a number is none that kube-proxy can send to.
      slice.ports.some((each) => each.name === port.name && each.protocol === port.protocol && each.port !== null),
  );
  const all = slices.flatMap((slice) => slice.endpoints);
  const ready = all.filter((each) => each.ready);
  return ready.length > 0 ? ready : all.filter((each) => each.serving && each.terminating);
}

function mayUse(dir: Directory, sender: Sender, ranges: readonly string[]): boolean {
  const prefixes = ranges.map((each) => parsePrefix(each)).filter((each) => each !== null);
  const ns = dir.places.get(sender.place);
  const addresses = ns === undefined ? [] : globalAddresses(ns).map((each) => parseIp(each));
  return addresses.some((ip) => ip !== null && prefixes.some((prefix) => inPrefix(ip, prefix)));
}

/** What `sender` should meet at `target`. Policies are not part of this: what they forbid is theirs to explain. */
export function expectation(dir: Directory, sender: Sender, target: Target): Expectation {
  const { aim } = target;
  if (aim.kind !== "service") return ANSWER;
  const { service, port, way } = aim;
  const family = target.address.includes(":") ? 6 : 4;
  const usable = usableEndpoints(dir, service, port, family);
  const name = `${service.namespace}/${service.name}`;
  if (usable.length === 0) return no(`Service ${name} has no endpoint that is ready`);
  const local = (node: string | null): boolean => usable.some((each) => each.node === node);
  if (way === "clusterIP") {
    if (service.internalTrafficPolicy === "Local" && !local(sender.node))
      return no(
        `Service ${name} keeps its traffic on the node (internalTrafficPolicy: Local), and ${sender.node} has no endpoint`,
      );
    return ANSWER;
  }
  const ranges = way === "loadBalancer" ? (service.loadBalancerSourceRanges ?? []) : [];
  if (ranges.length > 0 && !mayUse(dir, sender, ranges)) return no(`Service ${name} admits ${ranges.join(", ")} only`);
  if (way === "nodePort" && service.externalTrafficPolicy === "Local" && aim.node !== sender.node && !local(aim.node))
    return no(
      `Service ${name} keeps its traffic on the node (externalTrafficPolicy: Local), and ${aim.node} has no endpoint`,
    );
  return ANSWER;
}
