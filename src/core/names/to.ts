/** Where a packet is sent: the words that people use → addresses, port and protocol (contract: "Places"). */
import { formatIp, parseIp } from "../model/address.ts";
import type { Service } from "../model/cluster.ts";
import type { Proto } from "../model/walk.ts";
import { candidateNames, clusterDomain, lookup, resolverOf, type DnsAnswer } from "./dns.ts";
import { globalAddresses, hasEnded, type Directory, type PodEntry } from "./directory.ts";
import { NameError, NotRecordedError } from "./errors.ts";
import { hostNamespace, machineAddresses } from "./machines.ts";
import { findPod, matchPods } from "./pods.ts";
import { choosePort, endpointAddresses, ofFamily, protoOf, serviceAddresses, type Wanted } from "./service.ts";
import { nearest, someOf } from "./suggest.ts";
import { parseTarget, portNumber, type Target } from "./target.ts";

/** One address to send to. */
export interface Destination {
  address: string;
  /** Absent for ICMP. */
  port?: number;
  proto: Proto;
  /** What the address is, for people: `svc shop/web:http`, `pod shop/web-1`; empty for a plain address. */
  what: string;
}

/** What the asker said beside the destination's text. */
export interface Asked {
  proto?: Proto;
  /** A number or a port's name. */
  port?: string;
  family?: 4 | 6;
}

/** ExternalName Services may lead to one another; more than this is a loop. */
const MOST_ALIASES = 8;

/** Joins what the text says with what was asked beside it. Throws NameError where the two disagree. */
function wantedOf(target: Target, asked: Asked, text: string): Wanted {
  if (target.proto !== null && asked.proto !== undefined && target.proto !== asked.proto) {
    throw new NameError(`"${text}" asks for ${target.proto}, the protocol given is ${asked.proto}`);
  }
  if (target.port !== null && asked.port !== undefined && target.port !== asked.port) {
    throw new NameError(`"${text}" asks for port ${target.port}, the port given is ${asked.port}`);
  }
  const proto = target.proto ?? asked.proto ?? null;
  const port = target.port ?? asked.port ?? target.schemePort;
  return { proto, port, family: asked.family ?? null };
}

/** Port and protocol for addresses that have no declared ports: TCP with a port, an ICMP echo without one. */
function plainPort(wanted: Wanted, text: string): { port?: number; proto: Proto } {
  if (wanted.port === null) {
    if (wanted.proto === null || wanted.proto === "icmp") return { proto: "icmp" };
    throw new NameError(`"${text}": ${wanted.proto} needs a port, such as ${text}:80`);
  }
  if (wanted.proto === "icmp") throw new NameError(`"${text}": ICMP has no ports`);
  const port = portNumber(wanted.port);
  if (port === null) throw new NameError(`"${text}": "${wanted.port}" is no port number`);
  return { port, proto: wanted.proto ?? "tcp" };
}

function oneOf(addresses: readonly string[], wanted: Wanted, name: string): string {
  const found = ofFamily(addresses, wanted.family);
  if (found.length > 0) return found[0]!;
  if (addresses.length === 0) throw new NotRecordedError(`no address of ${name} is known`);
  throw new NameError(`${name} has no IPv${wanted.family} address; it has ${addresses.join(", ")}`);
}

function toPod(pod: PodEntry, wanted: Wanted, text: string): Destination {
  if (hasEnded(pod)) throw new NameError(`pod ${pod.id} has ended (${pod.object?.phase}): it has no address`);
  const address = oneOf(pod.ips, wanted, `pod ${pod.id}`);
  const what = `pod ${pod.id}`;
  const ports = pod.object?.ports ?? [];
  if (wanted.port === null || portNumber(wanted.port) !== null) {
    if (wanted.port === null && wanted.proto !== null && wanted.proto !== "icmp") {
      const declared = ports.map((p) => `${p.containerPort}/${protoOf(p.protocol)}`);
      const hint =
        declared.length === 0
          ? `${text}:80`
          : `${text}:${ports[0]!.containerPort} (it declares ${declared.join(", ")})`;
      throw new NameError(`"${text}": ${wanted.proto} needs a port, such as ${hint}`);
    }
    return { address, ...plainPort(wanted, text), what };
  }
  const named = ports.filter(
    (p) => p.name === wanted.port && (wanted.proto === null || protoOf(p.protocol) === wanted.proto),
  );
  if (named.length === 0) {
    const names = ports.flatMap((p) =>
      p.name === null ? [] : [`${p.name} ${p.containerPort}/${protoOf(p.protocol)}`],
    );
    throw new NameError(
      `pod ${pod.id} has no port named ${wanted.port}; ${names.length === 0 ? "it names none" : `it has ${names.join(", ")}`}`,
    );
  }
  return { address, port: named[0]!.containerPort, proto: protoOf(named[0]!.protocol), what };
}

