/** Devices as the commands that make them. */
import { hex } from "./machines.ts";
import type { LinkState } from "../state.ts";

/** How each namespace's commands begin: `ip` at home, `ip -n NAME` in a pod's. */
export interface Tools {
  ip: string;
  bridge: string;
  sysctl: string;
}

/** Name under which `ip netns` would know a place; null for a machine's root namespace. */
export function netnsName(place: string): string | null {
  const pod = /^[^/]+\/pod\/([^/]+)\/(.+)$/.exec(place);
  if (pod !== null) return `${pod[1]!}.${pod[2]!}`;
  return /^[^/]+\/netns\/(.+)$/.exec(place)?.[1] ?? null;
}

export function toolsOf(place: string): Tools {
  const netns = netnsName(place);
  return netns === null
    ? { ip: "ip", bridge: "bridge", sysctl: "sysctl" }
    : { ip: `ip -n ${netns}`, bridge: `bridge -n ${netns}`, sysctl: `ip netns exec ${netns} sysctl` };
}

/** Words with a blank between; what is no text or empty is left out. */
export const words = (...parts: (string | false | null | undefined)[]): string =>
  parts.filter((part) => typeof part === "string" && part !== "").join(" ");

/** What is remembered from one namespace to the next. */
export interface Made {
  /** Devices by `PLACE NAME` that were made with the other end of their pair. */
  links: Set<string>;
  /** Places whose namespace was made. */
  netns: Set<string>;
  /** Rendering.beneath. */
  beneath: ReadonlyMap<string, string>;
}

export function nothingMade(beneath: ReadonlyMap<string, string> = new Map()): Made {
  return { links: new Set(), netns: new Set(), beneath };
}

/** The command that makes a namespace, the first time. */
export function netnsCommand(place: string, made: Made): string[] {
  const netns = netnsName(place);
  if (netns === null || made.netns.has(place)) return [];
  made.netns.add(place);
  return [`ip netns add ${netns}`];
}

/** What `ip link add … type KIND` takes for a VXLAN, macvlan and the like. */
function attributeWords(link: LinkState): string {
  const a = link.attributes ?? {};
  const flag = (name: string): string | false =>
    typeof a[name] === "boolean" && (a[name] ? name : name === "learning" ? "nolearning" : false);
  const value = (name: string, word = name): string | false =>
    a[name] !== undefined && a[name] !== null && typeof a[name] !== "boolean" && `${word} ${String(a[name])}`;
  switch (link.type) {
    case "vxlan":
    case "geneve":
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
    case "macvlan":
    case "ipvlan":
      return words(value("mode"));
    case "vlan":
      return words(value("id"));
    case "bridge":
      return "";
    default:
      return words(value("local"), value("remote"), value("dev"), value("mode"));
  }
}

/** A second face of a host's device in another namespace: made at home under a name that nobody has, moved, renamed, as the plugins do. */
function faceCommands(link: LinkState, place: string, lower: string, tools: Tools): string[] {
  const netns = netnsName(place) ?? "";
  const temporary = `tmp${hex(`${place} ${link.name}`).slice(0, 8)}`;
  const mtu = link.mtu !== undefined && `mtu ${link.mtu}`;
  return [
    words(`ip link add ${temporary} link ${lower}`, mtu, `netns ${netns} type ${link.type}`, attributeWords(link)),
    words(`${tools.ip} link set ${temporary} name ${link.name}`, link.mac !== undefined && `address ${link.mac}`),
  ];
}

function addCommands(link: LinkState, place: string, tools: Tools, made: Made): string[] {
  const beneath = made.beneath.get(`${place} ${link.name}`);
  if (beneath !== undefined) return faceCommands(link, place, beneath, tools);
  // The module brings this one; `ip tunnel` takes the one that is there (ip_tunnel_ctl, SIOCADDTUNNEL).
  if (link.type === "ipip" && link.name === "tunl0")
    return [`${tools.ip} tunnel add tunl0 mode ipip`, words(`${tools.ip} link set tunl0`, `mtu ${link.mtu ?? 1480}`)];
  const stands = link.type === "macvlan" || link.type === "ipvlan" || link.type === "vlan";
  const lower = stands ? link.attributes?.["dev"] : null;
  const [peerPlace = "", peer = ""] = (link.peer ?? "").split(" ");
  const netns = netnsName(peerPlace);
  return [
    ...(peer === "" ? [] : netnsCommand(peerPlace, made)),
    words(
      `${tools.ip} link add ${link.name}`,
      typeof lower === "string" && `link ${lower}`,
      link.mac !== undefined && `address ${link.mac}`,
      link.mtu !== undefined && `mtu ${link.mtu}`,
      `type ${link.type}`,
      attributeWords(link),
      link.type === "veth" && peer !== "" && `peer name ${peer}${netns === null ? "" : ` netns ${netns}`}`,
    ),
  ];
}

/** Commands that make a device and set it up; the other end of a pair is made with the first. */
export function linkCommands(link: LinkState, place: string, made: Made): string[] {
  const tools = toolsOf(place);
  const own = `${place} ${link.name}`;
  const out: string[] = [];
  // Every namespace has its lo from the start.
  if (link.type !== "loopback" && !made.links.has(own)) {
    out.push(...addCommands(link, place, tools, made));
    made.links.add(own);
    if (link.peer !== undefined) made.links.add(link.peer);
  } else {
    const more = words(link.mac !== undefined && `address ${link.mac}`, link.mtu !== undefined && `mtu ${link.mtu}`);
    if (more !== "") out.push(`${tools.ip} link set ${link.name} ${more}`);
  }
  if (typeof link.master === "string") out.push(`${tools.ip} link set ${link.name} master ${link.master}`);
  if (link.up !== false) out.push(`${tools.ip} link set ${link.name} up`);
  if (link.hairpin === true) out.push(`${tools.bridge} link set dev ${link.name} hairpin on`);
  return out;
}
