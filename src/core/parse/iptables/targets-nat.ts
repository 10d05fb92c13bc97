/** Targets that rewrite addresses: DNAT, SNAT, MASQUERADE, REDIRECT, NETMAP, TPROXY. */
import type { NatRange, Range, XtTarget } from "../../model/xtables.ts";
import { type Ip, compareIp } from "../../model/address.ts";
import { U16, U32, address, number, prefixOrNull, range, valueMask } from "./values.ts";
import { Malformed, type Words, shorten } from "./words.ts";

/** Where the ports begin in `ADDRESS:PORTS`, `[ADDRESS]:PORTS` or `:PORTS`: index of the colon, -1 without ports. */
function portsColon(text: string, v6: boolean): number {
  if (!v6) return text.indexOf(":");
  if (text.startsWith("[")) return text.endsWith("]") ? -1 : text.indexOf("]:") + 1 || text.length;
  return text.startsWith(":") && text.charAt(1) !== ":" ? 0 : -1;
}

/**
 * `[ADDRESS[-ADDRESS]][:PORT[-PORT[/BASE]]]`, IPv6 addresses in brackets before ports, as `parse_to` of libxt_NAT.c reads it.
 * Throws Malformed for anything else.
 */
export function natRange(text: string, v6: boolean, what: string): NatRange {
  const colon = portsColon(text, v6);
  let addresses = colon < 0 ? text : text.slice(0, colon);
  if (addresses.startsWith("[") && addresses.endsWith("]")) addresses = addresses.slice(1, -1);
  let min: Ip | null = null;
  let max: Ip | null = null;
  if (addresses !== "" || colon < 0) {
    const dash = addresses.indexOf("-");
    min = address(dash < 0 ? addresses : addresses.slice(0, dash), v6, what);
    max = dash < 0 ? min : address(addresses.slice(dash + 1), v6, what);
    if (compareIp(min, max) > 0) throw new Malformed(`${what}: expected a range upwards, found ${shorten(text)}`);
  }
  if (colon < 0) return { min, max, ports: null, basePort: null };
  const portText = text.slice(colon + 1);
  const slash = portText.indexOf("/");
  const ports = portRange(slash < 0 ? portText : portText.slice(0, slash), what);
  return { min, max, ports, basePort: slash < 0 ? null : number(portText.slice(slash + 1), U16, what) };
}

function portRange(text: string, what: string): Range {
  if (text === "" || text.startsWith("-") || text.endsWith("-")) {
    throw new Malformed(
      `${what}: expected a port or a range of ports, found ${shorten(text === "" ? "nothing" : text)}`,
    );
  }
  return range(text, "-", U16, what);
}

export function natTarget(t: "dnat" | "snat", w: Words, v6: boolean): XtTarget | null {
  const to = t === "dnat" ? "--to-destination" : "--to-source";
  let nat: NatRange | null = null;
  let random = false;
  let randomFully = false;
  let persistent = false;
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.not) return null;
    if (o.name === to) nat = natRange(w.value(), v6, to);
    else if (o.name === "--random") random = true;
    else if (o.name === "--random-fully") randomFully = true;
    else if (o.name === "--persistent") persistent = true;
    else return null;
  }
  if (nat === null) throw new Malformed(`-j ${t.toUpperCase()}: expected ${to}`);
  return { t, range: nat, random, randomFully, persistent };
}

export function masqueradeTarget(w: Words): XtTarget | null {
  const target = { t: "masquerade" as const, ports: null as Range | null, random: false, randomFully: false };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.not) return null;
    if (o.name === "--to-ports") target.ports = portRange(w.value(), o.name);
    else if (o.name === "--random") target.random = true;
    else if (o.name === "--random-fully") target.randomFully = true;
    else return null;
  }
  return target;
}

export function redirectTarget(w: Words): XtTarget | null {
  const target = { t: "redirect" as const, ports: null as Range | null, random: false };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.not) return null;
    if (o.name === "--to-ports") target.ports = portRange(w.value(), o.name);
    else if (o.name === "--random") target.random = true;
    else return null;
  }
  return target;
}

export function netmapTarget(w: Words, v6: boolean): XtTarget | null {
  const o = w.option();
  if (o === null) throw new Malformed("-j NETMAP: expected --to");
  const to = o.name === "--to" && !o.not ? prefixOrNull(w.value(), v6, o.name) : null;
  return to === null ? null : { t: "netmap", to };
}

export function tproxyTarget(w: Words, v6: boolean): XtTarget | null {
  let ip: Ip | null = null;
  let port: number | null = null;
  // tproxy_tg_init leaves value and mask zero: the mark stays as it is.
  let mark = { value: 0, mask: 0 };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.not) return null;
    if (o.name === "--on-port") port = number(w.value(), U16, o.name);
    else if (o.name === "--on-ip") ip = address(w.value(), v6, o.name);
    else if (o.name === "--tproxy-mark") mark = valueMask(w.value(), U32, o.name);
    else return null;
  }
  if (port === null) throw new Malformed("-j TPROXY: expected --on-port");
  // nf_tproxy_laddr4 and nf_tproxy_laddr6 take the unspecified address for none.
  if (ip !== null && (ip.a | ip.b | ip.c | ip.d) === 0) ip = null;
  return v6 ? { t: "tproxy", v6, ip, port, ...mark } : { t: "tproxy", ip, port, ...mark };
}
