/**
 * A NetworkManager connection profile (*.nmconnection), read into what it wants (nm-settings-keyfile(5); libnm-core
 * nm-keyfile.c, nm-setting-ip-config.c).
 */
import {
  addressOf,
  crossCheck,
  destinationOf,
  integerOf,
  lengthOf,
  macOf,
  MTU_RANGE,
  Problems,
  VLAN_RANGE,
} from "./values.ts";
import { plainLink, type DesiredFamily, type DesiredLink, type DesiredState, type Wish } from "./desired.ts";
import { listOf, numbered, parseKeyfile, type KeyfileEntry } from "./keyfile.ts";
import { MAIN_TABLE } from "../state.ts";

/** A profile and when NetworkManager uses it. */
export interface Connection {
  id: string;
  uuid: string;
  type: string;
  /** Null: any device of its type, or the one with the MAC address in `state`. */
  interface: string | null;
  /** Permanent MAC address of the device that it is for. */
  forMac: string | null;
  autoconnect: boolean;
  /** The higher one wins when several profiles are for one device. */
  priority: number;
  state: DesiredState;
}

type Section = ReadonlyMap<string, KeyfileEntry>;
const EMPTY: Section = new Map();
/** Lengths of addresses and destinations that have none (nm-keyfile.c, DEFAULT_PREFIX). */
const DEFAULT_LENGTH = { 4: { address: 24, route: 24 }, 6: { address: 64, route: 128 } } as const;

const METHODS: Readonly<Record<4 | 6, readonly string[]>> = {
  4: ["auto", "manual", "disabled", "link-local", "shared"],
  6: ["auto", "dhcp", "manual", "disabled", "ignore", "link-local", "shared"],
};

/** nmstate's words for NetworkManager's types. */
const TYPES: Readonly<Record<string, string>> = {
  "802-3-ethernet": "ethernet",
  bridge: "linux-bridge",
  "ovs-interface": "ovs-interface",
};

/** `10.0.0.1/24` or `10.0.0.1`, in NetworkManager's words when it is none. */
function addressWithLength(text: string, family: 4 | 6, entry: KeyfileEntry, problems: Problems): string | null {
  const [address = "", length] = text.split("/");
  const ip = addressOf(address, family, entry.source, problems);
  if (ip === null) return null;
  if (length === undefined) {
    const assumed = DEFAULT_LENGTH[family].address;
    problems.doubtful(`The address ${address} has no prefix length; ${assumed} is taken`, entry.source);
    return `${ip}/${assumed}`;
  }
  const len = lengthOf(length, family, entry.source, problems);
  return len === null ? null : `${ip}/${len}`;
}

/** A route `DESTINATION/LENGTH[,NEXT HOP[,METRIC]]`. */
function routeOf(
  entry: KeyfileEntry,
  family: 4 | 6,
  dev: string | null,
  options: string,
  problems: Problems,
): DesiredState["routes"] {
  const [to = "", hop = "", metric = ""] = entry.value.split(",").map((each) => each.trim());
  const whole = to.includes("/") ? to : `${to}/${DEFAULT_LENGTH[family].route}`;
  const destination = destinationOf(whole, entry.source, problems);
  if (destination === null) return [];
  const wildcard = hop === "" || hop === "0.0.0.0" || hop === "::";
  const via = wildcard ? null : addressOf(hop, family, entry.source, problems);
  if (!wildcard && via === null) return [];
  const table = /(?:^|,)table=(\d+)/.exec(options);
  return [
    {
      destination,
      via,
      dev,
      metric: /^\d+$/.test(metric) ? Number(metric) : null,
      table: table === null ? MAIN_TABLE : Number(table[1]),
      absent: false,
      source: entry.source,
    },
  ];
}

function familyOf(
  section: Section,
  family: 4 | 6,
  link: DesiredLink | null,
  state: DesiredState,
  problems: Problems,
): DesiredFamily {
  const method = section.get("method");
  const name = method?.value ?? (section.size === 0 ? "" : "auto");
  if (method !== undefined && !METHODS[family].includes(method.value))
    problems.impossible(
      `ipv${family}.method: '${method.value}' is none of ${METHODS[family].join(", ")}`,
      method.source,
    );
  const dev = link?.name ?? null;
  const addresses: Wish<string>[] = [];
  let gateway: { text: string; entry: KeyfileEntry } | null = null;
  for (const entry of numbered(section, ["address", "addresses"])) {
    const [address = "", hop] = entry.value.split(",").map((each) => each.trim());
    const value = addressWithLength(address, family, entry, problems);
    if (value !== null) addresses.push({ value, source: entry.source });
    if (hop !== undefined && hop !== "" && hop !== "0.0.0.0" && hop !== "::") gateway ??= { text: hop, entry };
  }
  const named = section.get("gateway");
  if (named !== undefined) gateway = { text: named.value, entry: named };
  const asked = numbered(section, ["address", "addresses"]).length > 0;
  if (name === "manual" && !asked)
    problems.impossible(`ipv${family} has the method manual and no address`, method!.source);
  if ((name === "disabled" || name === "link-local") && addresses.length > 0)
    problems.impossible(`ipv${family} has addresses, and its method ${name} takes none`, addresses[0]!.source);
  if (gateway !== null) {
    const via = addressOf(gateway.text, family, gateway.entry.source, problems);
    const never = section.get("never-default")?.value === "true";
    if (never) problems.impossible(`ipv${family} has a gateway, and never-default forbids one`, gateway.entry.source);
    else if (via !== null)
      state.routes.push({
        destination: family === 4 ? "0.0.0.0/0" : "::/0",
        via,
        dev,
        metric: null,
        table: MAIN_TABLE,
        absent: false,
        source: gateway.entry.source,
      });
  }
  for (const [key, entry] of section) {
    if (!/^routes?\d*$/.test(key)) continue;
    state.routes.push(...routeOf(entry, family, dev, section.get(`${key}_options`)?.value ?? "", problems));
  }
  for (const text of listOf(section.get("dns"))) {
    const entry = section.get("dns")!;
    const server = addressOf(text.split("#")[0]!, family, entry.source, problems);
    if (server !== null) state.dns.servers.push({ value: server, source: entry.source });
  }
  for (const text of listOf(section.get("dns-search")))
    state.dns.searches.push({ value: text, source: section.get("dns-search")!.source });
  const source = method?.source;
  return {
    enabled: source === undefined || name === "ignore" ? null : { value: name !== "disabled", source },
    dynamic: ["auto", "dhcp", "link-local", "shared", "ignore"].includes(name),
    addresses,
  };
}

