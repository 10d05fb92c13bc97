/** A lab's kernel state as few programs as possible: one `ip -batch` a namespace, one load of each ruleset. */
import type { Claim } from "../../core/networks/claim.ts";
import { ipCommands } from "../../core/networks/render/ip-commands.ts";
import { netnsName, nothingMade } from "../../core/networks/render/link-commands.ts";
import { nftFileText } from "../../core/networks/render/nft-file.ts";
import { ipsetRestoreText, nfacctCommands, xtRestoreText } from "../../core/networks/render/xt-restore.ts";
import type { Job } from "./parts.ts";
import { deviceTo } from "./objects.ts";
import { FABRIC, type WiredMachine, type WiredSegment, type Wiring } from "./wiring.ts";

/** What one namespace gets. */
export interface Batch {
  at: string;
  /** Lines for `ip -batch`, and for `ip -6 -batch` those that do not tell their family. */
  ip: string[];
  ip6: string[];
  bridge: string[];
  sysctl: { key: string; value: string }[];
  /** Programs with what they read: sets before the rules that name them. */
  loads: Job[];
}

/** From a place to the lab's name of its namespace. */
export type NetnsOf = (place: string) => string;

const lines = (all: readonly string[]): string => all.map((each) => `${each}\n`).join("");

/** A name for a bridge's port in the fabric's namespace: 15 characters at most. */
export function portName(machine: string, dev: string, taken: Set<string>): string {
  const full = `${machine}-${dev}`;
  let name = full.length <= 15 ? full : `${machine.slice(0, 8)}-${dev.slice(0, 6)}`;
  for (let n = 2; taken.has(name); n++) name = `${full.slice(0, 11)}~${n}`;
  taken.add(name);
  return name;
}

const hostPlace = (machine: string): string => `${machine}/host`;

/** Both ends of a cable. */
function cable(segment: WiredSegment, netnsOf: NetnsOf): string[] {
  const [a, b] = segment.attached;
  if (a === undefined || b === undefined) return [];
  const end = ({ machine, dev }: { machine: string; dev: string }): string =>
    `name ${dev} mtu ${segment.mtu} netns ${netnsOf(hostPlace(machine))}`;
  return [`link add ${end(a)} type veth peer ${end(b)}`];
}

/** Commands in the fabric's namespace that lay every segment: a cable between two, a bridge for more. */
export function fabricLines(wiring: Wiring, netnsOf: NetnsOf): string[] {
  const taken = new Set<string>(wiring.machines.find((each) => each.name === FABRIC)?.devices.map((each) => each.name));
  return wiring.segments.flatMap((segment) => {
    const { name, mtu, attached, bridge } = segment;
    if (bridge === null && attached.length === 2) return cable(segment, netnsOf);
    const own = bridge ?? portName("br", name, taken);
    const ports = attached.filter((each) => !(each.machine === FABRIC && each.dev === bridge));
    return [
      `link add ${own} mtu ${mtu} type bridge`,
      `link set ${own} up`,
      ...ports.flatMap(({ machine, dev }) => {
        const port = portName(machine, dev, taken);
        return [
          `link add ${port} mtu ${mtu} type veth peer name ${dev} mtu ${mtu} netns ${netnsOf(hostPlace(machine))}`,
          `link set ${port} master ${own} up`,
        ];
      }),
    ];
  });
}

/** A machine's own devices, addresses and routes. */
export function machineLines(machine: WiredMachine): string[] {
  const add = (address: string, dev: string): string =>
    `address add ${address} dev ${dev}${address.includes(":") ? " nodad" : ""}`;
  const routes = new Map<string, string[]>();
  for (const { to, via } of machine.routes) routes.set(to, [...(routes.get(to) ?? []), ...via]);
  return [
    ...machine.loopback.map((each) => add(each, "lo")),
    ...machine.devices.flatMap((each) => [
      `link set dev ${each.name} address ${each.mac} mtu ${each.mtu} up`,
      ...each.addresses.map((address) => add(address, each.name)),
    ]),
    ...[...routes].map(([to, vias]) => {
      const ways = vias.map((via) => `via ${via} dev ${deviceTo(machine, via)}`);
      const [only = ""] = ways;
      return `route add ${to} ${ways.length === 1 ? only : ways.map((way) => `nexthop ${way}`).join(" ")}`;
    }),
  ];
}

