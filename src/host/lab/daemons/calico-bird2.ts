/**
 * Calico's BIRD for BIRD 2. confd writes for a BIRD 1.6 of Calico's own, whose protocols have no channels and which can name the tunnel of a
 * route (`krt_tunnel`); what is not of that fork alone says the same in BIRD 2 (user's guide, "Protocols": channels; migration notes of 2.0).
 */
import { aggregationConfig } from "../../../core/networks/calico/bird/aggregation-config.ts";
import { filterFunctions, functionCall } from "../../../core/networks/calico/bird/bgp-filter.ts";
import type { BirdInput } from "../../../core/networks/calico/bird/input.ts";
import { ipamConfig } from "../../../core/networks/calico/bird/ipam-config.ts";
import type { BirdPeer } from "../../../core/networks/calico/bird/peers.ts";
import { PREFERENCE_SUM } from "../../../core/networks/calico/bird/settings.ts";

/** Seconds before a session is tried. Calico waits 2; on a machine of its own nothing is gained by that. */
const CONNECT_DELAY = 1;

const block = (head: string, lines: readonly string[], end = "}"): string[] => [
  `${head} {`,
  ...lines.map((line) => `  ${line}`),
  end,
];

/** A block within a protocol: an option like others, with a semicolon behind it. */
const option = (head: string, lines: readonly string[]): string[] => block(head, lines, "};");

function communities({ settings, family }: BirdInput): string[] {
  return settings.communities
    .filter(({ cidr }) => cidr.includes(":") === (family === 6))
    .flatMap(({ cidr, values }) =>
      values.map((value) => {
        const parts = value.split(":");
        return `if net ~ ${cidr} then bgp_${parts.length === 2 ? "" : "large_"}community.add((${parts.join(", ")}));`;
      }),
    );
}

/** What BIRD has to do with the kernel: its own blocks and what it learned go in, the routes of others stay theirs. */
function kernel(family: 4 | 6): string[] {
  return [
    ...block("protocol device", ["scan time 2;"]),
    ...block(`protocol direct direct${family}`, [`ipv${family};`, 'interface -"cali*", -"kube-ipvs*", "*";']),
    ...block(`protocol kernel kernel${family}`, [
      "learn;",
      "persist;",
      "scan time 2;",
      "merge paths on;",
      "graceful restart;",
      "# Each route brings its own, as in BIRD 1.6.",
      "metric 0;",
      ...option(`ipv${family}`, [
        "import all;",
        ...option("export filter", [
          "# BIRD 2 offers the kernel its own device routes, too.",
          "if source !~ [ RTS_BGP, RTS_STATIC ] then reject;",
          "calico_to_kernel();",
          "accept;",
        ]),
      ]),
    ]),
  ];
}

function peer(each: BirdPeer, input: BirdInput): string[] {
  const { family, filters, node, settings } = input;
  const internal = each.kind === "mesh" || each.as === (each.localAs ?? node.as);
  const calls = (direction: "import" | "export"): string[] =>
    each.filters
      .map((name) => filters.get(name))
      .flatMap((filter) => (filter === undefined ? [] : (functionCall(filter, direction, family, internal) ?? [])));
  const priority = settings.priority[family];
  const port = settings.port === null ? "" : ` port ${settings.port}`;
  const source = each.source === null ? "" : ` ${each.source}`;
  return block(`protocol bgp ${each.name}`, [
    `local${source}${port} as ${each.localAs ?? node.as};`,
    `neighbor ${each.address}${each.port === null ? "" : ` port ${each.port}`} as ${each.as};`,
    ...(each.ttl === null ? ["multihop;"] : ["ttl security on;", `multihop ${each.ttl};`]),
    "graceful restart on;",
    ...(each.restart === null ? [] : [`graceful restart time ${each.restart};`]),
    ...(each.keepalive === null ? [] : [`keepalive time ${each.keepalive};`]),
    `connect delay time ${CONNECT_DELAY};`,
    "connect retry time 5;",
    "error wait time 5,30;",
    ...(each.passive ? ["passive on;"] : []),
    ...(each.reflects === null ? [] : ["rr client;", `rr cluster id ${each.reflects};`]),
    ...(each.allowLocalAs > 0 ? [`allow local as ${each.allowLocalAs};`] : []),
    ...option(`ipv${family}`, [
      "gateway recursive;",
      "add paths on;",
      ...(each.nextHop === "keep" ? ["next hop keep;"] : []),
      ...(each.nextHop === "self" ? ["next hop self;"] : []),
      ...option("import filter", [
        ...calls("import"),
        `if defined(bgp_local_pref) && (bgp_local_pref > ${PREFERENCE_SUM - priority}) then preference = 200;`,
        "accept;",
      ]),
      ...option("export filter", [
        "if source = RTS_BGP && defined(bgp_local_pref) then {",
        `  krt_metric = ${PREFERENCE_SUM} - bgp_local_pref;`,
        "} else {",
        `  if !defined(krt_metric) then krt_metric = ${priority};`,
        `  bgp_local_pref = ${PREFERENCE_SUM} - krt_metric;`,
        "}",
        ...calls("export"),
        `calico_export_to_bgp_peers(${internal});`,
        "reject;",
      ]),
    ]),
  ]);
}

/** The filters of the two other files; the kernel's filter becomes a function, and lines that name a tunnel go. */
function functions(input: BirdInput): string[] {
  const own = [...aggregationConfig(input), ...ipamConfig(input)];
  const lines: string[] = [];
  let within = false;
  for (const line of own) {
    // The static routes are said below, in a channel.
    if (/^(?:template|protocol) static/.test(line)) within = true;
    if (!within && !line.includes("krt_tunnel") && line.trim() !== "") lines.push(line);
    if (line === "}") within = false;
  }
  return lines.map((line) =>
    line
      .replace(/^filter calico_kernel_programming \{/, "function calico_to_kernel() {")
      // One next hop and several are of one kind since BIRD 2.0.
      .replace("((dest = RTD_ROUTER) || (dest = RTD_MULTIPATH))", "(dest = RTD_UNICAST)"),
  );
}

const STATIC = /^\s+(route \S+ (?:blackhole|via \S+));$/;

/**
 * BIRD 2's configuration of a node, which says what Calico's own would of `input`. Routes that BIRD should send through tunl0
 * (BGPConfiguration `programClusterRoutes: Enabled`) go without a tunnel: only Calico's fork can name one.
 */
export function calicoBird2(input: BirdInput): string {
  const { family, node, routerId, filters } = input;
  const statics = aggregationConfig(input).flatMap((line) => STATIC.exec(line)?.[1] ?? []);
  const peers = node.address[family] === null ? [] : input.peers();
  const lines = [
    `# BIRD 2, made of what Calico's confd would write for ${node.name}.`,
    `router id ${routerId};`,
    ...block("function apply_communities()", communities(input)),
    ...functions(input),
    ...filterFunctions(filters, family),
    ...kernel(family),
    ...block(`protocol static static${family}`, [`ipv${family};`, ...statics.map((each) => `${each};`)]),
    ...peers.flatMap((each) => peer(each, input)),
  ];
  return `${lines.join("\n")}\n`;
}
