/**
 * A node's end of the tunnel does not work: the device is down, missing, or too large for what carries it, or there is no route that
 * leads to a peer through it. The kernel removes a device's routes when it goes down (fib_disable_ip, net/ipv4/fib_frontend.c), and takes
 * no packets for its port while no device of it is up (vxlan_stop closes the socket).
 */
import { formatIp, formatPrefix } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import { fdbLine, routeLine } from "../../show/lines.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death } from "../deaths.ts";
import { lostFor, missingRoutes, networksText, type MissingRoute } from "../missing-routes.ts";
import { ownerOf, strayed } from "../peer-routes.ts";
import { overlays, type Overlay, type TunnelEnd } from "../tunnels.ts";
import type { Evidence } from "../types.ts";

/** Outer headers and the inner Ethernet header, bytes (VXLAN_HEADROOM, VXLAN6_HEADROOM of include/net/vxlan.h). */
const OVERHEAD = { 4: 50, 6: 70 } as const;

/** Deaths of carriers that a host does not take in, and of what it sends to other nodes' pods past the tunnel. */
function withoutEnd(chart: Chart, host: Namespace, port: number): Death[] {
  const deaths = deathsOf(chart);
  const refused = deaths.filter((death) => {
    const last = death.path.at(-1);
    return last?.at === host.place && last.layer > 0 && new RegExp(`(port |:)${port}\\b`).test(death.text);
  });
  return [...refused, ...strayed(chart, deaths, host)];
}

function down(chart: Chart, overlay: Overlay, end: TunnelEnd): Suspicion[] {
  if (end.link.up || !overlay.ends.some((each) => each !== end && each.link.up)) return [];
  const { host, link, port } = end;
  return [
    {
      id: "tunnel-down",
      at: host.place,
      summary: `${link.name} is down on ${host.node}: it neither sends to the pods of other nodes nor takes what they send through the tunnel`,
      evidence: [chart.evidence(link.source, `${link.name}: <${link.flags.join(",")}> mtu ${link.mtu}`)],
      remedy: [
        `ip link set ${link.name} up`,
        `# then restart the network's daemon on ${host.node} (flanneld, calico-node): the routes went with the device`,
      ],
      hurts: hurtsOf(withoutEnd(chart, host, port)),
      otherwise: "info",
    },
  ];
}

/** Nodes to which others of an overlay send, and which have no device for it. */
function missing(chart: Chart, overlay: Overlay): Suspicion[] {
  const [first] = overlay.ends;
  if (first === undefined) return [];
  const sent = new Map<string, { entry: Evidence; by: TunnelEnd }>();
  for (const end of overlay.ends)
    for (const entries of end.fdb.values())
      for (const entry of entries)
        if (entry.dst !== null && (entry.state === "permanent" || entry.state === "static"))
          sent.set(formatIp(entry.dst), { entry: chart.evidence(entry.source, fdbLine(entry)), by: end });
  return chart.hosts.flatMap((host): Suspicion[] => {
    if (overlay.byNode.has(host.node) || host.missing.has("addr")) return [];
    const addresses = host.links.flatMap((link) => link.addresses.map((each) => formatIp(each.ip)));
    const meant = addresses.map((each) => sent.get(each)).find((each) => each !== undefined);
    if (meant === undefined) return [];
    return [
      {
        id: "tunnel-down",
        at: host.place,
        summary: `${host.node} has no VXLAN device with number ${first.vni} and port ${first.port}, through which ${meant.by.host.node} sends to it`,
        evidence: [
          meant.entry,
          chart.evidence({ file: `${host.dir}/addr.json`, line: 1 }, `no such device among ${host.links.length}`),
        ],
        remedy: [`# restart the network's daemon on ${host.node} (flanneld, calico-node), which makes the device`],
        hurts: hurtsOf(withoutEnd(chart, host, first.port)),
        otherwise: "info",
      },
    ];
  });
}

