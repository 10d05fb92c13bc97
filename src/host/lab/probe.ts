/** Who reaches whom in a lab: real programs ask, and the engine is asked the same. */
import { parseIp } from "../../core/model/address.ts";
import type { ProbeCell, ProbeReport, ProbeSeen, ProbeServer } from "../../core/model/lab.ts";
import type { Answer, ClientResult, Outcome, Proto, Question } from "../../core/model/walk.ts";
import { isRecord, listOf, textOf, textsOf, type Fields } from "../../core/networks/render/plain.ts";
import type { WrittenObject } from "../../core/networks/render/objects.ts";
import { LabError } from "./parts.ts";
import type { ServerSpec } from "./places.ts";
import type { StandingLab } from "./standing.ts";

/** Something that can be asked. */
export interface ProbeTarget {
  name: string;
  proto: Proto;
  to: string;
  port: number | null;
}

/** What the lab's process answers about one probe. */
interface RawResult {
  answer?: string;
  errno?: string;
  timeout?: boolean;
}

/** contract.md's words for what a program meets, by errno (errno(3)). */
const RESULT: Readonly<Record<string, ClientResult>> = {
  ECONNREFUSED: "refused",
  ENETUNREACH: "network-unreachable",
  EHOSTUNREACH: "host-unreachable",
  EPERM: "not-permitted",
  EACCES: "prohibited",
  EINVAL: "invalid",
  EMSGSIZE: "too-big",
  ETIMEDOUT: "timeout",
  ENOPROTOOPT: "refused",
  EADDRNOTAVAIL: "network-unreachable",
};

/** A neighbour that does not answer is known as unreachable after three seconds (mcast_solicit × retrans_time_ms). */
const QUIET = 3.6;
const LIMIT = 120;

function serverOf(text: string): ProbeServer | null {
  try {
    const said: unknown = JSON.parse(text);
    if (!isRecord(said)) return null;
    return { at: textOf(said["at"]), clientAddress: textOf(said["client"]) };
  } catch {
    // A daemon of the lab answered, which tells nothing of this.
    return null;
  }
}

/** A result in the contract's words. */
export function seenOf(raw: RawResult): ProbeSeen {
  if (raw.answer !== undefined) return { client: "answered", server: serverOf(raw.answer), count: 1 };
  if (raw.errno === undefined) return { client: "timeout", server: null, count: 1 };
  return { client: RESULT[raw.errno] ?? `errno:${raw.errno}`, server: null, count: 1 };
}

/** Servers that the lab holds, whose place a host's name in an outcome may stand for. */
const sameServer = (seen: ProbeServer, told: NonNullable<Outcome["server"]>): boolean =>
  seen.at === told.at && seen.clientAddress === told.clientAddress;

function agrees(seen: ProbeSeen, outcome: Outcome): boolean {
  if (seen.client !== outcome.client) return false;
  return (
    seen.client !== "answered" ||
    seen.server === null ||
    outcome.server === undefined ||
    sameServer(seen.server, outcome.server)
  );
}

/** What the engine foretells beside what was seen. */
export function foretold(answer: Answer, seen: readonly ProbeSeen[]): NonNullable<ProbeCell["foretold"]> {
  const outcomes = answer.outcomes.map(({ client, server }) => ({
    client,
    server: server === undefined ? null : { at: server.at, clientAddress: server.clientAddress },
  }));
  const known = seen.every((each) =>
    answer.outcomes.some((outcome) => outcome.client !== "inconclusive" && agrees(each, outcome)),
  );
  const open = answer.outcomes.find((outcome) => outcome.client === "inconclusive");
  if (known) return { outcomes, agrees: true, why: null };
  return {
    outcomes,
    agrees: open === undefined ? false : null,
    why: (open ?? answer.outcomes[0])?.because.text ?? null,
  };
}

const portsOf = (spec: Fields): { proto: Proto; port: number; nodePort: number | null }[] =>
  listOf(spec["ports"]).flatMap((each) => {
    const proto = (textOf(each["protocol"]) || "TCP").toLowerCase();
    if ((proto !== "tcp" && proto !== "udp") || typeof each["port"] !== "number") return [];
    const nodePort = typeof each["nodePort"] === "number" ? each["nodePort"] : null;
    return [{ proto, port: each["port"], nodePort }];
  });

