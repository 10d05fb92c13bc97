/**
 * A Service leads to a port where nobody takes the packet: it names the wrong port (wrong-target-port), the program does not listen
 * there (nothing-listens), or only on 127.0.0.1, which nobody else reaches (listens-on-loopback). The kernel answers with RST or ICMP
 * port unreachable (tcp_v4_rcv, __udp4_lib_rcv).
 */
import type { Endpoint, Service, ServicePort } from "../../model/cluster.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Outcome } from "../../model/walk.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { listeners, listening, type Listening } from "../listening.ts";
import type { Evidence } from "../types.ts";

/** An endpoint of a Service port, and whether it takes what arrives. */
interface Place {
  ns: Namespace;
  /** `NAMESPACE/NAME` of the pod; null for endpoints that are none. */
  pod: string | null;
  address: string;
  port: number;
  proto: "tcp" | "udp";
  state: Listening;
  evidence: Evidence[];
  /** Ports of this protocol that others can reach there. */
  open: number[];
  declares: boolean;
}

interface Backed {
  service: Service;
  port: ServicePort;
  places: Place[];
}

function openPorts(ns: Namespace, proto: "tcp" | "udp"): number[] {
  const free = listeners(ns, proto).filter(({ ip }) => ip === null || (ip.v === 4 ? ip.a >>> 24 !== 127 : ip.d !== 1));
  return [...new Set(free.map(({ port }) => port))].toSorted((x, y) => x - y);
}

function placeOf(
  chart: Chart,
  hosts: ReadonlyMap<string, Namespace>,
  endpoint: Endpoint,
  port: number,
  proto: "tcp" | "udp",
): Place[] {
  const [address] = endpoint.addresses;
  if (address === undefined) return [];
  const id = endpoint.pod === null ? null : `${endpoint.pod.namespace}/${endpoint.pod.name}`;
  const entry = id === null ? undefined : chart.dir.pods.get(id);
  const ns = entry?.at ?? hosts.get(address);
  if (ns === undefined) return [];
  const object = entry?.object ?? null;
  const busy = ns.pod === null || (object !== null && object.ready && object.ports.length > 0);
  const { state, sockets } = listening(ns, proto, address, port, busy);
  const evidence = sockets.map((socket) => chart.evidence(socket.source));
  const declares =
    object?.ports.some((each) => each.containerPort === port && each.protocol.toLowerCase() === proto) ?? false;
  return [{ ns, pod: id, address, port, proto, state, evidence, open: openPorts(ns, proto), declares }];
}

function backed(chart: Chart): Backed[] {
  const hosts = new Map<string, Namespace>();
  for (const host of chart.hosts)
    for (const address of chart.dir.nodes.get(host.node)?.addresses ?? [])
      if (address.type !== "Hostname") hosts.set(address.address, host);
  return [...chart.dir.services].flatMap(([name, service]) =>
    service.ports.flatMap((port): Backed[] => {
      const proto = port.protocol.toLowerCase();
      if (proto !== "tcp" && proto !== "udp") return [];
      const places = (chart.dir.slices.get(name) ?? []).flatMap((slice) => {
        const own = slice.ports.find((each) => each.name === port.name && each.protocol === port.protocol)?.port;
        if (own === undefined || own === null) return [];
        return slice.endpoints.filter((each) => each.ready).flatMap((each) => placeOf(chart, hosts, each, own, proto));
      });
      return places.length === 0 ? [] : [{ service, port, places }];
    }),
  );
}

const isBad = ({ state }: Place): boolean => state === "nothing" || state === "loopback" || state === "other";

const nameOf = ({ service, port }: Backed): string =>
  `${service.namespace}/${service.name}${port.name === "" ? `:${port.port}` : `:${port.name}`}`;

/** Failed walks that ended where nobody listens, by the Service port or place that they asked for. */
class Refusals {
  private readonly byPort = new Map<ServicePort, Walked[]>();
  private readonly byPlace = new Map<string, Walked[]>();

