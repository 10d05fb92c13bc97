/** Claims on links, addresses, routes, rules, neighbours, FDB entries and settings as the commands that make them. */
import type { Claim } from "../claim.ts";
import type { FdbState, LinkState, NeighbourState, RouteState } from "../state.ts";

/** How each namespace's commands begin: `ip` at home, `ip -n NAME` in a pod's. */
interface Tools {
  ip: string;
  bridge: string;
  sysctl: string;
}

/** Name under which `ip netns` would know a place. */
export function netnsName(place: string): string | null {
  const pod = /^[^/]+\/pod\/([^/]+)\/(.+)$/.exec(place);
  return pod === null ? null : `${pod[1]!}.${pod[2]!}`;
}

function toolsOf(place: string): Tools {
  const netns = netnsName(place);
  return netns === null
    ? { ip: "ip", bridge: "bridge", sysctl: "sysctl" }
    : { ip: `ip -n ${netns}`, bridge: `bridge -n ${netns}`, sysctl: `ip netns exec ${netns} sysctl` };
}

const words = (...parts: (string | false | null | undefined)[]): string =>
  parts.filter((part) => typeof part === "string" && part !== "").join(" ");

/** What `ip link add … type KIND` takes for a VXLAN, macvlan and the like. */
function attributeWords(link: LinkState): string {
  const a = link.attributes ?? {};
  const flag = (name: string): string | false =>
    typeof a[name] === "boolean" && (a[name] ? name : name === "learning" ? "nolearning" : false);
  const value = (name: string, word = name): string | false =>
    a[name] !== undefined && a[name] !== null && typeof a[name] !== "boolean" && `${word} ${String(a[name])}`;
  if (link.type === "vxlan") {
    return words(
      flag("external"),
      value("id"),
      value("local"),
      value("remote"),
      value("dev"),
      value("port", "dstport"),
      flag("learning"),
      flag("l2miss"),
      flag("l3miss"),
      flag("proxy"),
    );
  }
  if (link.type === "macvlan" || link.type === "ipvlan") return words(value("mode"));
  if (link.type === "vlan") return words(value("id"));
  return words(value("local"), value("remote"), value("dev"), value("mode"));
}

/** `made`: ends of veth pairs that were made with their other end. */
function linkCommands(link: LinkState, at: string, tools: Tools, made: Set<string>): string[] {
  const out: string[] = [];
  const own = `${at} ${link.name}`;
  // Every namespace has its lo from the start.
  if (link.type === "loopback") made.add(own);
  const lower =
    link.type === "macvlan" || link.type === "ipvlan" || link.type === "vlan" ? link.attributes?.["dev"] : null;
  if (!made.has(own)) {
    const [place = "", peer = ""] = (link.peer ?? "").split(" ");
    const netns = netnsName(place);
    out.push(
      words(
        `${tools.ip} link add ${link.name}`,
        typeof lower === "string" && `link ${lower}`,
        link.mac !== undefined && `address ${link.mac}`,
        link.mtu !== undefined && `mtu ${link.mtu}`,
        `type ${link.type}`,
        attributeWords(link),
        link.type === "veth" && peer !== "" && `peer name ${peer}${netns === null ? "" : ` netns ${netns}`}`,
      ),
    );
    made.add(own);
    if (link.peer !== undefined) made.add(link.peer);
  } else {
    const more = words(link.mac !== undefined && `address ${link.mac}`, link.mtu !== undefined && `mtu ${link.mtu}`);
    if (more !== "") out.push(`${tools.ip} link set ${link.name} ${more}`);
  }
  if (typeof link.master === "string") out.push(`${tools.ip} link set ${link.name} master ${link.master}`);
  if (link.up !== false) out.push(`${tools.ip} link set ${link.name} up`);
  if (link.hairpin === true) out.push(`${tools.bridge} link set dev ${link.name} hairpin on`);
  return out;
}

function routeCommand(route: RouteState, tools: Tools): string {
  const way = (each: RouteState["ways"][number]): string =>
    words(
      each.via !== null && `via ${each.via}`,
      each.dev !== null && `dev ${each.dev}`,
      each.onlink === true && "onlink",
    );
  const ways =
    route.ways.length > 1
      ? route.ways.map((each) => words("nexthop", way(each), `weight ${each.weight ?? 1}`)).join(" ")
      : route.ways.map(way).join("");
  return words(
    `${tools.ip}${route.family === 6 ? " -6" : ""} route add`,
    route.type !== "unicast" && route.type,
    route.dst,
    ways,
    route.table !== 254 && `table ${route.table}`,
    route.protocol !== undefined && route.protocol !== "boot" && `proto ${route.protocol}`,
    route.scope !== undefined && route.scope !== "global" && route.type !== "blackhole" && `scope ${route.scope}`,
    typeof route.src === "string" && `src ${route.src}`,
    route.metric !== 0 && !(route.family === 6 && route.metric === 1024) && `metric ${route.metric}`,
    typeof route.mtu === "number" && `mtu ${route.mtu}`,
  );
}

function neighbourCommand(entry: NeighbourState, tools: Tools): string {
  if (entry.proxy === true) return `${tools.ip} neigh add proxy ${entry.ip} dev ${entry.dev}`;
  return words(
    `${tools.ip} neigh add ${entry.ip}`,
    typeof entry.mac === "string" && `lladdr ${entry.mac}`,
    `dev ${entry.dev}`,
    `nud ${(entry.state ?? "PERMANENT").toLowerCase()}`,
  );
}

function fdbCommand(entry: FdbState, tools: Tools): string {
  return words(
    `${tools.bridge} fdb append ${entry.mac} dev ${entry.dev}`,
    typeof entry.dst === "string" && `dst ${entry.dst}`,
    typeof entry.master === "string" ? "master" : "self",
    entry.state === "static" ? "static" : "permanent",
  );
}

const ORDER = ["link", "address", "sysctl", "route", "rule-lookup", "neighbour", "fdb"];

/** The commands for the claims on one namespace, links first. `made` remembers the ends of veth pairs across namespaces. */
export function ipCommands(claims: readonly Claim[], made: Set<string>): string[] {
  const sorted = claims
    .filter((claim) => ORDER.includes(claim.kind))
    .toSorted((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  return sorted.flatMap((claim): string[] => {
    const tools = toolsOf(claim.at);
    switch (claim.kind) {
      case "link":
        return linkCommands(claim.state, claim.at, tools, made);
      case "address":
        return [`${tools.ip} address add ${claim.state.address} dev ${claim.state.dev}`];
      case "sysctl":
        return [`${tools.sysctl} -w ${claim.state.key}=${claim.state.value}`];
      case "route":
        return [routeCommand(claim.state, tools)];
      case "rule-lookup":
        return [
          `${tools.ip}${claim.state.family === 6 ? " -6" : ""} rule add priority ${claim.state.priority} ${claim.state.selector} ${claim.state.action}`,
        ];
      case "neighbour":
        return [neighbourCommand(claim.state, tools)];
      case "fdb":
        return [fdbCommand(claim.state, tools)];
      default:
        return [];
    }
  });
}
