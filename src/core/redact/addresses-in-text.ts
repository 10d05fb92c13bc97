/** Addresses in any text: found, and replaced in the spelling in which they stand there. */
import { formatIp, parseIp, sameIp, type Ip } from "../model/address.ts";
import { stays, type AddressMap } from "./addresses.ts";

const V4 = String.raw`(?:\d{1,3}\.){3}\d{1,3}`;
const V6 = String.raw`(?=[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]*[0-9A-Fa-f:](?:(?<=:)${V4})?`;
const BEFORE = String.raw`(?<![0-9A-Za-z.:]|\d-)`;
const AFTER = String.raw`(?![0-9A-Za-z:]|\.\d)`;

/** Two addresses of a range; an address with a length; one that DNS writes backwards; one alone. */
const RANGE = new RegExp(`${BEFORE}(${V4}|${V6})-(${V4}|${V6})${AFTER}`, "g");
const REVERSED = /\b((?:\d{1,3}\.){4})(?=in-addr\.arpa)/g;
// A port follows an IPv4 address after a colon.
const ONE = new RegExp(
  `(?<![0-9A-Za-z.]|[0-9A-Fa-f]:)(${V4})(?:/(\\d{1,2})(?!\\d|\\.\\d))?(?![0-9A-Za-z]|\\.\\d)|${BEFORE}(${V6})(?:/(\\d{1,3})(?!\\d))?${AFTER}`,
  "g",
);

/** An address as clouds and Calico write it in names. */
const DASHED = /(?<![\w.])((?:[a-z]+-)*)(\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})(?![\w])(?:-(\d{1,2})(?![\w-]))?/g;

/** An address and its length that JSON has in two properties: nft's prefixes, `ip -j rule`. */
const IN_JSON = /("(?:addr|src|dst)":\s*")([0-9A-Fa-f:.]+)(",\s*"(?:len|srclen|dstlen)":\s*)(\d+)/g;
/** nft's ranges in JSON. */
const RANGE_IN_JSON = /("range":\s*\[\s*")([0-9A-Fa-f:.]+)("\s*,\s*")([0-9A-Fa-f:.]+)(")/g;

function isPublic(text: string): Ip | null {
  const ip = parseIp(text);
  return ip === null || stays(ip) ? null : ip;
}

/** Adds every public address of the text to `found`, in its plain spelling. */
export function publicAddresses(text: string, found: Set<string>): void {
  const seen = (word: string | undefined): void => {
    const ip = word === undefined ? null : isPublic(word);
    if (ip !== null) found.add(formatIp(ip));
  };
  for (const [, a, , b] of text.matchAll(ONE)) {
    seen(a);
    seen(b);
  }
  for (const [, a, b] of text.matchAll(RANGE)) {
    seen(a);
    seen(b);
  }
  for (const [, , dashed] of text.matchAll(DASHED)) seen(dashed!.replaceAll("-", "."));
  for (const [, reversed] of text.matchAll(REVERSED)) seen(reversed!.split(".").slice(0, 4).toReversed().join("."));
}

/** Whether all bits behind the first `len` are zero. */
function isRange(ip: Ip, len: number): boolean {
  const words = ip.v === 4 ? [ip.a] : [ip.a, ip.b, ip.c, ip.d];
  return words.every((word, i) => {
    const kept = Math.max(0, Math.min(32, len - 32 * i));
    return kept === 32 || (kept === 0 ? word === 0 : (word << kept) >>> 0 === 0);
  });
}

/** Replaces addresses. `note` is told of each range that is no longer one. */
export class AddressText {
  constructor(
    private readonly map: AddressMap,
    private readonly note: (range: string) => void,
  ) {}

  /** One address; what is none, or stays, as it is. */
  one(text: string): string {
    const ip = isPublic(text);
    return ip === null ? text : formatIp(this.map.address(ip));
  }

  private sized(text: string, length: string): string {
    const ip = parseIp(text);
    const len = Number(length);
    const width = ip?.v === 4 ? 32 : 128;
    if (ip === null || len > width) return text;
    if (len < width && isRange(ip, len)) {
      const by = this.map.prefix(ip, len);
      // In the spelling in which it stood.
      return sameIp(ip, by) ? text : formatIp(by);
    }
    return this.one(text);
  }

  private ends(a: string, b: string): [string, string] {
    const [from, to] = [parseIp(a), parseIp(b)];
    if (from === null || to === null || from.v !== to.v || (stays(from) && stays(to))) return [a, b];
    const range = this.map.range(from, to);
    if (range !== null) return [formatIp(range.from), formatIp(range.to)];
    this.note(`${a}-${b}`);
    const ends = [this.map.address(from), this.map.address(to)].map((ip) => formatIp(ip));
    return [ends[0]!, ends[1]!];
  }

  /** The text with every public address replaced. */
  text(text: string): string {
    // What is done is set apart, so that it is not replaced twice.
    const done: string[] = [];
    const apart = (made: string): string => `\uE000${done.push(made) - 1}\uE001`;
    const out = text
      .replaceAll(IN_JSON, (_, head: string, ip: string, middle: string, len: string) =>
        apart(`${head}${this.sized(ip, len)}${middle}${len}`),
      )
      .replaceAll(RANGE_IN_JSON, (_, head: string, a: string, middle: string, b: string, tail: string) => {
        const [from, to] = this.ends(a, b);
        return apart(head + from + middle + to + tail);
      })
      .replaceAll(RANGE, (whole, a: string, b: string) => {
        if (parseIp(a) === null || parseIp(b) === null) return whole;
        return apart(this.ends(a, b).join("-"));
      })
      .replaceAll(DASHED, (whole, head: string, dashed: string, len?: string) => {
        const ip = dashed.replaceAll("-", ".");
        if (isPublic(ip) === null) return whole;
        const by = len === undefined ? this.one(ip) : this.sized(ip, len);
        return apart(`${head}${by.replaceAll(".", "-")}${len === undefined ? "" : `-${len}`}`);
      })
      .replaceAll(REVERSED, (_, reversed: string) => {
        const ip = this.one(reversed.split(".").slice(0, 4).toReversed().join("."));
        return apart(`${ip.split(".").toReversed().join(".")}.`);
      })
      .replaceAll(ONE, (whole, v4?: string, len4?: string, v6?: string, len6?: string) => {
        const [ip, len] = [v4 ?? v6 ?? "", len4 ?? len6];
        if (parseIp(ip) === null) return whole;
        return len === undefined ? this.one(ip) : `${this.sized(ip, len)}/${len}`;
      });
    return done.length === 0 ? out : restore(out, done);
  }
}

function restore(text: string, done: readonly string[]): string {
  return text.replaceAll(/\uE000(\d+)\uE001/g, (_, i: string) => done[Number(i)]!);
}
