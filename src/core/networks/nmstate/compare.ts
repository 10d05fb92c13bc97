/** What a machine has against what somebody wants it to have. */
import { formatIp, formatPrefix, parseIp } from "../../model/address.ts";
import type { Link } from "../../model/link.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Source } from "../../model/source.ts";
import { parseResolvConf } from "../dns/resolv-conf.ts";
import type { DesiredFamily, DesiredLink, DesiredRoute, DesiredState } from "./desired.ts";

/** A wish that is not fulfilled. */
export interface NotApplied {
  /** `mtu of eth0`, `address of eth0`, `route`, `DNS server`. */
  what: string;
  desired: string;
  /** Null when there is nothing of the kind. */
  actual: string | null;
  /** Line of the wish. */
  source: Source;
}

/** nmstate's types whose kernel kind has another name. */
const KINDS: Readonly<Record<string, string>> = {
  "linux-bridge": "bridge",
  bridge: "bridge",
  "mac-vlan": "macvlan",
  "mac-vtap": "macvtap",
  loopback: "loopback",
};
/** Types that say nothing of the kernel's kind: a device of the machine's own, or one that Open vSwitch makes. */
const ANY_KIND = new Set(["ethernet", "unknown", "infiniband", "wifi", "ovs-bridge", "ovs-interface", "ovs-port"]);

const kindOf = (link: Link): string => (link.kind.kind === "other" ? link.kind.name : link.kind.kind);
const addressesOf = (link: Link, family: 4 | 6): string[] =>
  link.addresses.filter((each) => each.ip.v === family).map((each) => `${formatIp(each.ip)}/${each.prefixLen}`);
const shown = (list: readonly string[]): string | null => (list.length === 0 ? null : list.join(", "));

/** Addresses beyond those asked for are no difference: keepalived and others put floating ones on the same devices. */
function familyDifferences(link: Link, family: 4 | 6, desired: DesiredFamily): NotApplied[] {
  const actual = addressesOf(link, family);
  const what = `IPv${family} address of ${link.name}`;
  if (desired.enabled?.value === false) {
    return actual.length === 0
      ? []
      : [{ what, desired: "none", actual: shown(actual), source: desired.enabled.source }];
  }
  const found = desired.addresses
    .filter((each) => !actual.includes(each.value))
    .map((each): NotApplied => ({ what, desired: each.value, actual: shown(actual), source: each.source }));
  if (
    desired.dynamic &&
    desired.enabled?.value === true &&
    desired.addresses.length === 0 &&
    family === 4 &&
    actual.length === 0
  )
    found.push({ what, desired: "one by DHCP", actual: null, source: desired.enabled.source });
  return found;
}

function linkDifferences(desired: DesiredLink, host: Namespace): NotApplied[] {
  const link = host.links.find((each) => each.name === desired.name);
  const device = `device ${desired.name}`;
  if (desired.state.value === "absent")
    return link === undefined
      ? []
      : [{ what: device, desired: "absent", actual: kindOf(link), source: desired.state.source }];
  if (link === undefined)
    return desired.state.value === "down"
      ? []
      : [{ what: device, desired: desired.type?.value ?? "up", actual: null, source: desired.source }];
  if (desired.state.value === "down")
    return link.up && addressesOf(link, 4).length > 0
      ? [{ what: `state of ${link.name}`, desired: "down", actual: "up", source: desired.state.source }]
      : [];
  const found: NotApplied[] = [];
  const differ = (what: string, wanted: string, actual: string | null, source: Source): void => {
    if (wanted !== actual) found.push({ what: `${what} of ${link.name}`, desired: wanted, actual, source });
  };
  differ("state", "up", link.up ? "up" : "down", desired.state.source);
  const { type, mtu, mac, controller, bondMode, vlan } = desired;
  if (type !== null && !ANY_KIND.has(type.value))
    differ("kind", KINDS[type.value] ?? type.value, kindOf(link), type.source);
  if (mtu !== null) differ("mtu", String(mtu.value), String(link.mtu), mtu.source);
  if (mac !== null) differ("MAC address", mac.value, link.mac, mac.source);
  // A profile may name its controller by UUID, which says nothing here.
  if (controller !== null && !/^[0-9a-f-]{36}$/i.test(controller.value))
    differ("controller", controller.value, link.master ?? "", controller.source);
  if (bondMode !== null && link.kind.kind === "bond")
    differ("bond mode", bondMode.value, link.kind.mode, bondMode.source);
  if (vlan !== null && link.kind.kind === "vlan") {
    differ("VLAN id", String(vlan.id), String(link.kind.id), vlan.source);
    if (vlan.base !== null && link.lower !== null) differ("base device", vlan.base, link.lower, vlan.source);
  }
  for (const port of desired.ports) {
    const actual = host.links.find((each) => each.name === port.value);
    if (actual?.master !== link.name)
      found.push({
        what: `port ${port.value} of ${link.name}`,
        desired: `enslaved to ${link.name}`,
        actual: actual === undefined ? null : (actual.master ?? "enslaved to nothing"),
        source: port.source,
      });
  }
  found.push(...familyDifferences(link, 4, desired.ipv4), ...familyDifferences(link, 6, desired.ipv6));
  return found;
}

