/** The files of one namespace's folder in a snapshot, from a short description: what the commands of a healthy node print. */

/** A link as `ip -j -d addr` prints it, less what decides nothing. */
export interface LinkText {
  index: number;
  name: string;
  mac: string;
  mtu: number;
  /** IPv4 addresses with their prefix lengths. */
  addresses: readonly string[];
  /** `linkinfo`; absent for the loopback device. */
  info?: { info_kind: string; info_data?: object; info_slave_kind?: string };
  /** Peer of a veth: its index, and the number that this namespace has for the other's. */
  peer?: { index: number; netnsid: number };
  /** Bridge that it is a port of. */
  master?: string;
}

export interface NamespaceText {
  /** Links beside the loopback device. */
  links: readonly LinkText[];
  /** Routes of table main: `[dst, gateway or null, dev]`; those of addresses are added. */
  routes: readonly (readonly [dst: string, gateway: string | null, dev: string])[];
  neighbours: readonly { dst: string; dev: string; lladdr: string; state: string }[];
  /** Rows of `bridge -j -d fdb`. */
  fdb: readonly object[];
  /** `nsid` and name of each namespace that this one knows by number. */
  nsids: readonly { nsid: number; name?: string }[];
  /** Lines of `ss -H -O -lntuwe`. */
  sockets: readonly string[];
  sysctls: Readonly<Record<string, number | string>>;
  /** The rulesets' files by name, where there are rules. */
  rules?: Readonly<Record<string, string>>;
}

const LOOPBACK = {
  ifindex: 1,
  ifname: "lo",
  flags: ["LOOPBACK", "UP", "LOWER_UP"],
  mtu: 65536,
  operstate: "UNKNOWN",
  link_type: "loopback",
  address: "00:00:00:00:00:00",
  broadcast: "00:00:00:00:00:00",
  addr_info: [{ family: "inet", local: "127.0.0.1", prefixlen: 8, scope: "host", label: "lo" }],
};

const split = (cidr: string): [address: string, length: number] => {
  const [address, length] = cidr.split("/");
  return [address!, Number(length)];
};

function linkRow(link: LinkText): object {
  const peer = link.peer === undefined ? {} : { link_index: link.peer.index, link_netnsid: link.peer.netnsid };
  return {
    ifindex: link.index,
    ...peer,
    ifname: link.name,
    flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
    mtu: link.mtu,
    ...(link.master === undefined ? {} : { master: link.master }),
    operstate: "UP",
    link_type: "ether",
    address: link.mac,
    broadcast: "ff:ff:ff:ff:ff:ff",
    linkinfo: link.info ?? {},
    addr_info: link.addresses.map((cidr) => {
      const [local, prefixlen] = split(cidr);
      return { family: "inet", local, prefixlen, scope: "global", label: link.name };
    }),
  };
}

const portRow = (link: LinkText): object => ({
  ifindex: link.index,
  ifname: link.name,
  master: link.master,
  state: "forwarding",
  hairpin: true,
  learning: true,
  flood: true,
  mcast_flood: true,
  bcast_flood: true,
  isolated: false,
});

const network = (address: string, length: number): string => {
  const word = address.split(".").reduce((n, part) => (n << 8) | Number(part), 0);
  const masked = length === 0 ? 0 : word & (-1 << (32 - length));
  return [24, 16, 8, 0].map((shift) => (masked >>> shift) & 255).join(".");
};

/** What fib_add_ifaddr makes of an address. */
function routesOfAddress(dev: string, cidr: string): object[] {
  const [address, length] = split(cidr);
  const own = { protocol: "kernel", prefsrc: address, dev, flags: [] };
  const local = { type: "local", dst: address, table: "local", scope: "host", ...own };
  if (length === 32) return [local];
  const connected = {
    type: "unicast",
    dst: `${network(address, length)}/${length}`,
    table: "main",
    scope: "link",
    ...own,
  };
  return [connected, local];
}

function routeRows(ns: NamespaceText): object[] {
  const rows: object[] = ns.routes.map(([dst, gateway, dev]) => ({
    type: "unicast",
    dst,
    ...(gateway === null ? {} : { gateway }),
    dev,
    table: "main",
    protocol: "boot",
    scope: gateway === null ? "link" : "global",
    flags: dev.startsWith("flannel") ? ["onlink"] : [],
  }));
  for (const link of ns.links) for (const cidr of link.addresses) rows.push(...routesOfAddress(link.name, cidr));
  const lo = { dev: "lo", table: "local", protocol: "kernel", scope: "host", prefsrc: "127.0.0.1", flags: [] };
  rows.push({ type: "local", dst: "127.0.0.0/8", ...lo }, { type: "local", dst: "127.0.0.1", ...lo });
  return rows;
}

