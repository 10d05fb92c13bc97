/** nmstate's desired state (nmstate.io, YAML of API version 2; `slaves` and the like of version 1). */
import type { Source } from "../../model/source.ts";
import { noFamily, plainLink, type DesiredFamily, type DesiredLink, type DesiredState, type Wish } from "./desired.ts";
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
import { readYaml, type YamlValue } from "./yaml-lines.ts";
import { MAIN_TABLE } from "../state.ts";

/** A policy of the Kubernetes operator, or a plain file, that is meant for some nodes. */
export interface NmstatePolicy {
  /** Labels that a node must have; empty for all nodes. */
  nodeSelector: ReadonlyMap<string, string>;
  state: DesiredState;
}

/** nmstate's own table number for "not said" (rust/src/lib/route.rs). */
const USE_DEFAULT = "0";

const wish = <T>(value: T | null, source: Source): Wish<T> | null => (value === null ? null : { value, source });

function familyOf(value: YamlValue | null, family: 4 | 6, problems: Problems): DesiredFamily {
  if (value === null) return noFamily();
  const enabled = value.get("enabled");
  const addresses: Wish<string>[] = [];
  for (const each of value.get("address")?.items() ?? []) {
    const ip = each.get("ip");
    const text = ip?.text();
    if (ip === null || text === null || text === undefined) {
      problems.impossible("An address has no ip", each.source);
      continue;
    }
    const address = addressOf(text, family, ip.source, problems);
    const length = each.get("prefix-length");
    if (length === null) {
      problems.impossible(`The address ${text} has no prefix-length`, each.source);
      continue;
    }
    const len = lengthOf(length.text() ?? "", family, length.source, problems);
    if (address !== null && len !== null) addresses.push({ value: `${address}/${len}`, source: ip.source });
  }
  const flag = enabled?.flag() ?? null;
  const dynamic = value.get("dhcp")?.flag() === true || value.get("autoconf")?.flag() === true;
  if (flag === true && family === 4 && !dynamic && value.get("address")?.items().length === 0)
    problems.doubtful("IPv4 is enabled with neither addresses nor dhcp", value.source);
  return { enabled: wish(flag, enabled?.source ?? value.source), dynamic: dynamic && flag !== false, addresses };
}

function linkOf(value: YamlValue, problems: Problems): DesiredLink | null {
  const name = value.get("name");
  const text = name?.text();
  if (name === null || text === null || text === undefined)
    return problems.impossible("An interface has no name", value.source);
  if (text.length > 15)
    problems.impossible(`"${text}" is longer than the 15 characters of a device's name`, name.source);
  const link = plainLink(text, name.source);
  const state = value.get("state");
  const asked = state?.text() ?? "up";
  if (asked === "ignore") return null;
  if (asked !== "up" && asked !== "down" && asked !== "absent")
    return problems.impossible(`Invalid state '${asked}' of ${text}: it is up, down, absent or ignore`, state!.source);
  link.state = { value: asked, source: state?.source ?? name.source };
  const type = value.get("type");
  link.type = type === null ? null : wish(type.text(), type.source);
  const mtu = value.get("mtu");
  if (mtu !== null) link.mtu = wish(integerOf(mtu.text() ?? "", "mtu", MTU_RANGE, mtu.source, problems), mtu.source);
  const mac = value.get("mac-address");
  if (mac !== null) link.mac = wish(macOf(mac.text() ?? "", mac.source, problems), mac.source);
  const controller = value.get("controller") ?? value.get("master");
  if (controller !== null) link.controller = wish(controller.text(), controller.source);
  link.ipv4 = familyOf(value.get("ipv4"), 4, problems);
  link.ipv6 = familyOf(value.get("ipv6"), 6, problems);
  const bond = value.get("link-aggregation");
  const mode = bond?.get("mode");
  if (mode !== null && mode !== undefined) link.bondMode = wish(mode.text(), mode.source);
  const ports = bond?.get("port") ?? bond?.get("ports") ?? bond?.get("slaves") ?? value.at("bridge", "port");
  for (const port of ports?.items() ?? []) {
    const named = port.text() ?? port.get("name")?.text() ?? null;
    if (named !== null) link.ports.push({ value: named, source: port.source });
  }
  const vlan = value.get("vlan");
  const id = vlan?.get("id");
  if (vlan !== null && id !== null && id !== undefined) {
    const number = integerOf(id.text() ?? "", "VLAN id", VLAN_RANGE, id.source, problems);
    if (number !== null) link.vlan = { base: vlan.get("base-iface")?.text() ?? null, id: number, source: vlan.source };
  } else if (link.type?.value === "vlan" && asked === "up")
    problems.impossible(`${text} is a VLAN without an id`, value.source);
  if (link.type?.value === "bond" && asked === "up" && bond !== null && bond !== undefined && link.bondMode === null)
    problems.doubtful(`The bond ${text} has no mode`, bond.source);
  return link;
}

