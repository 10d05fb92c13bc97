/** Takes the snapshot of a world, in the layout and with the commands that a recording of real nodes has. */
import type { Agent, Job } from "./agent.ts";
import { usedLegacy } from "./apply.ts";
import type { Ruleset, World } from "./world.ts";

/** Files of a snapshot by path. */
export type Files = Record<string, string>;

const NODE = "f";
/** Inode numbers that snapshots show: the real ones differ from run to run. */
const INODE = 4026530000;

/** Directory of a namespace in the snapshot; the first one is the node's root namespace. */
export function directory(ns: number): string {
  return ns === 0 ? `nodes/${NODE}/host` : `nodes/${NODE}/netns/${INODE + ns}`;
}

/** Its place, in the words of questions and steps. */
export function place(ns: number): string {
  return ns === 0 ? `${NODE}/host` : `${NODE}/netns/${INODE + ns}`;
}

/** The namespace at a place; −1 when there is none. */
export function namespaceAt(at: string): number {
  if (at === `${NODE}/host`) return 0;
  const m = /^f\/netns\/(\d+)$/.exec(at);
  return m ? Number(m[1]) - INODE : -1;
}

const LASTING: Record<string, string> = {
  "addr.json": "ip -j -d addr",
  "route4.json": "ip -j -d -4 route show table all",
  "route6.json": "ip -j -d -6 route show table all",
  "rule4.json": "ip -j -4 rule",
  "rule6.json": "ip -j -6 rule",
  "neigh.json": "ip -j neigh show nud all",
  "neigh-proxy.json": "ip -j neigh show proxy",
  "fdb.json": "bridge -j -d fdb",
  "bridge-link.json": "bridge -j -d link",
  "vlan.json": "bridge -j -d vlan",
  "nexthop.json": "ip -j nexthop",
  "nsid.json": "ip -j netns list-id",
  "sockets.txt": "ss -H -O -lntuwe",
  "tc.json": "tc -j qdisc show",
};

const RULES: Record<string, { command: string; needed: (kinds: ReadonlySet<string>) => boolean }> = {
  "iptables-save.txt": { command: "iptables-save -c", needed: (k) => k.has("nft/4") },
  "ip6tables-save.txt": { command: "ip6tables-save -c", needed: (k) => k.has("nft/6") },
  "iptables-legacy-save.txt": { command: "iptables-legacy-save -c", needed: (k) => k.has("legacy") },
  "ip6tables-legacy-save.txt": { command: "ip6tables-legacy-save -c", needed: (k) => k.has("legacy") },
  "nft.json": { command: "nft -j -a list ruleset", needed: (k) => k.has("nft") || k.has("nft/4") || k.has("nft/6") },
  "nft.txt": { command: "nft -a list ruleset", needed: (k) => k.has("nft") || k.has("nft/4") || k.has("nft/6") },
  "ipset.txt": { command: "ipset save", needed: (k) => k.has("ipset") },
};

/** Commands whose output is known to be empty at that moment: not run, but noted as run. */
const EMPTY: Record<string, string> = {
  "conntrack.txt": "conntrack -L -o extended",
  "conntrack6.txt": "conntrack -L -f ipv6 -o extended",
  "ipvs.txt": "ipvsadm -S -n",
};

/** Settings that decide something, below /proc/sys. */
const SETTINGS = [
  // The last one that sysctl(8) prints: a reader takes its absence for a file that was cut off.
  "net/unix/max_dgram_qlen",
  ...[
    "ip_forward",
    "fib_multipath_hash_policy",
    "fwmark_reflect",
    "tcp_fwmark_accept",
    "icmp_echo_ignore_all",
    "icmp_echo_ignore_broadcasts",
    "icmp_errors_use_inbound_ifaddr",
    "icmp_ratelimit",
    "ip_default_ttl",
    "ip_nonlocal_bind",
    "ip_no_pmtu_disc",
    "ip_early_demux",
    "udp_early_demux",
    "tcp_early_demux",
    "ip_forward_use_pmtu",
    "tcp_l3mdev_accept",
    "udp_l3mdev_accept",
    "raw_l3mdev_accept",
    "nexthop_compat_mode",
    "fib_multipath_use_neigh",
  ].map((k) => `net/ipv4/${k}`),
  ...[
    "bindv6only",
    "fwmark_reflect",
    "ip_nonlocal_bind",
    "fib_multipath_hash_policy",
    "icmp/echo_ignore_all",
    "icmp/echo_ignore_multicast",
    "icmp/echo_ignore_anycast",
    "icmp/ratelimit",
    "icmp/error_anycast_as_unicast",
    "anycast_src_echo_reply",
  ].map((k) => `net/ipv6/${k}`),
  ...["iptables", "ip6tables", "arptables"].map((k) => `net/bridge/bridge-nf-call-${k}`),
  ...["bridge-nf-filter-vlan-tagged", "bridge-nf-filter-pppoe-tagged", "bridge-nf-pass-vlan-input-dev"].map(
    (k) => `net/bridge/${k}`,
  ),
  ...[
    "nf_conntrack_tcp_loose",
    "nf_conntrack_tcp_be_liberal",
    "nf_conntrack_checksum",
    "nf_conntrack_max",
    "nf_hooks_lwtunnel",
  ].map((k) => `net/netfilter/${k}`),
];