function serviceTargets(service: WrittenObject, nodeAddress: string | undefined): ProbeTarget[] {
  const spec = isRecord(service.value["spec"]) ? service.value["spec"] : {};
  const name = `svc:${service.namespace}/${service.name}`;
  const status = isRecord(service.value["status"]) ? service.value["status"] : {};
  const balancer = isRecord(status["loadBalancer"]) ? status["loadBalancer"] : {};
  const ips = [
    ...textsOf(spec["clusterIPs"]).filter((ip) => parseIp(ip) !== null),
    ...listOf(balancer["ingress"]).map((each) => textOf(each["ip"])),
    ...textsOf(spec["externalIPs"]),
  ].filter((ip) => ip !== "");
  return portsOf(spec).flatMap(({ proto, port, nodePort }): ProbeTarget[] => [
    ...ips.map((to) => ({ name, proto, to, port })),
    ...(nodePort === null || nodeAddress === undefined
      ? []
      : [{ name: `${name} node port`, proto, to: nodeAddress, port: nodePort }]),
  ]);
}

/** Everything of a lab that answers: pods' and hosts' first ports, and Services. */
export function targetsOf(
  lab: StandingLab,
  servers: readonly ServerSpec[],
  addressesOf: (place: string) => string[],
): ProbeTarget[] {
  const first = new Map<string, ServerSpec>();
  for (const each of servers) {
    const key = `${each.at} ${each.proto}`;
    if (!first.has(key)) first.set(key, each);
  }
  const places = [...first.values()].flatMap(({ at, proto, port }) =>
    addressesOf(at).map((to): ProbeTarget => ({ name: at, proto, to, port })),
  );
  const node = lab.scenario.nodes[0]?.name;
  const nodeAddress = node === undefined ? undefined : addressesOf(`${node}/host`)[0];
  const services = lab.intended.objects.flatMap((each) =>
    each.kind === "Service" ? serviceTargets(each, nodeAddress) : [],
  );
  return [...places, ...services];
}

/** Addresses that a place is asked at: of pods those of their status; of others what their devices have but for link-local ones. */
export async function readAddresses(lab: StandingLab): Promise<(place: string) => string[]> {
  const found = new Map<string, string[]>();
  const pods = new Map(
    lab.intended.objects.flatMap(({ kind, namespace, name, value }) => {
      const status = kind === "Pod" && isRecord(value["status"]) ? value["status"] : null;
      return status === null
        ? []
        : [[`${namespace}/${name}`, listOf(status["podIPs"]).map((each) => textOf(each["ip"]))] as const];
    }),
  );
  const others = lab.places.filter(({ place, pod }) => {
    const ips = pod === null ? undefined : pods.get(`${pod.namespace}/${pod.name}`);
    if (ips !== undefined) found.set(place, ips);
    return ips === undefined;
  });
  const listed = await lab.must(
    others.map((each) => ({ at: each.place, argv: ["ip", "-j", "addr", "show", "scope", "global"] })),
  );
  for (const [i, { place }] of others.entries()) {
    const links = listOf(JSON.parse(listed[i]?.out || "[]"));
    // A node is asked at the addresses that it is known by, not at those of its bridges.
    const own = links.filter((link) => /^(?:eth|ens|lo)/.test(textOf(link["ifname"])));
    found.set(
      place,
      own.flatMap((link) => listOf(link["addr_info"]).map((each) => textOf(each["local"]))).filter((ip) => ip !== ""),
    );
  }
  return (place) => found.get(place) ?? [];
}

/** One of each kind of place where there are many: pods of one machine and one name without its number are alike. */
export function representatives(places: readonly string[], most: number): string[] {
  if (places.length <= most) return [...places];
  const kinds = new Map<string, string>();
  for (const place of places) {
    const [machine = "", kind = "", ...rest] = place.split("/");
    const key = `${kind === "pod" ? machine : ""} ${kind} ${rest.join("/").replace(/\d+$/, "")}`;
    if (!kinds.has(key)) kinds.set(key, place);
  }
  return [...kinds.values()].slice(0, most);
}

/** What is asked: each from each place, so many times. */
export interface Asking {
  from: readonly string[];
  targets: readonly ProbeTarget[];
  tries: number;
}

/** The engine's answer to a question; throws for one that cannot be asked. */
export type Foretell = (question: Question) => Answer;

const sameFamily = (a: string, b: string): boolean => a.includes(":") === b.includes(":");

