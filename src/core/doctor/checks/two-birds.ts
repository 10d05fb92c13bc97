/**
 * Two BIRDs in one network namespace: in a kernel table that both write, one takes the other's routes for its own of an
 * earlier life, and deletes them at its next scan (BIRD, sysdep/unix/krt.c: krt_got_route, KRT_SRC_BIRD); of two that call one router, which takes one session
 * from an address, the second is refused (RFC 4271 6.8).
 */
import type { Namespace } from "../../model/namespace.ts";
import type { Socket } from "../../model/socket.ts";
import type { Source } from "../../model/source.ts";
import type { Machine } from "../../networks/site.ts";
import { birdConf, type BirdConf } from "../bird-conf.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death } from "../deaths.ts";
import { isAstray } from "../lost.ts";
import { strayed } from "../peer-routes.ts";
import type { Evidence } from "../types.ts";

const ID = "two-birds";
/** Where BIRD looks when it is not told (its build's sysconfdir): Debian and RPM packages, a build by hand. */
const PATHS = [
  "/etc/bird/bird.conf",
  "/etc/bird.conf",
  "/usr/local/etc/bird.conf",
  "/etc/bird/bird6.conf",
  "/etc/bird6.conf",
] as const;
const CALICO = [
  { path: "/etc/calico/confd/config/bird.cfg", family: 4 },
  { path: "/etc/calico/confd/config/bird6.cfg", family: 6 },
] as const;
const BGP = 179;
const MAIN = 254;

interface Speaker {
  path: string;
  conf: BirdConf;
  /** Its command line; null when none was recorded, so that it may not run. */
  command: Source | null;
}

/** The configurations that recorded processes name, each line of a file being a process. */
function processes(
  chart: Chart,
  machine: Machine,
  commands: readonly string[],
): { path: string; six: boolean; source: Source }[] {
  return commands.flatMap((file) =>
    (chart.snapshot.text(file) ?? "").split("\n").flatMap((line, at) => {
      const words = line.trim().split(/[\s;]+/);
      const found = words.findLastIndex((word) => /(^|\/)bird6?$/.test(word));
      if (found < 0) return [];
      const rest = words.slice(found + 1);
      const given = rest.indexOf("-c");
      const six = words[found]!.endsWith("6");
      const standard = PATHS.find((path) => machine.file(path) !== null && path.includes("bird6") === six);
      const path = given < 0 ? standard : rest[given + 1];
      return path === undefined ? [] : [{ path, six, source: { file, line: at + 1 } }];
    }),
  );
}

/** Files with command lines, by machine. */
function commandFiles(chart: Chart): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const file of chart.snapshot.files) {
    const node = /^nodes\/([^/]+)\/programs\/[^/]*\.cmdline$/.exec(file)?.[1];
    if (node !== undefined) found.set(node, [...(found.get(node) ?? []), file]);
  }
  return found;
}

/** BIRDs of a machine: those whose processes were recorded, and those that only have a configuration. */
function speakers(chart: Chart, machine: Machine, commands: readonly string[]): Speaker[] {
  const found: Speaker[] = [];
  for (const { path, six, source } of processes(chart, machine, commands)) {
    const conf = birdConf(machine, path, six ? 6 : 4);
    if (conf !== null) found.push({ path, conf, command: source });
  }
  const known = new Set(found.map((each) => each.path));
  for (const { path, family } of [
    ...PATHS.map((each) => ({ path: each, family: each.includes("bird6") ? 6 : 4 }) as const),
    ...CALICO,
  ]) {
    const conf = known.has(path) ? null : birdConf(machine, path, family);
    // A file that neither calls anybody nor writes routes is what a package brings.
    if (conf !== null && conf.neighbours.length > 0 && conf.kernels.length > 0)
      found.push({ path, conf, command: null });
  }
  return found;
}

interface Clash {
  what: string;
  evidence: Source[];
}

/** Kernel tables that both write, and neighbours that both call. */
function clashes(a: Speaker, b: Speaker): { tables: Clash[]; neighbours: Clash[] } {
  const tables = a.conf.kernels.flatMap((x): Clash[] => {
    // Routes of another metric than its own are none of a BIRD's, if it has one.
    const y = b.conf.kernels.find(
      (each) =>
        each.family === x.family &&
        each.table === x.table &&
        (each.metric === x.metric || each.metric === 0 || x.metric === 0),
    );
    const name = x.table === MAIN ? "main" : String(x.table);
    return y === undefined
      ? []
      : [{ what: `the kernel's IPv${x.family} table ${name}`, evidence: [x.source, y.source] }];
  });
  const neighbours = a.conf.neighbours.flatMap((x): Clash[] => {
    const y = b.conf.neighbours.find((each) => each.address === x.address);
    return y === undefined ? [] : [{ what: x.address, evidence: [x.source, y.source] }];
  });
  return { tables, neighbours };
}