function toMachine(dir: Directory, machine: string, wanted: Wanted, text: string): Destination {
  const addresses = machineAddresses(dir, machine);
  const found = ofFamily(addresses, wanted.family);
  if (found.length > 1 && !dir.nodes.has(machine)) {
    throw new NameError(`${machine} has ${found.length} addresses: ${someOf(found)}; name one`);
  }
  return {
    address: oneOf(addresses, wanted, machine),
    ...plainPort(wanted, text),
    what: dir.nodes.has(machine) ? `node ${machine}` : machine,
  };
}

/** Where an ExternalName leads: another name of the cluster, an address, or beyond what the snapshot knows. */
function toExternalName(
  dir: Directory,
  service: Service,
  wanted: Wanted,
  text: string,
  aliases: number,
): Destination[] {
  const id = `${service.namespace}/${service.name}`;
  const target = service.externalName ?? "";
  if (aliases >= MOST_ALIASES) throw new NameError(`Service ${id} leads to itself through ${aliases} external names`);
  if (parseIp(target) !== null) {
    // kubernetes.io, Service, "ExternalName": an address there is taken for a host name made of digits.
    throw new NameError(
      `Service ${id} is an ExternalName for "${target}", which DNS takes for a host name and does not resolve; send to the address itself`,
    );
  }
  const answer = lookup(dir, target.replace(/\.$/, ""), clusterDomain(dir));
  if (answer === null) {
    throw new NameError(
      `Service ${id} is an ExternalName: it leads to ${target}, which the recorded cluster does not serve; send to its address`,
    );
  }
  return toAnswer(dir, answer, wanted, text, aliases + 1);
}

/** A headless Service's own number reaches its endpoints as it is: nothing translates it (no kube-proxy rules). */
function headlessPort(service: Service, wanted: Wanted): { port: number; proto: Proto; name: string } {
  const number = wanted.port === null ? null : portNumber(wanted.port);
  if (number === null || service.ports.some((p) => p.port === number)) return choosePort(service, wanted);
  return { port: number, proto: wanted.proto ?? "tcp", name: "" };
}

function toService(dir: Directory, service: Service, wanted: Wanted, text: string, aliases = 0): Destination[] {
  const id = `${service.namespace}/${service.name}`;
  if (service.externalName !== null) return toExternalName(dir, service, wanted, text, aliases);
  if (wanted.proto === "icmp") {
    if (wanted.port !== null) throw new NameError(`"${text}": ICMP has no ports`);
    return serviceAddresses(dir, service, wanted.family).map((address) => ({
      address,
      proto: "icmp",
      what: `svc ${id}`,
    }));
  }
  const { port, proto, name } = service.headless ? headlessPort(service, wanted) : choosePort(service, wanted);
  const what = `svc ${id}${name === "" ? "" : `:${name}`}`;
  return serviceAddresses(dir, service, wanted.family).map((address) => ({ address, port, proto, what }));
}

function toAnswer(dir: Directory, answer: DnsAnswer, wanted: Wanted, text: string, aliases = 0): Destination[] {
  switch (answer.kind) {
    case "service":
      return toService(dir, answer.service, wanted, text, aliases);
    case "address":
      return [{ address: oneOf([answer.address], wanted, text), ...plainPort(wanted, text), what: "" }];
    case "endpoints": {
      const { service, endpoints } = answer;
      const { port, proto } = headlessPort(service, wanted);
      const what = `endpoint of svc ${service.namespace}/${service.name}`;
      const found = ofFamily(endpointAddresses(endpoints), wanted.family);
      if (found.length === 0) throw new NameError(`${text} has no IPv${wanted.family} address`);
      return found.map((address) => ({ address, port, proto, what }));
    }
  }
}

/** Names with a slash: a pod's, a Service's, or a pod's beginning; whole names before beginnings. */
function toSlashed(dir: Directory, target: Target, wanted: Wanted, text: string): Destination[] {
  const [namespace, name] = target.name.split("/") as [string, string];
  const service = dir.services.get(target.name);
  const pods = matchPods(dir, namespace, name);
  const exact = pods.length === 1 && pods[0]!.name === name;
  if (service !== undefined && !exact) return toService(dir, service, wanted, text);
  if (pods.length > 0) return [toPod(findPod(dir, target.name), wanted, text)];
  const close = nearest(target.name, dir.pods.keys());
  const closeServices = nearest(target.name, dir.services.keys()).map((s) => `svc:${s}`);
  throw new NameError(`unknown pod ${target.name}`, [...close, ...closeServices].slice(0, 3));
}

