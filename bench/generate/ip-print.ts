/** Listings of iproute2 and its kin as these print them: `ip -j -d addr`, routes, neighbours, forwarding entries, queueing disciplines. */

/** A device as it is printed, its addresses included. */
export interface PrintedLink {
  index: number;
  name: string;
  mac: string;
  mtu: number;
  /** `10.128.0.1/24`, of scope global. */
  address?: string;
  /** The kernel says UNKNOWN of tunnels. */
  operstate?: string;
  /** `linkinfo`. */
  info: object;
  peer?: { index: number; netnsid: number };
  master?: string;
}

const FOREVER = { valid_life_time: 4294967295, preferred_life_time: 4294967295 };
const GSO = {
  gso_max_size: 65536,
  gso_max_segs: 65535,
  tso_max_size: 524280,
  tso_max_segs: 65535,
  gro_max_size: 65536,
};

const LOOPBACK = {
  ifindex: 1,
  ifname: "lo",
  flags: ["LOOPBACK", "UP", "LOWER_UP"],
  mtu: 65536,
  qdisc: "noqueue",
  operstate: "UNKNOWN",
  group: "default",
  txqlen: 1000,
  link_type: "loopback",
  address: "00:00:00:00:00:00",
  broadcast: "00:00:00:00:00:00",
  promiscuity: 0,
  allmulti: 0,
  min_mtu: 0,
  max_mtu: 0,
  num_tx_queues: 1,
  num_rx_queues: 1,
  ...GSO,
  addr_info: [
    { family: "inet", local: "127.0.0.1", prefixlen: 8, scope: "host", label: "lo", ...FOREVER },
    { family: "inet6", local: "::1", prefixlen: 128, scope: "host", ...FOREVER },
  ],
};

/** The link-local address that a device draws from its MAC (RFC 4291, appendix A), as inet_ntop prints it. */
export function linkLocal(mac: string): string {
  const bytes = mac.split(":").map((each) => Number.parseInt(each, 16));
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = bytes;
  const words = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  // Its middle words are never zero, so that "::" stands for the three after fe80.
  return `fe80::${words.map((word) => word.toString(16)).join(":")}`;
}

/** Whole number of an IPv4 address, and back. */
const word = (ip: string): number => ip.split(".").reduce((n, part) => n * 256 + Number(part), 0);
const dotted = (n: number): string => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join(".");

const netOf = (cidr: string): { ip: string; len: number; net: string; broadcast: string } => {
  const [ip = "", length = "32"] = cidr.split("/");
  const len = Number(length);
  const size = 2 ** (32 - len);
  const first = Math.floor(word(ip) / size) * size;
  return { ip, len, net: `${dotted(first)}/${len}`, broadcast: dotted(first + size - 1) };
};

/** Whoever makes a bridge or a pod's device gives it a broadcast address, too; for an uplink or a /32 there is none. */
function addresses(link: PrintedLink): object[] {
  const own: object[] = [];
  if (link.address !== undefined) {
    const { ip, len, broadcast } = netOf(link.address);
    const shown = len < 32 ? { broadcast } : {};
    own.push({
      family: "inet",
      local: ip,
      prefixlen: len,
      ...shown,
      scope: "global",
      label: link.name,
      ...FOREVER,
    });
  }
  return [...own, { family: "inet6", local: linkLocal(link.mac), prefixlen: 64, scope: "link", ...FOREVER }];
}

/** `ip -j -d addr`: the loopback device and these. */
export function addrJson(links: readonly PrintedLink[]): string {
  const rows = links.map((link) => ({
    ifindex: link.index,
    ...(link.peer === undefined ? {} : { link_index: link.peer.index }),
    ifname: link.name,
    flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
    mtu: link.mtu,
    qdisc: "noqueue",
    ...(link.master === undefined ? {} : { master: link.master }),
    operstate: link.operstate ?? "UP",
    group: "default",
    txqlen: 1000,
    link_type: "ether",
    address: link.mac,
    broadcast: "ff:ff:ff:ff:ff:ff",
    ...(link.peer === undefined ? {} : { link_netnsid: link.peer.netnsid }),
    promiscuity: link.master === undefined ? 0 : 1,
    allmulti: link.master === undefined ? 0 : 1,
    min_mtu: 68,
    max_mtu: 65535,
    linkinfo: link.info,
    num_tx_queues: 1,
    num_rx_queues: 1,
    ...GSO,
    addr_info: addresses(link),
  }));
  return json([LOOPBACK, ...rows]);
}