function together(all: readonly ProbeSeen[]): ProbeSeen[] {
  const kinds = new Map<string, ProbeSeen>();
  for (const each of all) {
    const key = JSON.stringify([each.client, each.server]);
    const there = kinds.get(key);
    if (there === undefined) kinds.set(key, { ...each });
    else there.count += each.count;
  }
  return [...kinds.values()];
}

const request = (
  lab: StandingLab,
  { from, to, port, proto }: Pick<ProbeCell, "from" | "to" | "port" | "proto">,
): object => ({
  ns: lab.netnsOf(from),
  to,
  proto,
  ...(port === null ? {} : { port }),
});

/** Sends the probes of cells, each as often as `tries` says, and writes down what they met. */
async function send(lab: StandingLab, cells: readonly ProbeCell[], tries: number): Promise<void> {
  const probes = Array.from({ length: tries }, () => cells.map((cell) => request(lab, cell))).flat();
  const raw = await lab.client.ask<RawResult[]>({ op: "probes", probes, quiet: QUIET, limit: LIMIT });
  for (const [i, cell] of cells.entries())
    cell.seen = together(
      Array.from({ length: tries }, (_, n) => seenOf(raw[n * cells.length + i] ?? { timeout: true })),
    );
}

/**
 * Asks everything, and the engine what it foretells; what differs is asked once more, because a first packet may meet what later ones do not.
 * `foretell` null: nobody is asked. Rejects with LabError when there is nothing to ask.
 */
export async function probeLab(lab: StandingLab, asking: Asking, foretell: Foretell | null): Promise<ProbeReport> {
  const { from, targets, tries } = asking;
  const families = await readAddresses(lab);
  const cells = from.flatMap((place) =>
    targets
      // Who has no address of a family asks nobody of it.
      .filter((target) => families(place).length === 0 || families(place).some((own) => sameFamily(own, target.to)))
      .map(({ name, proto, to, port }): ProbeCell => ({
        from: place,
        target: name,
        proto,
        to,
        port,
        seen: [],
        foretold: null,
      })),
  );
  if (cells.length === 0) throw new LabError("there is nothing to ask: no place, or nothing that answers");
  await send(lab, cells, tries);
  if (foretell === null) return { format: "kubewalk.lab-probe/v1", lab: lab.name, cells };
  const answers = new Map(
    cells.map((cell) => {
      const question: Question = { from: cell.from, proto: cell.proto, to: cell.to };
      if (cell.port !== null) question.port = cell.port;
      return [cell, foretell(question)];
    }),
  );
  const judge = (cell: ProbeCell): void => {
    const answer = answers.get(cell);
    if (answer !== undefined) cell.foretold = foretold(answer, cell.seen);
  };
  for (const cell of cells) judge(cell);
  const doubtful = cells.filter((cell) => cell.foretold?.agrees === false);
  if (doubtful.length > 0) {
    await new Promise((resolve) => setTimeout(resolve, TOKEN));
    await send(lab, doubtful, tries);
    for (const cell of doubtful) judge(cell);
    forgiveSilence(cells);
  }
  return { format: "kubewalk.lab-probe/v1", lab: lab.name, cells };
}

/** Milliseconds after which a router tells one client again that it has no route (net/ipv4/route.c, ip_error: error_cost). */
const TOKEN = 1100;

/**
 * A router tells a client only now and then that it has no route: six times at once, then once a second. Where it told it of one target,
 * silence about others is what the same answer looks like.
 */
function forgiveSilence(cells: readonly ProbeCell[]): void {
  const told = (cell: ProbeCell): ClientResult | null => {
    const [only, ...more] = cell.foretold?.outcomes ?? [];
    const isUnreachable = only?.client === "network-unreachable" || only?.client === "host-unreachable";
    return isUnreachable && more.length === 0 ? only.client : null;
  };
  const heard = (cell: ProbeCell): boolean => cell.seen.some((seen) => seen.client === told(cell));
  const witnesses = new Set(
    cells.filter((cell) => told(cell) !== null && heard(cell)).map((cell) => `${cell.from} ${told(cell)}`),
  );
  for (const cell of cells) {
    if (cell.foretold?.agrees !== false || told(cell) === null) continue;
    const silent = cell.seen.every((seen) => seen.client === "timeout" || seen.client === told(cell));
    const witnessed = heard(cell) || witnesses.has(`${cell.from} ${told(cell)}`);
    if (silent && witnessed && /no route/.test(cell.foretold.why ?? ""))
      cell.foretold = { ...cell.foretold, agrees: true, why: "a router tells so only once a second" };
  }
}