const CONF4 = {
  accept_local: 0,
  arp_filter: 0,
  arp_ignore: 0,
  ignore_routes_with_linkdown: 0,
  proxy_arp: 0,
  route_localnet: 0,
  rp_filter: 0,
  send_redirects: 1,
  src_valid_mark: 0,
};

/** Settings of every link and of the namespace, as the kernel makes them, then `sysctls` over them. */
function sysctlText(ns: NamespaceText): string {
  const values = new Map<string, number | string>();
  for (const dev of ["all", "default", "lo", ...ns.links.map((l) => l.name)]) {
    const name = dev.replaceAll(".", "/");
    for (const [key, value] of Object.entries(CONF4)) values.set(`net.ipv4.conf.${name}.${key}`, value);
    values.set(`net.ipv4.conf.${name}.forwarding`, 0);
    for (const key of ["disable_ipv6", "forwarding", "proxy_ndp"]) values.set(`net.ipv6.conf.${name}.${key}`, 0);
  }
  for (const [key, value] of Object.entries({
    "net.core.somaxconn": 4096,
    "net.ipv4.fib_multipath_hash_policy": 0,
    "net.ipv4.ip_default_ttl": 64,
    "net.ipv4.ip_forward": 0,
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.netfilter.nf_conntrack_max": 262144,
    "net.netfilter.nf_conntrack_tcp_loose": 1,
    "net.unix.max_dgram_qlen": 512,
    ...ns.sysctls,
  }))
    values.set(key, value);
  return [...values]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key} = ${value}\n`)
    .join("");
}

/** Commands whose output is text: nothing printed is nothing there. */
const TEXT_COMMANDS: Readonly<Record<string, string>> = {
  "iptables-save.txt": "iptables-save -c",
  "ip6tables-save.txt": "ip6tables-save -c",
  "iptables-legacy-save.txt": "iptables-legacy-save -c",
  "ip6tables-legacy-save.txt": "ip6tables-legacy-save -c",
  "ipset.txt": "ipset save",
  "ipvs.txt": "ipvsadm -S -n",
  "conntrack.txt": "conntrack -L -o extended",
  "conntrack6.txt": "conntrack -L -f ipv6 -o extended",
  "sockets.txt": "ss -H -O -lntuwe",
};

/** The records that commands.json has of a namespace, `dir` relative to the node's folder. */
export function commandRecords(dir: string): object[] {
  return Object.entries(TEXT_COMMANDS).map(([name, command]) => ({
    file: `${dir}/${name}`,
    command,
    exit: 0,
    stderr: "",
  }));
}

/** The files of the folder by name. */
export function namespaceFiles(ns: NamespaceText): Map<string, string> {
  const line = (value: unknown): string => `${JSON.stringify(value)}\n`;
  const rule = (priority: number, table: string): object => ({ priority, src: "all", table });
  const files = new Map([
    ["addr.json", line([LOOPBACK, ...ns.links.map(linkRow)])],
    ["route4.json", line(routeRows(ns))],
    ["route6.json", line([])],
    ["rule4.json", line([rule(0, "local"), rule(32766, "main"), rule(32767, "default")])],
    ["rule6.json", line([rule(0, "local"), rule(32766, "main")])],
    ["neigh.json", line(ns.neighbours.map((n) => ({ ...n, state: [n.state] })))],
    ["neigh-proxy.json", line([])],
    ["fdb.json", line(ns.fdb)],
    ["bridge-link.json", line(ns.links.filter((l) => l.master !== undefined).map(portRow))],
    ["vlan.json", line([])],
    ["nexthop.json", line([])],
    ["nsid.json", line(ns.nsids)],
    [
      "tc.json",
      line(["lo", ...ns.links.map((l) => l.name)].map((dev) => ({ kind: "noqueue", handle: "0:", dev, root: true }))),
    ],
    ["nft.json", line({ nftables: [{ metainfo: { version: "1.0.6", json_schema_version: 1 } }] })],
    ["sockets.txt", ns.sockets.map((s) => `${s}\n`).join("")],
    ["sysctl.txt", sysctlText(ns)],
  ]);
  for (const [name, text] of Object.entries(ns.rules ?? {})) files.set(name, text);
  return files;
}
