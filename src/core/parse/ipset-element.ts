/** One element of an ipset: its parts, separated by commas, and its options. */
import { formatIp, parsePrefix, type Ip, type Prefix } from "../model/address.ts";
import type { IpSet, IpSetEntry } from "../model/ipset.ts";
import { ParseError, type Source } from "../model/source.ts";
import {
  icmpTypeCode,
  icmpTypeCodeName,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  protocolName,
  protocolNumber,
} from "./ipset-names.ts";
import { dimensionsOf, type Dimension } from "./ipset-types.ts";
import { decimal } from "./lines.ts";

const NO_OPTIONS: readonly (readonly string[])[] = [];

/** Protocols whose port is a port (lib/parse.c, ipset_parse_proto_port). */
const WITH_PORTS = new Set([6, 17, 132, 136]);

type Fail = (message: string) => ParseError;

/** Reads an address or network of the set's family; null when it is none. */
function parseNet(text: string, family: IpSet["family"]): Prefix | null {
  const prefix = text.includes("%") ? null : parsePrefix(text);
  return prefix?.ip.v === (family === "inet6" ? 6 : 4) ? prefix : null;
}

function parseProtoPort(text: string): { proto: number; port: number } | null {
  const colon = text.indexOf(":");
  const proto = protocolNumber(text.slice(0, colon));
  if (colon < 0 || proto === null) return null;
  const rest = text.slice(colon + 1);
  if (proto === IPPROTO_ICMP || proto === IPPROTO_ICMPV6) {
    const port = icmpTypeCode(rest, proto === IPPROTO_ICMPV6);
    return port === null ? null : { proto, port };
  }
  const port = decimal(rest, WITH_PORTS.has(proto) ? 65535 : 0);
  return port === null ? null : { proto, port };
}

function fill(entry: IpSetEntry, dimension: Dimension, part: string, set: IpSet): boolean {
  switch (dimension) {
    case "ip":
    case "net":
    case "ip2":
    case "net2": {
      const isNetwork = dimension === "net" || dimension === "net2";
      if (!isNetwork && part.includes("/")) return false;
      const net = parseNet(part, set.family);
      if (net === null) return false;
      if (dimension === "ip2" || dimension === "net2") entry.net2 = net;
      else entry.net = dimension === "ip" && set.netmask !== null ? { ip: net.ip, len: set.netmask } : net;
      return true;
    }
    case "port": {
      const found = parseProtoPort(part);
      if (found === null) return false;
      entry.proto = found.proto;
      entry.port = found.port;
      return true;
    }
    case "plainport":
      entry.port = decimal(part, 65535);
      return entry.port !== null;
    case "iface":
      entry.physdev = part.startsWith("physdev:");
      entry.iface = entry.physdev ? part.slice("physdev:".length) : part;
      return entry.iface !== "";
    case "mac":
      entry.mac = part.toLowerCase();
      return /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(entry.mac);
    case "mark":
      entry.mark = Number(part);
      return /^0x[0-9a-fA-F]{1,8}$/.test(part);
    case "set":
      entry.set = part;
      return part !== "";
  }
}

const VALUED = new Set(["timeout", "packets", "bytes", "skbmark", "skbprio", "skbqueue"]);

