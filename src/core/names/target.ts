/** The grammar of a destination: `[SCHEME://]NAME[:PORT][/PROTO]`, before anybody knows what the name means. */
import { parseIp } from "../model/address.ts";
import type { Proto } from "../model/walk.ts";
import { NameError } from "./errors.ts";

/** A destination taken apart. */
export interface Target {
  /** The words before a `:` that say what the name is; null for a bare name. */
  kind: "svc" | "pod" | "node" | null;
  /** The name without prefix, brackets and port. */
  name: string;
  /** A number, or the name of a port; null when none was given. */
  port: string | null;
  /** The protocol that the text asks for; null when it does not say. */
  proto: Proto | null;
  /** Written with a scheme that has a port of its own (http 80, https 443); null otherwise. */
  schemePort: string | null;
}

export const PROTOS: readonly Proto[] = ["tcp", "udp", "icmp", "sctp"];

const SCHEMES: Record<string, { proto: Proto; port: string | null }> = {
  tcp: { proto: "tcp", port: null },
  udp: { proto: "udp", port: null },
  sctp: { proto: "sctp", port: null },
  icmp: { proto: "icmp", port: null },
  http: { proto: "tcp", port: "80" },
  https: { proto: "tcp", port: "443" },
};

/** A port number 1…65535 of decimal digits, or null. */
export function portNumber(text: string): number | null {
  if (!/^\d{1,5}$/.test(text)) return null;
  const n = Number(text);
  return n >= 1 && n <= 65_535 ? n : null;
}

function checkPort(port: string, text: string): string {
  if (/^\d+$/.test(port) && portNumber(port) === null) {
    throw new NameError(`"${text}": port ${port} is not between 1 and 65535`);
  }
  return port;
}

/** `NAME:PORT/PROTO` → its parts. IPv6 with a port wears brackets (RFC 3986 §3.2.2); without one it may go without. */
function splitPort(text: string): { name: string; port: string | null; proto: Proto | null } {
  if (parseIp(text) !== null) return { name: text, port: null, proto: null };
  const suffixed = /^(.*:[A-Za-z0-9-]+)\/(tcp|udp|icmp|sctp)$/i.exec(text);
  const body = suffixed === null ? text : suffixed[1]!;
  const proto = suffixed === null ? null : (PROTOS.find((p) => p === suffixed[2]!.toLowerCase()) ?? null);
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(body);
  if (bracketed !== null) {
    const name = bracketed[1]!;
    if (parseIp(name)?.v !== 6) throw new NameError(`"${text}": between brackets stands no IPv6 address`);
    return { name, port: bracketed[2] === undefined ? null : checkPort(bracketed[2], text), proto };
  }
  const colon = body.lastIndexOf(":");
  if (colon < 0) return { name: body, port: null, proto };
  const port = body.slice(colon + 1);
  if (!/^[A-Za-z0-9-]+$/.test(port)) throw new NameError(`"${text}": "${port}" is no port`);
  return { name: body.slice(0, colon), port: checkPort(port, text), proto };
}

/** Takes a destination apart. Throws NameError when it is malformed: an unknown scheme, a port beyond 65535, brackets around no IPv6 address. */
export function parseTarget(input: string): Target {
  let text = input.trim();
  let scheme: { proto: Proto; port: string | null } | null = null;
  const url = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text);
  if (url !== null) {
    const word = url[1]!.toLowerCase();
    scheme = Object.hasOwn(SCHEMES, word) ? SCHEMES[word]! : null;
    if (scheme === null) {
      throw new NameError(`"${input}": unknown scheme ${word}; there are ${Object.keys(SCHEMES).join(", ")}`);
    }
    text = url[2]!;
    // A URL's path, query and user (RFC 3986 §3) say nothing about where its packets go.
    if (scheme.port !== null) text = text.replace(/[/?#].*$/s, "").replace(/^.*@/s, "");
  }
  const prefixed = /^(svc|service|pod|node):(.*)$/s.exec(text);
  const kind = prefixed === null ? null : prefixed[1] === "service" ? "svc" : (prefixed[1] as "svc" | "pod" | "node");
  const rest = prefixed === null ? text : prefixed[2]!;
  const { name, port, proto } = splitPort(rest);
  if (name === "") throw new NameError(`"${input}" names no destination`);
  if (scheme !== null && proto !== null && proto !== scheme.proto) {
    throw new NameError(`"${input}" asks for ${scheme.proto} and for ${proto}`);
  }
  return { kind, name, port, proto: proto ?? scheme?.proto ?? null, schemePort: scheme?.port ?? null };
}
