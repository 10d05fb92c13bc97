/**
 * A pod's hostPort swallows what is sent to a load balancer's address: the rule of the portmap plugin asks for the port alone
 * (`--dst-type LOCAL … --dports 443`), so that it also takes the address of a Service when the node holds that itself (a local route
 * of the cloud's agent, kube-vip, an external address) and the rule comes before kube-proxy's. Whoever asks the Service is then
 * answered by another program.
 */
import { formatIp, inPrefix, parseIp } from "../../model/address.ts";
import type { Pod, Service, ServicePort } from "../../model/cluster.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { NftJson } from "../../model/nftables.ts";
import type { Source } from "../../model/source.ts";
import type { Outcome, Step } from "../../model/walk.ts";
import { alikeRules } from "../../model/xtables.ts";
import { ask } from "../../engine/walk.ts";
import { senderAt } from "../asking.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { namedEndpoints, serviceAt } from "../service-addresses.ts";
import type { Way } from "../target.ts";

/** Questions beyond the survey. */
const MOST_ASKED = 200;

interface Published {
  pod: Pod;
  node: string;
  proto: "tcp" | "udp";
  hostPort: number;
  containerPort: number;
}

interface Rival {
  service: Service;
  port: ServicePort;
  way: Way;
  address: string;
}

/** Ports of nodes that pods take for themselves, without an address of their own. */
function published(chart: Chart): Published[] {
  return chart.snapshot.cluster.pods.flatMap((pod) =>
    pod.node === null || pod.hostNetwork || pod.phase === "Succeeded" || pod.phase === "Failed"
      ? []
      : pod.ports.flatMap((each): Published[] => {
          const proto = each.protocol.toLowerCase();
          const any = each.hostIP === null || each.hostIP === "0.0.0.0" || each.hostIP === "::";
          if (each.hostPort === null || !any || (proto !== "tcp" && proto !== "udp") || pod.node === null) return [];
          return [{ pod, node: pod.node, proto, hostPort: each.hostPort, containerPort: each.containerPort }];
        }),
  );
}

/** Addresses of Services beyond the clusterIP, by protocol and port. */
function rivals(chart: Chart): Map<string, Rival[]> {
  const found = new Map<string, Rival[]>();
  for (const service of chart.dir.services.values()) {
    const addresses: [Way, string][] = [
      ...service.externalIPs.map((ip): [Way, string] => ["externalIP", ip]),
      ...service.loadBalancerIPs.map((ip): [Way, string] => ["loadBalancer", ip]),
    ];
    if (addresses.length === 0) continue;
    for (const port of service.ports) {
      const key = `${port.protocol.toLowerCase()} ${port.port}`;
      const list = found.get(key) ?? [];
      list.push(...addresses.map(([way, address]) => ({ service, port, way, address })));
      found.set(key, list);
    }
  }
  return found;
}

/** Whether the pod itself stands behind the Service: then nothing is swallowed. */
function isOwn(chart: Chart, { pod, containerPort }: Published, { service, port }: Rival): boolean {
  const named = namedEndpoints(chart.dir, service, port);
  return pod.ips.some((ip) => named.has(`${ip} ${containerPort}`));
}

const answeredBy = (outcome: Outcome, pod: Pod): boolean =>
  outcome.server !== undefined && outcome.server.at.endsWith(`/pod/${pod.namespace}/${pod.name}`);

/** Rules of `host` that rewrite the port to the pod, whoever wrote them. */
function rules(
  host: Namespace,
  { pod, proto, hostPort, containerPort }: Published,
): { source: Source; addressed: boolean }[] {
  const number = proto === "tcp" ? 6 : 17;
  return host.xtables.flatMap((set) =>
    set.tables
      .filter((table) => table.name === "nat")
      .flatMap((table) => table.chains)
      .flatMap((chain) =>
        (alikeRules(chain).some(({ target }) => target.t === "dnat") ? chain.rules : []).flatMap((rule) => {
          const { target, matches } = rule;
          if (target.t !== "dnat" || target.range.min === null || target.range.ports?.[0] !== containerPort) return [];
          if (!pod.ips.includes(formatIp(target.range.min))) return [];
          const onPort = matches.some(
            (match) => match.m === "dport" && match.range[0] <= hostPort && hostPort <= match.range[1],
          );
          const onProto = matches.some((match) => match.m === "proto" && match.proto === number);
          return onPort && onProto
            ? [{ source: { file: set.file, line: rule.line }, addressed: matches.some((match) => match.m === "dst") }]
            : [];
        }),
      ),
  );
}

const isRecord = (value: NftJson | undefined): value is { [key: string]: NftJson } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `payload … field == value` of an nft statement. */
function payload(statement: NftJson, field: string): NftJson | undefined {
  const match = isRecord(statement) ? statement["match"] : undefined;
  const left = isRecord(match) ? match["left"] : undefined;
  const own = isRecord(left) ? left["payload"] : undefined;
  return isRecord(match) && isRecord(own) && own["field"] === field && match["op"] === "=="
    ? match["right"]
    : undefined;
}

/** The same where the plugin writes nftables itself (plugins/meta/portmap/portmap_nftables.go). */
function nftRules(
  host: Namespace,
  { pod, hostPort, containerPort }: Published,
): { source: Source; addressed: boolean }[] {
  const tables = host.nft?.tables.filter(({ name }) => name !== "kube-proxy" && name !== "nat") ?? [];
  return tables
    .flatMap((table) => table.chains.flatMap((chain) => chain.rules))
    .flatMap(({ expr, source }) => {
      const dnat = expr.map((each) => (isRecord(each) ? each["dnat"] : undefined)).find((each) => isRecord(each));
      if (
        !isRecord(dnat) ||
        dnat["port"] !== containerPort ||
        typeof dnat["addr"] !== "string" ||
        !pod.ips.includes(dnat["addr"])
      )
        return [];
      if (!expr.some((each) => payload(each, "dport") === hostPort)) return [];
      return [{ source, addressed: expr.some((each) => payload(each, "daddr") !== undefined) }];
    });
}

