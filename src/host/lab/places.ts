/** The namespaces of a lab, and who serves what in them. */
import type { Claim } from "../../core/networks/claim.ts";
import type { WrittenObject } from "../../core/networks/render/objects.ts";
import { isRecord, listOf, textOf } from "../../core/networks/render/plain.ts";
import { FABRIC, type Wiring } from "./wiring.ts";
import type { LabPlace } from "./parts.ts";

/** Kinds of the file's own whose machines are no part of the fabric's list, and have a namespace nonetheless. */
const HOSTS: ReadonlySet<string> = new Set(["HostRouter"]);

/** Names of namespaces on the host begin so. */
export const PREFIX = "kwl";

function podOf(place: string): LabPlace["pod"] {
  const found = /^[^/]+\/pod\/([^/]+)\/(.+)$/.exec(place);
  return found === null ? null : { namespace: found[1] ?? "", name: found[2] ?? "" };
}

function netnsOf(lab: string, place: string, machine: string): string {
  if (place === `${machine}/host`) return `${PREFIX}-${lab}-${machine}`;
  const pod = podOf(place);
  // Pods are known by namespace and name in all of a cluster; other namespaces by their machine.
  return pod === null
    ? `${PREFIX}-${lab}-${machine}.${place.split("/").pop() ?? ""}`
    : `${PREFIX}-${lab}-${pod.namespace}.${pod.name}`;
}

/** Every namespace of a lab: the fabric's first, then machines', then pods'. */
export function placesOf(
  lab: string,
  wiring: Wiring,
  objects: readonly WrittenObject[],
  claims: readonly Claim[],
): LabPlace[] {
  const machines = new Set([FABRIC, ...wiring.machines.map((each) => each.name)]);
  for (const each of objects) if (each.apiVersion === "kubewalk/v1" && HOSTS.has(each.kind)) machines.add(each.name);
  for (const claim of claims) machines.add(claim.at.split("/", 1)[0] ?? "");
  const places = new Set([...machines].map((name) => `${name}/host`));
  for (const claim of claims) places.add(claim.at);
  for (const { kind, namespace, name, value } of objects) {
    const spec = isRecord(value["spec"]) ? value["spec"] : {};
    const node = textOf(spec["nodeName"]);
    if (kind === "Pod" && node !== "" && spec["hostNetwork"] !== true) places.add(`${node}/pod/${namespace}/${name}`);
  }
  return [...places].map((place) => {
    const [machine = ""] = place.split("/", 1);
    const netns = netnsOf(lab, place, machine);
    return { place, machine, netns, path: `/run/netns/${netns}`, pod: podOf(place) };
  });
}

export interface ServerSpec {
  at: string;
  proto: "tcp" | "udp";
  port: number;
  address?: string;
}

/** What those serve who have no ports of their own to say. */
const USUAL: readonly ("tcp" | "udp")[] = ["tcp", "udp"];
const USUAL_PORT = 8080;

function protoOf(word: unknown): "tcp" | "udp" | null {
  const proto = (textOf(word) || "TCP").toLowerCase();
  return proto === "tcp" || proto === "udp" ? proto : null;
}

function podServers({ namespace, name, value }: WrittenObject): ServerSpec[] {
  const spec = isRecord(value["spec"]) ? value["spec"] : {};
  const node = textOf(spec["nodeName"]);
  if (node === "") return [];
  const at = spec["hostNetwork"] === true ? `${node}/host` : `${node}/pod/${namespace}/${name}`;
  return listOf(spec["containers"])
    .flatMap((each) => listOf(each["ports"]))
    .flatMap((port): ServerSpec[] => {
      const proto = protoOf(port["protocol"]);
      return proto === null || typeof port["containerPort"] !== "number"
        ? []
        : [{ at, proto, port: port["containerPort"] }];
    });
}

/** Published ports of Docker's containers, as `docker run --publish` takes them. */
function containerServers(host: WrittenObject): ServerSpec[] {
  const spec = isRecord(host.value["spec"]) ? host.value["spec"] : {};
  return listOf(spec["containers"]).flatMap((container) => {
    const at = `${host.name}/netns/${textOf(container["name"])}`;
    const ports = Array.isArray(container["ports"]) ? container["ports"] : [];
    return ports.flatMap((port: unknown): ServerSpec[] => {
      const text = typeof port === "string" ? (/:(\d+)(?:\/(\w+))?$/.exec(port) ?? []) : [];
      const number = isRecord(port) ? port["containerPort"] : Number(text[1]);
      const proto = protoOf(isRecord(port) ? port["protocol"] : text[2]?.toUpperCase());
      return proto === null || typeof number !== "number" || !(number > 0) ? [] : [{ at, proto, port: number }];
    });
  });
}

/** The lab's own servers: those of pods, of containers, and of the hosts around. */
export function serversOf(
  wiring: Wiring,
  objects: readonly WrittenObject[],
  places: readonly LabPlace[],
): ServerSpec[] {
  const found = new Map<string, ServerSpec>();
  const add = (each: ServerSpec): void => void found.set(`${each.at} ${each.proto} ${each.port}`, each);
  for (const object of objects) {
    if (object.kind === "Pod") for (const each of podServers(object)) add(each);
    if (object.kind === "DockerHost") for (const each of containerServers(object)) add(each);
  }
  const known = new Set([...found.values()].map((each) => each.at));
  for (const { place } of places)
    if (place.includes("/netns/") && !known.has(place))
      for (const proto of USUAL) add({ at: place, proto, port: USUAL_PORT });
  for (const machine of wiring.machines) {
    const at = `${machine.name}/host`;
    for (const port of machine.ports) {
      const proto = protoOf(port.protocol);
      if (proto !== null) add({ at, proto, port: port.port });
    }
    if (machine.name === "outside") for (const proto of USUAL) add({ at, proto, port: USUAL_PORT });
  }
  return [...found.values()];
}