/** A route of table main that someone added. */
export interface PrintedRoute {
  dst: string;
  gateway: string;
  dev: string;
  onlink?: boolean;
}

/** `ip -j -d -4 route show table all`: these, and what the kernel makes of the devices' addresses (fib_add_ifaddr). */
export function route4Json(links: readonly PrintedLink[], routes: readonly PrintedRoute[]): string {
  const main: object[] = routes.map(({ dst, gateway, dev, onlink }) => ({
    type: "unicast",
    dst,
    gateway,
    dev,
    table: "main",
    protocol: "boot",
    scope: "global",
    flags: onlink === true ? ["onlink"] : [],
  }));
  const local: object[] = [];
  const kernel = (type: string, dst: string, dev: string, table: string, scope: string, prefsrc: string): object => ({
    type,
    dst,
    dev,
    table,
    protocol: "kernel",
    scope,
    prefsrc,
    flags: [],
  });
  for (const { name, address } of [{ name: "lo", address: "127.0.0.1/8" }, ...links]) {
    if (address === undefined) continue;
    const { ip, len, net, broadcast } = netOf(address);
    if (name === "lo") local.push(kernel("local", net, name, "local", "host", ip));
    else if (len < 32) main.push(kernel("unicast", net, name, "main", "link", ip));
    local.push(kernel("local", ip, name, "local", "host", ip));
    if (len < 32) local.push(kernel("broadcast", broadcast, name, "local", "link", ip));
  }
  return json([...main, ...local]);
}

/** `ip -j -d -6 route show table all`: link-local addresses and groups alone. */
export function route6Json(links: readonly PrintedLink[]): string {
  const row = (type: string, dst: string, dev: string, table: string, metric: number): object => ({
    type,
    dst,
    dev,
    table,
    protocol: "kernel",
    scope: "global",
    metric,
    flags: [],
    pref: "medium",
  });
  return json([
    ...links.map((link) => row("unicast", "fe80::/64", link.name, "main", 256)),
    row("local", "::1", "lo", "local", 0),
    ...links.map((link) => row("local", linkLocal(link.mac), link.name, "local", 0)),
    ...links.map((link) => row("multicast", "ff00::/8", link.name, "local", 256)),
  ]);
}

export const RULE4_JSON = json([
  { priority: 0, src: "all", table: "local" },
  { priority: 32766, src: "all", table: "main" },
  { priority: 32767, src: "all", table: "default" },
]);
export const RULE6_JSON = json([
  { priority: 0, src: "all", table: "local" },
  { priority: 32766, src: "all", table: "main" },
]);
export const NONE_JSON = json([]);

/** The groups that a device with IPv6 listens to, in its own forwarding table. */
export function groupFdb(name: string, mac: string): object[] {
  return ["33:33:00:00:00:01", "01:00:5e:00:00:01", `33:33:ff:${mac.slice(9)}`].map((group) => ({
    mac: group,
    ifname: name,
    flags: ["self"],
    state: "permanent",
  }));
}

/** Routers and multicast listeners that every device has sent to. */
export function groupNeighbours(name: string): object[] {
  return [
    { dst: "ff02::16", dev: name, lladdr: "33:33:00:00:00:16", state: ["NOARP"] },
    { dst: "ff02::2", dev: name, lladdr: "33:33:00:00:00:02", state: ["NOARP"] },
  ];
}

/** `tc -j qdisc show` where nobody queues. */
export function tcJson(links: readonly { name: string }[]): string {
  const row = (dev: string): object => ({ kind: "noqueue", handle: "0:", dev, root: true, refcnt: 2, options: {} });
  return json([row("lo"), ...links.map((link) => row(link.name))]);
}

/** JSON as iproute2 prints it: on one line. */
export function json(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