/** Settings of the device itself. */
function describeLink(link: DesiredLink, sections: ReadonlyMap<string, Section>, problems: Problems): void {
  const connection = sections.get("connection") ?? EMPTY;
  const type = connection.get("type");
  if (type !== undefined) link.type = { value: TYPES[type.value] ?? type.value, source: type.source };
  const ethernet = sections.get("ethernet") ?? EMPTY;
  const mtu = ethernet.get("mtu");
  if (mtu !== undefined && mtu.value !== "0" && mtu.value !== "") {
    const value = integerOf(mtu.value, "mtu", MTU_RANGE, mtu.source, problems);
    if (value !== null) link.mtu = { value, source: mtu.source };
  }
  const mac = ethernet.get("cloned-mac-address");
  if (mac !== undefined && !["preserve", "permanent", "random", "stable", "stable-ssid", ""].includes(mac.value)) {
    const value = macOf(mac.value, mac.source, problems);
    if (value !== null) link.mac = { value, source: mac.source };
  }
  const controller = connection.get("controller") ?? connection.get("master");
  if (controller !== undefined) link.controller = { value: controller.value, source: controller.source };
  const mode = sections.get("bond")?.get("mode");
  if (mode !== undefined) link.bondMode = { value: mode.value, source: mode.source };
  const vlan = sections.get("vlan");
  const id = vlan?.get("id");
  if (vlan !== undefined && id !== undefined) {
    const number = integerOf(id.value, "VLAN id", VLAN_RANGE, id.source, problems);
    if (number !== null) link.vlan = { base: vlan.get("parent")?.value ?? null, id: number, source: id.source };
  }
}

/** Reads a profile. What cannot be is in the state's problems; never throws. */
export function readConnection(text: string, file: string): Connection {
  const problems = new Problems();
  const sections = parseKeyfile(text, file, problems);
  const connection: Section = sections.get("connection") ?? EMPTY;
  const start = { file, line: 1 };
  if (connection === EMPTY)
    problems.impossible("There is no [connection] section: NetworkManager ignores the file", start);
  const ethernet: Section = sections.get("ethernet") ?? EMPTY;
  const name = connection.get("interface-name") ?? sections.get("vlan")?.get("interface-name");
  const link = name === undefined ? null : plainLink(name.value, name.source);
  const state: DesiredState = {
    name: connection.get("id")?.value ?? file,
    links: link === null ? [] : [link],
    routes: [],
    dns: { servers: [], searches: [] },
    problems: problems.list,
  };
  const target = link ?? plainLink("", start);
  describeLink(target, sections, problems);
  target.ipv4 = familyOf(sections.get("ipv4") ?? EMPTY, 4, link, state, problems);
  target.ipv6 = familyOf(sections.get("ipv6") ?? EMPTY, 6, link, state, problems);
  const mac = ethernet.get("mac-address");
  const forMac = mac === undefined || mac.value === "" ? null : macOf(mac.value, mac.source, problems);
  // A profile for any device, or for a MAC address, keeps its wishes until its device is known.
  if (link === null) state.links.push(target);
  crossCheck(
    link === null ? { ...state, routes: state.routes.map((route) => ({ ...route, dev: "" })) } : state,
    problems,
  );
  return {
    id: connection.get("id")?.value ?? "",
    uuid: connection.get("uuid")?.value ?? "",
    type: connection.get("type")?.value ?? "",
    interface: link?.name ?? null,
    forMac,
    autoconnect: connection.get("autoconnect")?.value !== "false",
    priority: Number(connection.get("autoconnect-priority")?.value ?? 0) || 0,
    state,
  };
}

/** The profile's state with its wishes put on the device that it turned out to be for. */
export function onDevice(connection: Connection, device: string): DesiredState {
  if (connection.interface !== null) return connection.state;
  return {
    ...connection.state,
    links: connection.state.links.map((link) => ({ ...link, name: device })),
    routes: connection.state.routes.map((route) => ({ ...route, dev: device })),
  };
}