/** Whether a packet to `address` is the node's own: then `--dst-type LOCAL` takes it. */
function isLocal(host: Namespace, address: string): boolean {
  const ip = parseIp(address);
  if (ip === null) return false;
  const routes = ip.v === 4 ? host.routes4 : host.routes6;
  return routes.some((route) => route.type === "local" && inPrefix(ip, route.dst));
}

/** Walks to Services by address and port: those of the survey, and some more in a cluster where it did not ask all. */
class Asked {
  private readonly chart: Chart;
  private readonly byTarget = new Map<string, Walked[]>();
  private left = MOST_ASKED;

  constructor(chart: Chart) {
    this.chart = chart;
    for (const walked of chart.survey) {
      const { aim, proto, address, port } = walked.target;
      if (aim.kind !== "service" || aim.way === "clusterIP") continue;
      const key = `${proto} ${address} ${port}`;
      const list = this.byTarget.get(key);
      if (list === undefined) this.byTarget.set(key, [walked]);
      else list.push(walked);
    }
  }

  of(one: Published, rival: Rival): readonly Walked[] {
    const key = `${one.proto} ${rival.address} ${rival.port.port}`;
    const found = this.byTarget.get(key);
    if (found !== undefined) return found;
    const { dir, snapshot } = this.chart;
    const target = serviceAt(dir, one.proto, rival.address, rival.port.port);
    if (target === undefined) return [];
    const family = rival.address.includes(":") ? 6 : 4;
    return [`${one.node}/host`, ...(snapshot.fabric?.external ?? []).map((name) => `${name}/host`)].flatMap((place) => {
      const sender = senderAt(this.chart, place);
      return sender !== undefined && sender.families.has(family) && this.left-- > 0
        ? [this.chart.walked(sender, target)]
        : [];
    });
  }
}

/** Connections to the Service that the pod answers. */
function swallowed(asked: Asked, one: Published, rival: Rival): Hurt[] {
  return asked.of(one, rival).flatMap((walked): Hurt[] => {
    const outcomes = walked.answer.outcomes.filter((each) => answeredBy(each, one.pod));
    return outcomes.length === 0 ? [] : [{ walked, outcomes }];
  });
}

/** The rewriting to the pod in a walk that it answered: by rules of any kind, nftables as well. */
function rewriting(chart: Chart, { walked }: Hurt, pod: Pod): Source[] {
  const outcome = ask(chart.world, walked.question, { steps: true }).outcomes.find((each) => answeredBy(each, pod));
  const rewrites = (step: Step): boolean =>
    step.kind === "rule" && step.changed?.dst !== undefined && pod.ips.includes(step.changed.dst);
  const found = outcome?.steps?.find(rewrites)?.source;
  return found === undefined ? [] : [found];
}

export const hostportWormhole: Check = {
  ids: ["hostport-wormhole"],
  depth: "rules",
  look(chart): Diagnosis {
    const all = rivals(chart);
    if (all.size === 0) return { suspicions: [] };
    const asked = new Asked(chart);
    const suspicions = published(chart).flatMap((one): Suspicion[] => {
      const near = (all.get(`${one.proto} ${one.hostPort}`) ?? []).filter((rival) => !isOwn(chart, one, rival));
      const host = chart.dir.places.get(`${one.node}/host`);
      if (near.length === 0 || host === undefined) return [];
      const hurts = near.flatMap((rival) => swallowed(asked, one, rival));
      const lines = [...rules(host, one), ...nftRules(host, one)];
      const sources =
        lines.length > 0
          ? lines.map(({ source }) => source)
          : hurts.slice(0, 1).flatMap((hurt) => rewriting(chart, hurt, one.pod));
      // A rule that names an address of the node's own can't take another's.
      if (sources.length === 0 || (hurts.length === 0 && lines.every(({ addressed }) => addressed))) return [];
      const names = [...new Set(near.map(({ service }) => `${service.namespace}/${service.name}`))];
      const addresses = [...new Set(near.map(({ address }) => address))];
      const local = addresses.filter((address) => isLocal(host, address));
      const pod = `${one.pod.namespace}/${one.pod.name}`;
      return [
        {
          id: "hostport-wormhole",
          at: host.place,
          summary:
            hurts.length > 0
              ? `Pod ${pod} answers in place of Service ${names.join(", ")}: its hostPort ${one.hostPort} takes what reaches ${one.node} for ${(local.length > 0 ? local : addresses).join(", ")}`
              : `The hostPort ${one.hostPort} of pod ${pod} asks for no address: it will take what is sent to Service ${names.join(", ")} (${addresses.join(", ")}) on ${one.node} as soon as the node holds such an address itself and the rule comes before kube-proxy's`,
          evidence: [
            ...sources.slice(0, 3).map((source) => chart.evidence(source)),
            chart.evidence(one.pod.source, `Pod ${pod}: hostPort ${one.hostPort}, containerPort ${one.containerPort}`),
            ...near
              .slice(0, 3)
              .map(({ service, port, address }) =>
                chart.evidence(
                  service.source,
                  `Service ${service.namespace}/${service.name}: ${address} port ${port.port}`,
                ),
              ),
          ],
          remedy: [
            `# give pod ${pod} another hostPort than ${one.hostPort}, or a hostIP of ${one.node}'s own, so that the rule asks for that address alone`,
          ],
          hurts,
          otherwise: "warning",
        },
      ];
    });
    return { suspicions };
  },
};