function routesOf(value: YamlValue | null, state: DesiredState, problems: Problems): void {
  for (const each of value?.items() ?? []) {
    const destination = each.get("destination");
    const text = destination?.text() ?? null;
    const absent = each.get("state")?.text() === "absent";
    const dev = each.get("next-hop-interface")?.text() ?? null;
    if (destination === null || text === null) {
      // Without a destination, `absent` takes away every route that matches the rest.
      if (!absent) problems.impossible("A route has no destination", each.source);
      continue;
    }
    const to = destinationOf(text, destination.source, problems);
    const hop = each.get("next-hop-address");
    const family = text.includes(":") ? 6 : 4;
    const hopText = hop?.text() ?? "";
    const via = hop === null || hopText === "" ? null : addressOf(hopText, family, hop.source, problems);
    if (!absent && dev === null) problems.impossible(`The route to ${text} has no next-hop-interface`, each.source);
    if (to === null || (hopText !== "" && via === null)) continue;
    const metric = each.get("metric")?.text();
    const table = each.get("table-id")?.text() ?? USE_DEFAULT;
    state.routes.push({
      destination: to,
      via,
      dev,
      metric: metric === undefined || metric === null || Number(metric) < 0 ? null : Number(metric),
      table: table === USE_DEFAULT ? MAIN_TABLE : Number(table),
      absent,
      source: each.source,
    });
  }
}

function servers(value: YamlValue | null, problems: Problems): Wish<string>[] {
  return (value?.items() ?? []).flatMap((each) => {
    const text = (each.text() ?? "").split("%")[0]!;
    const address = addressOf(text, text.includes(":") ? 6 : 4, each.source, problems);
    return address === null ? [] : [{ value: address, source: each.source }];
  });
}

/** Reads one desired state. */
function stateOf(value: YamlValue, name: string): DesiredState {
  const problems = new Problems();
  const state: DesiredState = {
    name,
    links: [],
    routes: [],
    dns: { servers: [], searches: [] },
    problems: problems.list,
  };
  if (value.text()?.includes("{{") === true)
    problems.impossible("This state is a template that only the operator can fill in", value.source);
  for (const each of value.get("interfaces")?.items() ?? []) {
    const link = linkOf(each, problems);
    if (link === null) continue;
    const twin = state.links.find((other) => other.name === link.name && other.type?.value === link.type?.value);
    if (twin !== undefined) problems.impossible(`${link.name} is described twice`, link.source);
    else state.links.push(link);
  }
  routesOf(value.at("routes", "config"), state, problems);
  const dns = value.at("dns-resolver", "config");
  state.dns.servers = servers(dns?.get("server") ?? null, problems);
  state.dns.searches = (dns?.get("search")?.items() ?? []).flatMap((each) => {
    const text = each.text();
    return text === null ? [] : [{ value: text, source: each.source }];
  });
  crossCheck(state, problems);
  return state;
}

/** Policies of a document: a NodeNetworkConfigurationPolicy, a List of them, or a plain state. */
function policiesOf(value: YamlValue, file: string): NmstatePolicy[] {
  const kind = value.get("kind")?.text() ?? "";
  if (kind.endsWith("List")) return (value.get("items")?.items() ?? []).flatMap((each) => policiesOf(each, file));
  const spec = value.get("spec");
  if (kind === "NodeNetworkConfigurationPolicy") {
    const desired = spec?.get("desiredState") ?? null;
    const name = `NodeNetworkConfigurationPolicy ${value.at("metadata", "name")?.text() ?? ""}`.trim();
    if (desired === null) return [];
    const selector = spec?.get("nodeSelector") ?? null;
    return [
      {
        nodeSelector: new Map(selector?.keys().map((key) => [key, selector.get(key)?.text() ?? ""])),
        state: stateOf(desired, name),
      },
    ];
  }
  if (kind !== "") return [];
  const plain = value.get("desiredState") ?? value;
  const known = ["interfaces", "routes", "dns-resolver", "route-rules"].some((part) => plain.get(part) !== null);
  return known ? [{ nodeSelector: new Map(), state: stateOf(plain, file) }] : [];
}

/**
 * Reads desired states from a file: policies as kubectl prints them (YAML or JSON, one or a List), or nmstate's own files. What cannot
 * be is in each state's problems. Throws ParseError with the line where the YAML is malformed.
 */
export function readNmstate(text: string, file: string): NmstatePolicy[] {
  return readYaml(text, file).flatMap((document) => policiesOf(document, file));
}

/** Whether a policy is meant for a node with these labels (nmstate-operator: every label of the selector, equal). */
export function selects(policy: NmstatePolicy, labels: Readonly<Record<string, string>>): boolean {
  return [...policy.nodeSelector].every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}