/** Names without a slash: DNS as the source's resolver asks it, then a pod or a machine of that name. */
function toWord(dir: Directory, name: string, from: string, wanted: Wanted, text: string): Destination[] {
  if (name === "localhost") {
    // Every recorded system's /etc/hosts has it (RFC 6761 §6.3).
    return [{ address: wanted.family === 6 ? "::1" : "127.0.0.1", ...plainPort(wanted, text), what: "localhost" }];
  }
  const resolver = resolverOf(dir, from);
  const domain = clusterDomain(dir);
  for (const fqdn of candidateNames(name, resolver)) {
    const answer = lookup(dir, fqdn, domain);
    if (answer !== null) return toAnswer(dir, answer, wanted, text);
  }
  if (matchPods(dir, null, name).length > 0) return [toPod(findPod(dir, name), wanted, text)];
  if (dir.machines.has(name) || dir.nodes.has(name)) return [toMachine(dir, name, wanted, text)];
  const services = [...dir.services.values()].filter((s) => s.name === name).map((s) => `svc:${s.namespace}/${s.name}`);
  const why =
    resolver.file === null ? "" : ` (search list of ${resolver.file}: ${resolver.search.join(" ") || "none"})`;
  if (services.length > 0) throw new NameError(`${name} does not resolve from ${from}${why}`, services.slice(0, 3));
  if (name.includes("."))
    throw new NameError(`${name} is not a name that the recorded cluster resolves${why}; send to its address`);
  const known = new Set([...dir.machines, ...dir.podsByName.keys()]);
  throw new NameError(`unknown destination ${name}`, nearest(name, known));
}

/** `NODE/host`, `NODE/pod/NS/NAME`, `NODE/netns/ID` as destinations; null when the text is no such path. */
function toPlace(dir: Directory, name: string, wanted: Wanted, text: string): Destination | null {
  const parts = name.split("/");
  const ns = dir.places.get(name);
  if (parts.length === 4 && parts[1] === "pod") return toPod(findPod(dir, `${parts[2]}/${parts[3]}`), wanted, text);
  if (ns?.pod != null) return toPod(findPod(dir, `${ns.pod.namespace}/${ns.pod.name}`), wanted, text);
  if (
    parts.length === 2 &&
    parts[1] === "host" &&
    (ns !== undefined || matchPods(dir, parts[0]!, "host").length === 0)
  ) {
    return toMachine(dir, parts[0]!, wanted, text);
  }
  if (parts.length !== 3 || parts[1] !== "netns") return null;
  if (ns === undefined) {
    hostNamespace(dir, parts[0]!);
    throw new NameError(`unknown place ${name}`);
  }
  const addresses = globalAddresses(ns);
  if (ofFamily(addresses, wanted.family).length > 1)
    throw new NameError(`${name} has several addresses: ${someOf(addresses)}; name one`);
  return { address: oneOf(addresses, wanted, name), ...plainPort(wanted, text), what: "" };
}

/**
 * The addresses that `text` leads to when a program at `from` (a canonical place) sends there. A headless Service gives
 * one for each ready endpoint; everything else gives one. Throws NameError for what is unknown, malformed, or could be
 * several things; NotRecordedError for what exists but has no recorded address.
 */
export function resolveTo(dir: Directory, text: string, from: string, asked: Asked = {}): Destination[] {
  const target = parseTarget(text);
  const wanted = wantedOf(target, asked, text);
  const name = target.name;
  if (target.kind === "svc") {
    const id = name.includes("/") ? name : `${dir.places.get(from)?.pod?.namespace ?? "default"}/${name}`;
    const service = dir.services.get(id);
    if (service === undefined)
      throw new NameError(
        `unknown Service ${id}`,
        nearest(id, dir.services.keys()).map((s) => `svc:${s}`),
      );
    return toService(dir, service, wanted, text);
  }
  if (target.kind === "pod") return [toPod(findPod(dir, name), wanted, text)];
  if (target.kind === "node") return [toMachine(dir, name, wanted, text)];
  const ip = parseIp(name);
  if (ip !== null) {
    const address = formatIp(ip);
    if (wanted.family !== null && wanted.family !== ip.v)
      throw new NameError(`${address} is no IPv${wanted.family} address`);
    return [{ address, ...plainPort(wanted, text), what: "" }];
  }
  const place = toPlace(dir, name, wanted, text);
  if (place !== null) return [place];
  const slashes = name.split("/").length - 1;
  if (slashes === 1) return toSlashed(dir, target, wanted, text);
  if (slashes > 1) throw new NameError(`unknown destination ${name}`);
  return toWord(dir, name, from, wanted, text);
}