/** IPIP devices that are down although others send through theirs to the node. The kernel makes tunl0 in every namespace, down and unused. */
function ipipDown(chart: Chart): Suspicion[] {
  const meant = new Map<string, Evidence>();
  for (const host of chart.hosts) {
    const devices = new Set(host.links.filter((link) => link.kind.kind === "ipip").map((link) => link.name));
    for (const route of devices.size === 0 ? [] : host.routes4)
      for (const hop of route.nexthops) {
        const node = hop.gateway === null || !devices.has(hop.dev ?? "") ? undefined : ownerOf(chart, hop.gateway);
        if (node !== undefined && node !== host.node)
          meant.set(node, chart.evidence(route.source, `${host.node}: ${routeLine(route)}`));
      }
  }
  return chart.hosts.flatMap((host): Suspicion[] => {
    const links = host.links.filter((link) => link.kind.kind === "ipip");
    const sender = meant.get(host.node);
    const [link] = links;
    if (link === undefined || sender === undefined || links.some((each) => each.up)) return [];
    const deaths = deathsOf(chart);
    const refused = deaths.filter(
      (death) =>
        death.path.at(-1)?.at === host.place && death.path.at(-1)!.layer > 0 && death.text.includes("no tunnel device"),
    );
    return [
      {
        id: "tunnel-down",
        at: host.place,
        summary: `${link.name} is down on ${host.node}, through which other nodes send to its pods`,
        evidence: [chart.evidence(link.source, `${link.name}: <${link.flags.join(",")}> mtu ${link.mtu}`), sender],
        remedy: [
          `ip link set ${link.name} up`,
          `# then restart calico-node on ${host.node}: the routes went with the device`,
        ],
        hurts: hurtsOf([...refused, ...strayed(chart, deaths, host)]),
        otherwise: "info",
      },
    ];
  });
}

/** A device whose packets do not fit into the device that carries them. */
function tooLarge(chart: Chart, { host, link, local }: TunnelEnd): Suspicion[] {
  const below =
    link.kind.kind === "vxlan"
      ? host.links.find((each) => each.name === (link.kind as { link: string | null }).link)
      : undefined;
  const overhead = OVERHEAD[local?.v ?? 4];
  if (below === undefined || link.mtu + overhead <= below.mtu) return [];
  const right = below.mtu - overhead;
  return [
    {
      id: "tunnel-down",
      at: host.place,
      summary: `${link.name} of ${host.node} takes packets of ${link.mtu} bytes, and with the tunnel's ${overhead} they do not fit ${below.name} (${below.mtu}): packets of more than ${right} bytes go out in fragments, and are lost where fragments are not let through`,
      evidence: [
        chart.evidence(link.source, `${link.name}: mtu ${link.mtu}`),
        chart.evidence(below.source, `${below.name}: mtu ${below.mtu}`),
      ],
      remedy: [`ip link set ${link.name} mtu ${right}`],
      hurts: [],
      otherwise: "warning",
    },
  ];
}

/** Routes that one node lacks, in one finding. */
export function routesMissing(chart: Chart, id: string, routes: readonly MissingRoute[]): Suspicion[] {
  const byHost = new Map<Namespace, MissingRoute[]>();
  for (const route of routes) {
    const list = byHost.get(route.host);
    if (list === undefined) byHost.set(route.host, [route]);
    else list.push(route);
  }
  return [...byHost].map(([host, list]): Suspicion => {
    const networks = list.map((each) => each.network);
    const v = networks[0]!.prefix.ip.v;
    return {
      id,
      at: host.place,
      summary: `${host.node} has no route that leads to ${networksText(networks)}`,
      evidence: list
        .slice(0, 5)
        .map(({ network, astray }) =>
          astray === null
            ? chart.evidence(
                { file: `${host.dir}/route${v}.json`, line: 1 },
                `no route ${formatPrefix(network.prefix)}`,
              )
            : chart.evidence(astray.source, routeLine(astray)),
        ),
      remedy: [
        `# restart the network's daemon on ${host.node}, which writes the routes, or until then:`,
        ...list
          .slice(0, 10)
          .map(({ network, way }) => `ip ${v === 6 ? "-6 " : ""}route replace ${formatPrefix(network.prefix)} ${way}`),
      ],
      hurts: hurtsOf(list.flatMap((each) => lostFor(chart, each))),
      otherwise: "warning",
    };
  });
}

function look(chart: Chart): Diagnosis {
  const all = overlays(chart);
  const routes = missingRoutes(chart).filter(({ network, tunnelled }) => tunnelled && network.kind === "podCIDR");
  return {
    suspicions: [
      ...all.flatMap((overlay) => [
        ...overlay.ends.flatMap((end) => [...down(chart, overlay, end), ...(end.link.up ? tooLarge(chart, end) : [])]),
        ...missing(chart, overlay),
      ]),
      ...ipipDown(chart),
      ...routesMissing(chart, "tunnel-down", routes),
    ],
  };
}

export const tunnelDown: Check = { ids: ["tunnel-down"], depth: "overlay", look };