/** Walks that die at the host because a route of BGP's is not there. */
function lostRoutes(chart: Chart, host: Namespace): Death[] {
  const deaths = deathsOf(chart).filter((death) => isAstray(death.disposition));
  const without = deaths.filter(
    (death) =>
      death.disposition === "no-route" &&
      death.at === host.place &&
      death.routes.every(({ at, route }) => at !== host.place || route === null || route.type !== "unicast"),
  );
  return [...new Set([...without, ...strayed(chart, deaths, host)])];
}

const unique = (sources: readonly Source[]): Source[] => [
  ...new Map(sources.map((each) => [`${each.file}:${each.line}`, each])).values(),
];

function pair(chart: Chart, machine: Machine, host: Namespace, a: Speaker, b: Speaker): Suspicion[] {
  const { tables, neighbours } = clashes(a, b);
  if (tables.length === 0 && neighbours.length === 0) return [];
  const both = a.command !== null && b.command !== null;
  const parts = [
    ...(tables.length === 0
      ? []
      : [
          `both write ${[...new Set(tables.map((each) => each.what))].join(" and ")}, and routes of the one are deleted at the other's next scan`,
        ]),
    ...(neighbours.length === 0
      ? []
      : [
          `both call ${[...new Set(neighbours.map((each) => each.what))].join(" and ")}, which takes one session from this node`,
        ]),
  ];
  const commands: Evidence[] = [a, b].flatMap((each) => (each.command === null ? [] : [chart.evidence(each.command)]));
  const idle = both ? "" : " (of one of them no process was recorded)";
  const calico = [a, b].find((each) => each.path.includes("calico"));
  const other = [a, b].find((each) => each !== calico) ?? b;
  return [
    {
      id: ID,
      at: host.place,
      summary: `Two BIRDs on ${machine.name}, of ${a.path} and ${b.path}${idle}: ${parts.join("; ")}`,
      evidence: [
        ...commands,
        ...unique([...tables, ...neighbours].flatMap((each) => each.evidence)).map((each) => chart.evidence(each)),
      ],
      remedy: [
        `# on ${machine.name}: let one of them alone write the main table and speak to the routers, for instance in ${other.path}:`,
        `#   protocol kernel { kernel table 100; … }, and calico-node's BIRD peers with it instead of the routers`,
        "ip rule add priority 1003 lookup 100",
        "birdc configure",
      ],
      hurts: both && tables.length > 0 ? hurtsOf(lostRoutes(chart, host)) : [],
      otherwise: both ? "warning" : "info",
    },
  ];
}

/** Listeners for BGP that belong to different services of the machine. */
function listeners(host: Namespace): Socket[] {
  const found = host.sockets.filter((each) => each.proto === "tcp" && each.state === "LISTEN" && each.port === BGP);
  return [
    ...new Map(
      found.filter((each) => each.cgroup !== null && each.cgroup !== "/").map((each) => [each.cgroup, each]),
    ).values(),
  ];
}

export const twoBirds: Check = {
  ids: [ID],
  depth: "underlay",
  look(chart): Diagnosis {
    const commands = commandFiles(chart);
    const suspicions = chart.nodes.flatMap((machine): Suspicion[] => {
      const host = chart.dir.places.get(machine.place);
      if (host === undefined) return [];
      const all = speakers(chart, machine, commands.get(machine.name) ?? []);
      const pairs = all.flatMap((a, i) => all.slice(i + 1).flatMap((b) => pair(chart, machine, host, a, b)));
      if (pairs.length > 0) return pairs;
      const listening = listeners(host);
      if (listening.length < 2) return [];
      return [
        {
          id: ID,
          at: host.place,
          summary: `Two programs of ${machine.name} listen for BGP on port ${BGP}: they must neither write one kernel table nor call one router`,
          evidence: listening.map((each) => chart.evidence(each.source)),
          remedy: [`ss -ltnp sport = :${BGP}`],
          hurts: [],
          otherwise: "info",
        },
      ];
    });
    return { suspicions };
  },
};
