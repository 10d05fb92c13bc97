/** For tests: renderings carried out by the real programs, each machine a network namespace that is gone when the script ends. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { loadSnapshot } from "../../../../host/snapshot/load.ts";
import type { Snapshot } from "../../../model/snapshot.ts";
import type { Claim } from "../../claim.ts";
import { ipCommands } from "../ip-commands.ts";
import { netnsName, nothingMade } from "../link-commands.ts";
import { nftFileText } from "../nft-file.ts";
import type { RenderedMachine, Rendering } from "../renderer.ts";
import { ipsetRestoreText, nfacctCommands, xtRestoreText } from "../xt-restore.ts";

const PROGRAMS = ["ip", "bridge", "sysctl", "iptables-restore", "ip6tables-restore", "ipset", "nft", "nsenter"];

/** Mounts and namespaces of the script's own: whatever it makes ends with it. */
const ALONE = ["--mount", "--net", "--propagation", "private", "--fork", "sh"];

function alone(script: string): { status: number; out: string; err: string } {
  const ran = spawnSync("unshare", [...ALONE, "-s"], { input: script, encoding: "utf8", maxBuffer: 1 << 28 });
  return { status: ran.status ?? -1, out: ran.stdout ?? "", err: ran.stderr ?? String(ran.error) };
}

let known: string | null | undefined;