  constructor(chart: Chart) {
    for (const walked of chart.survey) {
      if (!walked.failed.some((each) => each.disposition === "no-listener")) continue;
      const { aim, port } = walked.target;
      if (aim.kind === "service") this.add(this.byPort, aim.port, walked);
      else if (aim.kind === "pod" && aim.place !== null)
        this.add(this.byPlace, `${aim.place} ${walked.target.proto} ${port}`, walked);
      else if (aim.kind === "hostPort")
        this.add(
          this.byPlace,
          `${aim.pod.namespace}/${aim.pod.name} ${walked.target.proto} ${aim.containerPort}`,
          walked,
        );
    }
  }

  private add<K>(map: Map<K, Walked[]>, key: K, walked: Walked): void {
    const list = map.get(key);
    if (list === undefined) map.set(key, [walked]);
    else list.push(walked);
  }

  private hurts(walks: readonly Walked[] | undefined, counts: (outcome: Outcome) => boolean): Hurt[] {
    return (walks ?? []).flatMap((walked): Hurt[] => {
      const outcomes = walked.failed.filter((each) => each.disposition === "no-listener" && counts(each));
      return outcomes.length === 0 ? [] : [{ walked, outcomes }];
    });
  }

  /** Walks to a Service port that end at one of these places; what settled them names the place. */
  ofPort(port: ServicePort, places: readonly Place[]): Hurt[] {
    const names = [...new Set(places.map(({ ns }) => `in ${ns.place} `))];
    return this.hurts(this.byPort.get(port), ({ because }) => names.some((name) => because.text.includes(name)));
  }

  /** Walks to a place's own address, or by a hostPort to it. */
  ofPlace(place: Place): Hurt[] {
    return [`${place.ns.place}`, ...(place.pod === null ? [] : [place.pod])].flatMap((key) =>
      this.hurts(this.byPlace.get(`${key} ${place.proto} ${place.port}`), () => true),
    );
  }
}

/** All of a Service port's pods listen, but elsewhere, and none of them says that it has this port. */
function wrongTarget(chart: Chart, each: Backed, refusals: Refusals): Suspicion {
  const { service, port, places } = each;
  const first = places[0]!;
  const open = [...new Set(places.flatMap((place) => place.open))].toSorted((x, y) => x - y);
  const index = service.ports.indexOf(port);
  const meant = open.length === 1 ? String(open[0]) : "PORT";
  return {
    id: "wrong-target-port",
    at: "cluster",
    summary: `Service ${nameOf(each)} leads to ${first.proto} port ${first.port}, where none of its ${places.length === 1 ? "endpoints listens" : `${places.length} endpoints listens`}; they listen on ${open.join(", ")}`,
    evidence: [
      chart.evidence(
        service.source,
        `Service ${service.namespace}/${service.name}: port ${port.port}/${port.protocol}, targetPort ${port.targetPort}`,
      ),
      ...places.slice(0, 3).flatMap((place) =>
        listeners(place.ns, place.proto)
          .filter((socket) => place.open.includes(socket.port))
          .slice(0, 2)
          .map((socket) => chart.evidence(socket.source)),
      ),
    ],
    remedy: [
      `kubectl -n ${service.namespace} patch service ${service.name} --type=json -p '[{"op":"replace","path":"/spec/ports/${index}/targetPort","value":${meant}}]'`,
    ],
    hurts: refusals.ofPort(port, places),
    otherwise: "warning",
  };
}