function routeDifferences(desired: DesiredRoute, host: Namespace): NotApplied[] {
  const all = desired.destination.includes(":") ? host.routes6 : host.routes4;
  const same = all.filter((route) => route.table === desired.table && formatPrefix(route.dst) === desired.destination);
  const hops = same.flatMap((route) =>
    route.nexthops.map((hop) => ({
      via: hop.gateway === null ? null : formatIp(hop.gateway),
      dev: hop.dev,
      metric: route.metric,
    })),
  );
  const text = (hop: { via: string | null; dev: string | null; metric: number | null }): string =>
    [
      ...(hop.via === null ? [] : [`via ${hop.via}`]),
      ...(hop.dev === null ? [] : [`dev ${hop.dev}`]),
      ...(hop.metric === null ? [] : [`metric ${hop.metric}`]),
    ].join(" ");
  const met = hops.some(
    (hop) =>
      (desired.via === null || hop.via === desired.via) &&
      (desired.dev === null || hop.dev === desired.dev) &&
      (desired.metric === null || hop.metric === desired.metric),
  );
  if (met !== desired.absent) return [];
  const actual = shown(hops.map(text));
  const what = `route to ${desired.destination}`;
  return [{ what, desired: desired.absent ? "absent" : text(desired), actual, source: desired.source }];
}

/** Servers and search names that the machine's resolv.conf lacks. A local resolver (127.0.0.53 and its like) hides them all. */
function dnsDifferences(state: DesiredState, resolvConf: string): NotApplied[] {
  const { nameservers, search } = parseResolvConf(resolvConf);
  if (nameservers.length > 0 && nameservers.every((server) => server.startsWith("127.") || server === "::1")) return [];
  const known = new Set(nameservers.map((server) => (parseIp(server) === null ? server : formatIp(parseIp(server)!))));
  return [
    ...state.dns.servers
      .filter((each) => !known.has(each.value))
      .map((each) => ({ what: "DNS server", desired: each.value, actual: shown(nameservers), source: each.source })),
    ...state.dns.searches
      .filter((each) => !search.includes(each.value.replace(/^~/, "")) && !each.value.startsWith("~"))
      .map((each) => ({ what: "DNS search", desired: each.value, actual: shown(search), source: each.source })),
  ];
}

/**
 * The wishes of a state that a machine does not fulfil, in the state's order. `host` is its root namespace, `resolvConf` its recorded
 * /etc/resolv.conf, null when there is none (DNS is then not compared). Aspects that were not recorded are passed over.
 */
export function notApplied(state: DesiredState, host: Namespace, resolvConf: string | null): NotApplied[] {
  return [
    ...(host.missing.has("addr") ? [] : state.links.flatMap((link) => linkDifferences(link, host))),
    ...state.routes.flatMap((route) =>
      host.missing.has(route.destination.includes(":") ? "route6" : "route4") ? [] : routeDifferences(route, host),
    ),
    ...(resolvConf === null ? [] : dnsDifferences(state, resolvConf)),
  ];
}