function parseOptions(text: string, entry: IpSetEntry, fail: Fail): readonly string[][] {
  const options: string[][] = [];
  let rest = text;
  while (rest !== "") {
    const found = /^ (?:(nomatch|wildcard)(?= |$)|(comment) ("[^"]*")(?= |$)|([a-z]+) ([^ ]+))/.exec(rest);
    if (found === null) throw fail(`malformed options "${text.trim()}" of an element`);
    const [all, flag, comment, quoted, name, value] = found;
    rest = rest.slice(all!.length);
    if (flag !== undefined) {
      if (flag === "nomatch") entry.nomatch = true;
      else entry.wildcard = true;
      options.push([flag]);
    } else if (comment !== undefined) options.push([comment, quoted!]);
    else {
      if (!VALUED.has(name!)) throw fail(`unknown option "${name}" of an element`);
      if (name === "timeout" && (entry.timeout = decimal(value!)) === null) throw fail(`malformed timeout "${value}"`);
      options.push([name!, value!]);
    }
  }
  return options;
}

/** Where the element ends and its options begin: set names may hold spaces, nothing else does. */
function elementEnd(text: string, set: IpSet, sets: ReadonlyMap<string, IpSet>): number {
  if (set.type === "list:set") {
    let best = -1;
    for (const name of sets.keys()) {
      if (name.length > best && (text === name || text.startsWith(`${name} `))) best = name.length;
    }
    if (best >= 0) return best;
  }
  const space = text.indexOf(" ");
  return space < 0 ? text.length : space;
}

/**
 * Reads one element of `set`: what follows `add NAME `. `sets` are all sets created so far.
 * Throws ParseError at `source` when it is not an element of the set's type.
 */
export function parseElement(text: string, set: IpSet, sets: ReadonlyMap<string, IpSet>, source: Source): IpSetEntry {
  const fail: Fail = (message) => new ParseError(source, message);
  const entry: IpSetEntry = {
    net: null,
    net2: null,
    proto: null,
    port: null,
    iface: null,
    wildcard: false,
    physdev: false,
    mac: null,
    mark: null,
    set: null,
    nomatch: false,
    timeout: null,
    options: NO_OPTIONS,
    line: source.line,
  };
  const end = elementEnd(text, set, sets);
  const element = text.slice(0, end);
  const dimensions = dimensionsOf(set.type) ?? [];
  let at = 0;
  for (let i = 0; i < dimensions.length; i++) {
    const last = i === dimensions.length - 1;
    // bitmap:ip,mac: the MAC address may be unset, to be filled by the first packet (ip_set_bitmap_ipmac.c).
    if (at > element.length && last && set.type === "bitmap:ip,mac") break;
    const comma = last ? -1 : element.indexOf(",", at);
    const stop = comma < 0 ? element.length : comma;
    if (at > element.length || !fill(entry, dimensions[i]!, element.slice(at, stop), set))
      throw fail(`"${element}" is no element of a ${set.type} set`);
    at = stop + 1;
  }
  if (end < text.length) entry.options = parseOptions(text.slice(end), entry, fail);
  return entry;
}

function printNet(net: Prefix | null): string {
  if (net === null) return "";
  const ip: Ip = net.ip;
  return net.len === (ip.v === 4 ? 32 : 128) ? formatIp(ip) : `${formatIp(ip)}/${net.len}`;
}

function printPart(dimension: Dimension, entry: IpSetEntry): string | null {
  switch (dimension) {
    case "ip":
      return entry.net === null ? null : formatIp(entry.net.ip);
    case "ip2":
      return entry.net2 === null ? null : formatIp(entry.net2.ip);
    case "net":
      return printNet(entry.net);
    case "net2":
      return printNet(entry.net2);
    case "port": {
      const proto = entry.proto ?? 0;
      const port = entry.port ?? 0;
      const named = proto === IPPROTO_ICMP || proto === IPPROTO_ICMPV6;
      return `${protocolName(proto)}:${named ? icmpTypeCodeName(port, proto === IPPROTO_ICMPV6) : port}`;
    }
    case "plainport":
      return String(entry.port);
    case "iface":
      return `${entry.physdev ? "physdev:" : ""}${entry.iface}`;
    case "mac":
      // Capitals, as libipset prints them (lib/print.c, ipset_print_ether).
      return entry.mac === null ? null : entry.mac.toUpperCase();
    case "mark":
      return `0x${(entry.mark ?? 0).toString(16).padStart(8, "0")}`;
    case "set":
      return entry.set;
  }
}

/** The element's parts as `ipset save` prints them, without options. */
export function printElement(set: IpSet, entry: IpSetEntry): string {
  const parts = (dimensionsOf(set.type) ?? []).map((dimension) => printPart(dimension, entry));
  return parts.filter((part) => part !== null).join(",");
}