function deaf(chart: Chart, all: readonly { each: Backed; place: Place }[], refusals: Refusals): Suspicion {
  const { place } = all[0]!;
  const services = [...new Set(all.map(({ each }) => nameOf(each)))];
  const loopback = place.state === "loopback";
  const who = place.pod === null ? place.ns.place : `pod ${place.pod}`;
  const where = place.evidence.map(({ text }) => /\s(\S+:\d+)\s/.exec(text)?.[1]).filter((each) => each !== undefined);
  const what = loopback
    ? `listens on ${where.join(", ") || "loopback"} only, which nobody else can reach`
    : place.state === "other"
      ? `listens on ${where.join(", ") || "other addresses"} only, not on ${place.address}`
      : place.open.length > 0
        ? `does not listen there, only on ${place.open.slice(0, 5).join(", ")}`
        : `does not listen on any ${place.proto} port`;
  const [namespace, name] = place.pod?.split("/") ?? [];
  return {
    id: loopback ? "listens-on-loopback" : "nothing-listens",
    at: place.ns.place,
    summary: `Service ${services.join(", ")} ${services.length === 1 ? "leads" : "lead"} to ${place.proto} port ${place.port} of ${who}, which ${what}`,
    evidence: [
      ...place.evidence,
      ...all.map(({ each }) =>
        chart.evidence(
          each.service.source,
          `Service ${each.service.namespace}/${each.service.name}: targetPort ${each.port.targetPort}, endpoint ${place.address}:${place.port}`,
        ),
      ),
    ],
    remedy: loopback
      ? [`# let the program in ${who} listen on 0.0.0.0 (or ::) instead of loopback`]
      : namespace === undefined
        ? [`ss -lntup   # is the program running on ${place.ns.node}?`]
        : [
            `kubectl -n ${namespace} logs ${name}`,
            `kubectl -n ${namespace} exec ${name} -- ss -lntu   # is the program running, and where does it listen?`,
          ],
    hurts: [...all.flatMap(({ each }) => refusals.ofPort(each.port, [place])), ...refusals.ofPlace(place)],
    otherwise: "warning",
  };
}

/** Ports that pods declare although nothing listens and no Service leads there: harmless, but those who try are refused. */
function declared(chart: Chart, known: ReadonlySet<string>): Suspicion[] {
  const walks = new Map<string, Walked[]>();
  for (const walked of chart.survey) {
    const { aim } = walked.target;
    if (aim.kind !== "pod" || aim.place === null || !walked.failed.some((each) => each.disposition === "no-listener"))
      continue;
    const list = walks.get(aim.place);
    if (list === undefined) walks.set(aim.place, [walked]);
    else list.push(walked);
  }
  return [...walks].flatMap(([place, list]): Suspicion[] => {
    const ns = chart.dir.places.get(place);
    const rest = list.filter(({ target }) => {
      if (ns === undefined || target.port === undefined || known.has(`${place} ${target.proto} ${target.port}`))
        return false;
      // Nobody listens there in truth; otherwise the packet went astray, which is another matter.
      return listening(ns, target.proto, target.address, target.port, false).state !== "here";
    });
    const first = rest[0];
    if (first === undefined || first.target.aim.kind !== "pod") return [];
    const { pod } = first.target.aim;
    const ports = [...new Set(rest.map(({ target }) => `${target.port}/${target.proto}`))];
    return [
      {
        id: "nothing-listens",
        at: place,
        summary: `Pod ${pod.namespace}/${pod.name} declares ${ports.join(", ")}, where nothing in it listens; no Service leads there`,
        evidence: [chart.evidence(pod.source, `Pod ${pod.namespace}/${pod.name}: containerPort ${ports.join(", ")}`)],
        remedy: [`kubectl -n ${pod.namespace} exec ${pod.name} -- ss -lntu`],
        hurts: rest.map((walked) => ({
          walked,
          outcomes: walked.failed.filter((each) => each.disposition === "no-listener"),
        })),
        otherwise: null,
        intended: true,
      },
    ];
  });
}

export const nothingListens: Check = {
  ids: ["wrong-target-port", "nothing-listens", "listens-on-loopback"],
  depth: "service",
  look(chart): Diagnosis {
    const refusals = new Refusals(chart);
    const suspicions: Suspicion[] = [];
    const byPlace = new Map<string, { each: Backed; place: Place }[]>();
    for (const each of backed(chart)) {
      const known = each.places.filter(({ state }) => state !== "unknown");
      const bad = known.filter(isBad);
      const elsewhere = bad.every(({ state, open, declares }) => state === "nothing" && open.length > 0 && !declares);
      if (bad.length > 0 && bad.length === each.places.length && elsewhere)
        suspicions.push(wrongTarget(chart, each, refusals));
      else
        for (const place of bad) {
          const key = `${place.ns.place} ${place.proto} ${place.port}`;
          const list = byPlace.get(key);
          if (list === undefined) byPlace.set(key, [{ each, place }]);
          else list.push({ each, place });
        }
    }
    for (const all of byPlace.values()) suspicions.push(deaf(chart, all, refusals));
    return { suspicions: [...suspicions, ...declared(chart, new Set(byPlace.keys()))] };
  },
};