const CONF = {
  ipv4: [
    "accept_local",
    "arp_accept",
    "arp_announce",
    "arp_filter",
    "arp_ignore",
    "disable_policy",
    "forwarding",
    "ignore_routes_with_linkdown",
    "proxy_arp",
    "proxy_arp_pvlan",
    "route_localnet",
    "rp_filter",
    "src_valid_mark",
    "medium_id",
    "mc_forwarding",
    "drop_unicast_in_l2_multicast",
    "drop_gratuitous_arp",
    "promote_secondaries",
  ],
  ipv6: [
    "accept_dad",
    "accept_ra",
    "disable_ipv6",
    "forwarding",
    "proxy_ndp",
    "force_forwarding",
    "ignore_routes_with_linkdown",
    "drop_unicast_in_l2_multicast",
    "accept_source_route",
    "rpl_seg_enabled",
    "seg6_enabled",
    "addr_gen_mode",
    "disable_policy",
    "ndisc_tclass",
    "use_tempaddr",
  ],
};

/** Of what `ip -j neigh` printed the entries that `ip neigh flush all` leaves. */
function lastingNeighbours(text: string): string {
  if (text.trim() === "") return text;
  const all = JSON.parse(text) as { state?: string[] }[];
  return `${JSON.stringify(all.filter((e) => e.state?.some((x) => x === "PERMANENT" || x === "NOARP")))}\n`;
}

/** What lasts while rulesets change: links, routes, sockets, settings. */
export async function collectWorld(agent: Agent, world: World): Promise<Files> {
  const files: Files = {
    "snapshot.json": `${JSON.stringify({ format: "kubewalk.snapshot/v1", takenAt: "2026-01-01T00:00:00Z", nodes: [NODE] })}\n`,
  };
  const ran = world.namespaces.flatMap((name, ns) =>
    Object.entries(LASTING).map(([file, command]) => ({ name, ns, file, command })),
  );
  let log = await gather(agent, files, ran);
  // linkwatch_event may report a carrier as late as a second after it is there.
  for (
    let i = 0;
    i < 30 && world.namespaces.some((_, ns) => unsettled(files[`${directory(ns)}/addr.json`] ?? ""));
    i++
  ) {
    await new Promise((r) => setTimeout(r, 50));
    log = await gather(agent, files, ran);
  }
  // What was learned while the world was built is forgotten before any packet is sent (Scene.forget).
  for (const ns of world.namespaces.keys()) {
    const path = `${directory(ns)}/neigh.json`;
    files[path] = lastingNeighbours(files[path] ?? "");
  }
  // Rules and settings are read later or otherwise, with the same outcome; what is not there prints nothing.
  const rest = {
    ...EMPTY,
    ...Object.fromEntries(Object.entries(RULES).map(([f, r]) => [f, r.command])),
    "sysctl.txt": "sysctl -a -r ^net",
  };
  world.namespaces.forEach((_, ns) =>
    log.push(...Object.entries(rest).map(([file, command]) => entry(ns, file, command, 0, ""))),
  );
  files[`nodes/${NODE}/commands.json`] = `${JSON.stringify(log)}\n`;
  // nft prints its version even where there are no rules; one run tells it for all.
  const [bare] = await agent.run([{ ns: world.namespaces[0]!, argv: RULES["nft.json"]!.command.split(" ") }]);
  world.namespaces.forEach((_, ns) => (files[`${directory(ns)}/nft.json`] = bare!.out));
  const settings = await agent.readSysctls(SETTINGS, CONF);
  world.namespaces.forEach((name, ns) => {
    files[`${directory(ns)}/sysctl.txt`] = settings[name]!;
    if (ns > 0)
      files[`${directory(ns)}/netns.json`] =
        `${JSON.stringify({ inode: INODE + ns, pid: null, path: `/run/netns/${name}`, pod: null })}\n`;
  });
  return files;
}

/** What a ruleset adds. */
export async function collectRules(agent: Agent, world: World, ruleset: Ruleset): Promise<Files> {
  const files: Files = {};
  const wanted = world.namespaces.flatMap((name, ns) => {
    const kinds = new Set(
      ruleset.items
        .filter((i) => i.ns === ns)
        .map((i) =>
          i.kind === "xt-chain" || i.kind === "xt-rule" ? (i.backend === "nft" ? `nft/${i.family}` : "legacy") : i.kind,
        ),
    );
    if (usedLegacy(world)) kinds.add("legacy");
    return Object.entries(RULES).flatMap(([file, r]) =>
      r.needed(kinds) ? [{ name, ns, file, command: r.command }] : [],
    );
  });
  for (const l of await gather(agent, files, wanted)) if (l.exit !== 0) throw new Error(`${l.command}: ${l.stderr}`);
  return files;
}

/** Whether some link is up below while its state does not say so yet. */
const unsettled = (addr: string): boolean => /"NO-CARRIER"[^\]]*"LOWER_UP"/.test(addr);

interface LogEntry {
  file: string;
  command: string;
  exit: number;
  stderr: string;
  seconds: number;
}

const entry = (ns: number, file: string, command: string, exit: number, stderr: string): LogEntry => ({
  file: `${directory(ns).slice(`nodes/${NODE}/`.length)}/${file}`,
  command,
  exit,
  stderr,
  seconds: 0,
});

/** Runs commands, adds what they print to `files`; answers how they went, as commands.json has it. */
async function gather(
  agent: Agent,
  files: Files,
  wanted: { name: string; ns: number; file: string; command: string }[],
): Promise<LogEntry[]> {
  const jobs: Job[] = wanted.map((w) => ({ ns: w.name, argv: w.command.split(" ") }));
  const results = await agent.run(jobs, 4);
  return results.map((r, i) => {
    const w = wanted[i]!;
    if (r.status === 0 && r.out.trim() !== "") files[`${directory(w.ns)}/${w.file}`] = r.out;
    return entry(w.ns, w.file, w.command, r.status, r.err.trim());
  });
}