/** Why nothing can be carried out here: no right to make namespaces, or a program is missing. Null when it can. */
export function noRealNodes(): string | null {
  if (known !== undefined) return known;
  const missing = PROGRAMS.find((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
  const { status, err } = alone("mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip netns add probe");
  known =
    missing !== undefined
      ? `${missing} is not here`
      : status === 0
        ? null
        : `no namespaces can be made here: ${err.trim()}`;
  return known;
}

/** Kinds of devices that this kernel makes, of those asked for. */
export function linkKinds(kinds: readonly string[]): Set<string> {
  const attempt: Record<string, string> = {
    ipip: "ip tunnel add tunl0 mode ipip",
    macvlan: "ip link add kw0 link eth0 type macvlan",
    ipvlan: "ip link add kw0 link eth0 type ipvlan",
    vxlan: "ip link add kw0 type vxlan id 1 dstport 8472",
  };
  const found = kinds.filter((kind) => {
    const make = attempt[kind] ?? `ip link add kw0 type ${kind}`;
    return alone(`ip link add eth0 type veth peer name eth1\n${make}\n`).status === 0;
  });
  return new Set(found);
}

/** Listings of a namespace, by their file in a snapshot. */
const LISTINGS: readonly [file: string, command: string][] = [
  ["addr.json", "ip -j -d addr"],
  ["route4.json", "ip -j -d -4 route show table all"],
  ["route6.json", "ip -j -d -6 route show table all"],
  ["rule4.json", "ip -j -4 rule"],
  ["rule6.json", "ip -j -6 rule"],
  ["neigh.json", "ip -j neigh show nud all"],
  ["neigh-proxy.json", "ip -j neigh show proxy"],
  ["fdb.json", "bridge -j -d fdb"],
  ["bridge-link.json", "bridge -j -d link"],
  ["iptables-save.txt", "iptables-save -c"],
  ["ip6tables-save.txt", "ip6tables-save -c"],
  ["nft.json", "nft -j -a list ruleset"],
  ["nft.txt", "nft -a list ruleset"],
  ["ipset.txt", "ipset save"],
  ["sysctl.txt", "sysctl -a -r '^net\\.'"],
];

/** A machine and its own devices, on one bridge with the others. */
function machineLines({ name, devices, routes }: RenderedMachine, index: number): string[] {
  const inside = `ip -n ${name}`;
  return [
    `ip netns add ${name}`,
    `${inside} link set lo up`,
    ...devices.flatMap((device, i) => {
      const port = `p${index}-${i}`;
      return [
        `ip link add ${port} mtu ${device.mtu} type veth peer name ${device.name} netns ${name}`,
        `ip link set ${port} master fabric up`,
        ...(device.mac === null ? [] : [`${inside} link set ${device.name} address ${device.mac}`]),
        `${inside} link set ${device.name} mtu ${device.mtu} up`,
        ...device.addresses.map(
          (address) => `${inside} address add ${address} dev ${device.name}${address.includes(":") ? " nodad" : ""}`,
        ),
      ];
    }),
    ...routes.map(({ dst, via, dev }) => `${inside} route add ${dst} ${via === null ? "" : `via ${via}`} dev ${dev}`),
  ];
}

/** What of a rendering is carried out in one namespace. */
export interface Step {
  what: string;
  /** Its standard input; null for none. */
  input: string | null;
}

/** The steps of one machine, its pods' namespaces after its own. */
function stepsOf(machine: string, rendering: Rendering, skip: (line: string) => boolean): Step[] {
  const made = nothingMade(rendering.beneath);
  const byPlace = new Map<string, Claim[]>();
  const host = `${machine}/host`;
  byPlace.set(host, []);
  for (const claim of rendering.claims)
    if (claim.at.startsWith(`${machine}/`)) byPlace.set(claim.at, [...(byPlace.get(claim.at) ?? []), claim]);
  return [...byPlace].flatMap(([place, claims]) => {
    const netns = netnsName(place);
    const within = (command: string): string => (netns === null ? command : `ip netns exec ${netns} ${command}`);
    const loads: [string, string][] = [
      ["ipset restore", ipsetRestoreText(claims)],
      ["iptables-restore --noflush", xtRestoreText(claims, "ip")],
      ["ip6tables-restore --noflush", xtRestoreText(claims, "ip6")],
      ["nft -f -", nftFileText(claims)],
    ];
    return [
      ...ipCommands(claims, made)
        .filter((line) => !skip(line))
        .map((what): Step => ({ what, input: null })),
      ...nfacctCommands(claims).map((what): Step => ({ what: within(what), input: null })),
      ...loads.filter(([, text]) => text !== "").map(([what, input]): Step => ({ what: within(what), input })),
    ];
  });
}

export interface CarriedOut<T> {
  steps: number;
  /** Steps that failed, with what the program said. */
  failures: string[];
  result: T;
}

/** Carries a rendering out, and looks at what the namespaces hold afterwards. `skip`: commands that this kernel cannot do. */
export async function carryOut<T>(
  rendering: Rendering,
  skip: (line: string) => boolean,
  look: (snapshot: Snapshot) => T,
): Promise<CarriedOut<T>> {
  const folder = mkdtempSync(join(tmpdir(), "kubewalk-render-"));
  try {
    const script = [
      "exec 2>&1",
      "mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns || exit 9",
      "ip link add fabric type bridge && ip link set fabric up",
      ...rendering.machines.flatMap((machine, i) => machineLines(machine, i)),
    ];
    let steps = 0;
    for (const { name } of rendering.machines) {
      // One shell in the machine's namespace for all of its steps.
      const own = ['run() { said=$("$@" 2>&1) || echo "FAILED on $at: $*: $said"; }', `at=${name}`];
      for (const { what, input } of stepsOf(name, rendering, skip)) {
        steps++;
        const from = join(folder, `input-${steps}`);
        if (input !== null) writeFileSync(from, input);
        own.push(`run ${what}${input === null ? "" : ` < ${from}`}`);
      }
      const places = [...new Set(rendering.claims.map((claim) => claim.at))];
      const pods = places.filter((place) => place.startsWith(`${name}/`) && netnsName(place) !== null);
      for (const place of [`${name}/host`, ...pods]) {
        const netns = netnsName(place);
        const dir = join(folder, "snapshot", "nodes", name, netns === null ? "host" : `netns/${netnsFolder(place)}`);
        mkdirSync(dir, { recursive: true });
        const pod = /\/pod\/([^/]+)\/(.+)$/.exec(place);
        const info = {
          inode: 1,
          path: `/run/netns/${netns ?? name}`,
          pod: pod === null ? null : { namespace: pod[1], name: pod[2] },
        };
        if (netns !== null) writeFileSync(join(dir, "netns.json"), JSON.stringify(info));
        const listings = LISTINGS.map(([file, command]) => `${command} > ${join(dir, file)} 2>/dev/null\n`).join("");
        const listing = join(folder, `list-${name}-${netns ?? ""}`);
        writeFileSync(listing, listings);
        own.push(netns === null ? `. ${listing}` : `nsenter --net=/run/netns/${netns} sh ${listing}`);
      }
      const file = join(folder, `steps-${name}`);
      writeFileSync(file, own.map((line) => `${line}\n`).join(""));
      script.push(`nsenter --net=/run/netns/${name} sh ${file}`);
    }
    const snapshotJson = join(folder, "snapshot", "snapshot.json");
    mkdirSync(dirname(snapshotJson), { recursive: true });
    const nodes = rendering.machines.map(({ name }) => name);
    writeFileSync(snapshotJson, JSON.stringify({ format: "kubewalk.snapshot/v1", takenAt: null, nodes }));
    const { status, out, err } = alone(script.join("\n"));
    if (status === 9) throw new Error(`namespaces cannot be made: ${out}${err}`);
    const failures = out.split("\n").filter((line) => line !== "");
    return { steps, failures, result: look(await loadSnapshot(join(folder, "snapshot"))) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Folder of a namespace in a snapshot: what stands behind netns/ in its place. */
function netnsFolder(place: string): string {
  return /\/netns\/(.+)$/.exec(place)?.[1] ?? netnsName(place) ?? place;
}