const emptyBatch = (at: string): Batch => ({ at, ip: [], ip6: [], bridge: [], sysctl: [], loads: [] });

/** One of `ipCommands`' lines taken apart: where, which program, and its words. */
function parse(line: string): { netns: string | null; program: string; words: string } | null {
  const run = /^ip netns exec (\S+) sysctl -w (.*)$/.exec(line);
  if (run !== null) return { netns: run[1] ?? null, program: "sysctl", words: run[2] ?? "" };
  const sysctl = /^sysctl -w (.*)$/.exec(line);
  if (sysctl !== null) return { netns: null, program: "sysctl", words: sysctl[1] ?? "" };
  const other = /^(ip|bridge)(?: -n (\S+))?( -6)? (.*)$/.exec(line);
  if (other === null) return null;
  const [, program = "", netns, six, words = ""] = other;
  if (words.startsWith("netns add ")) return null;
  // An address tells its family; a rule without one does not.
  const isSix = six !== undefined && words.startsWith("rule ");
  return { netns: netns ?? null, program: isSix ? "ip6" : program, words };
}

/** What the claims make of each namespace of a machine. */
export function claimBatches(
  machine: string,
  claims: readonly Claim[],
  beneath: ReadonlyMap<string, string>,
  netnsOf: NetnsOf,
): Map<string, Batch> {
  const host = hostPlace(machine);
  const byPlace = new Map<string, Claim[]>([[host, []]]);
  for (const claim of claims) {
    const list = byPlace.get(claim.at);
    if (list === undefined) byPlace.set(claim.at, [claim]);
    else list.push(claim);
  }
  const places = new Map([...byPlace.keys()].map((place) => [netnsName(place), place]));
  const batches = new Map([...byPlace.keys()].map((place) => [place, emptyBatch(place)]));
  const made = nothingMade(beneath);
  // Namespaces of ipCommands are known here by the lab's names.
  const named = (words: string): string =>
    words.replaceAll(/\bnetns (\S+)/g, (whole, name: string) => {
      const place = places.get(name);
      return place === undefined ? whole : `netns ${netnsOf(place)}`;
    });
  for (const [place, own] of byPlace) {
    for (const line of ipCommands(own, made)) {
      const parsed = parse(line);
      if (parsed === null) continue;
      const batch = batches.get(places.get(parsed.netns) ?? host) ?? emptyBatch(place);
      if (parsed.program === "sysctl") {
        const at = parsed.words.indexOf("=");
        batch.sysctl.push({ key: parsed.words.slice(0, at), value: parsed.words.slice(at + 1) });
      } else if (parsed.program === "bridge") batch.bridge.push(parsed.words);
      else if (parsed.program === "ip6") batch.ip6.push(parsed.words);
      else if (!isThere(parsed.words)) batch.ip.push(named(parsed.words));
    }
    const batch = batches.get(place) ?? emptyBatch(place);
    const load = (program: string, args: string[], input: string): void => {
      if (input !== "") batch.loads.push({ at: place, argv: [program, ...args], input });
    };
    for (const command of nfacctCommands(own)) batch.loads.push({ at: place, argv: command.split(" ") });
    load("ipset", ["restore"], ipsetRestoreText(own));
    load("iptables-restore", ["--noflush"], xtRestoreText(own, "ip"));
    load("ip6tables-restore", ["--noflush"], xtRestoreText(own, "ip6"));
    load("nft", ["-f", "-"], nftFileText(own));
  }
  return batches;
}

/**
 * The module ipip makes tunl0 in every namespace (ip_tunnel_init_net), and a lab that wants one has just seen that the kernel has the module:
 * adding it again is refused (ip_tunnel_ctl, EEXIST).
 */
const isThere = (words: string): boolean => words === "tunnel add tunl0 mode ipip";

/** The programs for the lines of a batch. */
export function ipJobs({ at, ip, ip6, bridge }: Batch): Job[] {
  return [
    ...(ip.length > 0 ? [{ at, argv: ["ip", "-batch", "-"], input: lines(ip) }] : []),
    ...(ip6.length > 0 ? [{ at, argv: ["ip", "-6", "-batch", "-"], input: lines(ip6) }] : []),
    ...(bridge.length > 0 ? [{ at, argv: ["bridge", "-batch", "-"], input: lines(bridge) }] : []),
  ];
}
