/**
 * IPv4 and IPv6 addresses and prefixes as 32-bit words: no BigInt, no strings on the hot path.
 * Words are kept as signed 32-bit integers (`| 0`), which V8 stores without a heap box; compare sizes with `>>> 0`.
 */

/** An address. IPv4 lives in `a`, with `b`, `c` and `d` zero; IPv6 fills all four, `a` the most significant. */
export interface Ip {
  readonly v: 4 | 6;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  /** Map key, unique within a family: the signed word for IPv4, eight hex groups without colons for IPv6. */
  readonly key: number | string;
}

/** An address and how many of its leading bits count. Host bits of `ip` are zero. */
export interface Prefix {
  readonly ip: Ip;
  readonly len: number;
}

const hex8 = (w: number): string => (w >>> 0).toString(16).padStart(8, "0");

/** An IPv4 address from its 32 bits, signed or unsigned. */
export function ip4(word: number): Ip {
  const a = word | 0;
  return { v: 4, a, b: 0, c: 0, d: 0, key: a };
}

/** An IPv6 address from its four 32-bit words, most significant first. */
export function ip6(a: number, b: number, c: number, d: number): Ip {
  return { v: 6, a: a | 0, b: b | 0, c: c | 0, d: d | 0, key: hex8(a) + hex8(b) + hex8(c) + hex8(d) };
}

/** Whether two addresses are the same address of the same family. */
export function sameIp(x: Ip, y: Ip): boolean {
  return x.a === y.a && x.v === y.v && (x.v === 4 || (x.b === y.b && x.c === y.c && x.d === y.d));
}

function parse4(text: string): number | null {
  let word = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 46) {
      if (octet < 0 || ++dots > 3) return null;
      word = (word << 8) | octet;
      octet = -1;
    } else if (c >= 48 && c <= 57) {
      octet = octet < 0 ? c - 48 : octet * 10 + c - 48;
      if (octet > 255) return null;
    } else return null;
  }
  return dots === 3 && octet >= 0 ? (word << 8) | octet : null;
}

function parse6(text: string): Ip | null {
  const zone = text.indexOf("%");
  let body = zone < 0 ? text : text.slice(0, zone);
  const lastColon = body.lastIndexOf(":");
  if (body.includes(".")) {
    const tail = parse4(body.slice(lastColon + 1));
    if (tail === null) return null;
    body = `${body.slice(0, lastColon + 1)}${((tail >>> 16) & 0xffff).toString(16)}:${(tail & 0xffff).toString(16)}`;
  }
  const halves = body.split("::");
  if (halves.length > 2) return null;
  const groups = (half: string): number[] | null => {
    if (half === "") return [];
    const out: number[] = [];
    for (const g of half.split(":")) {
      if (!/^[0-9a-fA-F]{1,4}$/.test(g)) return null;
      out.push(Number.parseInt(g, 16));
    }
    return out;
  };
  const head = groups(halves[0]!);
  const tail = halves.length === 2 ? groups(halves[1]!) : [];
  if (!head || !tail) return null;
  const zeros = 8 - head.length - tail.length;
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return null;
  const all = [...head, ...Array.from({ length: Math.max(0, zeros) }, () => 0), ...tail];
  const word = (i: number): number => (all[i]! << 16) | all[i + 1]!;
  return ip6(word(0), word(2), word(4), word(6));
}

/** Reads `192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1` or `fe80::1%eth0` (the zone is dropped); null when it is no address. */
export function parseIp(text: string): Ip | null {
  if (text.includes(":")) return parse6(text);
  const word = parse4(text);
  return word === null ? null : ip4(word);
}

/** The netmask word `i` (0…3) of a prefix of `len` bits. */
export function maskWord(len: number, i: number): number {
  const bits = len - 32 * i;
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

/** The prefix of `len` bits that holds `ip`, host bits cleared. */
export function prefixOf(ip: Ip, len: number): Prefix {
  if (ip.v === 4) return { ip: ip4(ip.a & maskWord(len, 0)), len };
  return {
    ip: ip6(ip.a & maskWord(len, 0), ip.b & maskWord(len, 1), ip.c & maskWord(len, 2), ip.d & maskWord(len, 3)),
    len,
  };
}

/** Reads `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `2001:db8::/32` or a bare address; null when malformed or the mask has holes. */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!ip) return null;
  const max = ip.v === 4 ? 32 : 128;
  if (slash < 0) return { ip, len: max };
  const lenText = text.slice(slash + 1);
  if (/^\d{1,3}$/.test(lenText)) {
    const len = Number(lenText);
    return len <= max ? prefixOf(ip, len) : null;
  }
  const mask = parseIp(lenText);
  if (!mask || mask.v !== ip.v) return null;
  const bits = [mask.a, mask.b, mask.c, mask.d]
    .slice(0, ip.v === 4 ? 1 : 4)
    .map((w) => (w >>> 0).toString(2).padStart(32, "0"))
    .join("");
  return /^1*0*$/.test(bits) ? prefixOf(ip, bits.indexOf("0") < 0 ? max : bits.indexOf("0")) : null;
}

/** Whether `ip` lies in `prefix`; false across families. */
export function inPrefix(ip: Ip, prefix: Prefix): boolean {
  const p = prefix.ip;
  if (ip.v !== p.v) return false;
  const len = prefix.len;
  if (((ip.a ^ p.a) & maskWord(len, 0)) !== 0) return false;
  if (len <= 32) return true;
  return (
    ((ip.b ^ p.b) & maskWord(len, 1)) === 0 &&
    ((ip.c ^ p.c) & maskWord(len, 2)) === 0 &&
    ((ip.d ^ p.d) & maskWord(len, 3)) === 0
  );
}

/** Numeric order of two addresses of one family: negative, zero or positive. */
export function compareIp(x: Ip, y: Ip): number {
  return (
    (x.a >>> 0) - (y.a >>> 0) || (x.b >>> 0) - (y.b >>> 0) || (x.c >>> 0) - (y.c >>> 0) || (x.d >>> 0) - (y.d >>> 0)
  );
}

/** The address as people write it; IPv6 as RFC 5952 asks. */
export function formatIp(ip: Ip): string {
  if (ip.v === 4) return `${ip.a >>> 24}.${(ip.a >>> 16) & 255}.${(ip.a >>> 8) & 255}.${ip.a & 255}`;
  const words = [ip.a, ip.b, ip.c, ip.d];
  const g = words.flatMap((w) => [(w >>> 16) & 0xffff, w & 0xffff]);
  if (ip.a === 0 && ip.b === 0 && ip.c === 0xffff) return `::ffff:${formatIp(ip4(ip.d))}`;
  let best = -1;
  let bestLen = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && g[i + n] === 0) n++;
    if (n > bestLen) [best, bestLen] = [i, n];
  }
  const part = (from: number, to: number): string =>
    g
      .slice(from, to)
      .map((x) => x.toString(16))
      .join(":");
  return best < 0 ? part(0, 8) : `${part(0, best)}::${part(best + bestLen, 8)}`;
}

/** `10.0.0.0/8`; a host prefix keeps its length (`10.0.0.1/32`). */
export function formatPrefix(p: Prefix): string {
  return `${formatIp(p.ip)}/${p.len}`;
}
