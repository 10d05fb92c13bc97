/** `ipset save`: the sets with their elements, and the way back to text. */
import { parseIp, type Ip } from "../model/address.ts";
import type { IpSet, IpSetEntry } from "../model/ipset.ts";
import { ParseError } from "../model/source.ts";
import { parseElement, printElement } from "./ipset-element.ts";
import { dimensionsOf } from "./ipset-types.ts";
import { decimal, forEachLine } from "./lines.ts";

const FLAGS = new Set(["counters", "comment", "skbinfo", "forceadd"]);
const VALUED = new Set([
  "family",
  "range",
  "netmask",
  "bitmask",
  "markmask",
  "hashsize",
  "maxelem",
  "bucketsize",
  "initval",
  "timeout",
  "size",
  "probes",
  "resize",
]);

function createOptions(words: readonly string[], fail: (message: string) => ParseError): string[][] {
  const options: string[][] = [];
  for (let i = 0; i < words.length; i++) {
    const name = words[i]!;
    if (FLAGS.has(name)) options.push([name]);
    else if (VALUED.has(name)) {
      const value = words[++i];
      if (value === undefined || value === "") throw fail(`the option "${name}" has no value`);
      options.push([name, value]);
    } else throw fail(`unknown option "${name}" of a set`);
  }
  return options;
}

function parseRange(type: string, text: string): IpSet["range"] {
  const dash = text.indexOf("-");
  if (type === "bitmap:port") {
    const from = decimal(text.slice(0, dash), 65535);
    const to = decimal(text.slice(dash + 1), 65535);
    return dash < 0 || from === null || to === null || from > to ? null : { from, to };
  }
  if (dash < 0) return null;
  const from = parseIp(text.slice(0, dash));
  const to = parseIp(text.slice(dash + 1));
  return from?.v === 4 && to?.v === 4 ? { from, to } : null;
}

function parseCreate(line: string, file: string, number: number): IpSet {
  const fail = (message: string): ParseError => new ParseError({ file, line: number }, message);
  // A name may hold spaces, so the type is what ends it.
  const found = /^create (.+?) ((?:hash|bitmap|list):[a-z,]+)(?: (.*))?$/.exec(line);
  if (found === null) throw fail('expected "create NAME TYPE OPTIONS"');
  const [, name, type, rest] = found;
  const dimensions = dimensionsOf(type!);
  if (dimensions === undefined) throw fail(`unknown set type "${type}"`);
  const options = createOptions(rest === undefined ? [] : rest.split(" "), fail);
  const value = (option: string): string | null => options.find(([o]) => o === option)?.[1] ?? null;

  const printed = value("family");
  if (printed !== null && printed !== "inet" && printed !== "inet6") throw fail(`unknown family "${printed}"`);
  const hasAddress = dimensions.some((d) => d === "ip" || d === "net");
  const family = printed ?? (hasAddress ? "inet" : null);

  const range = value("range");
  const parsedRange = range === null ? null : parseRange(type!, range);
  if (range !== null && parsedRange === null) throw fail(`malformed range "${range}"`);
  if (type!.startsWith("bitmap:") && parsedRange === null) throw fail("a bitmap without a range");

  const netmaskText = value("netmask");
  const netmask = netmaskText === null ? null : decimal(netmaskText, family === "inet6" ? 128 : 32);
  if (netmaskText !== null && netmask === null) throw fail(`malformed netmask "${netmaskText}"`);
  const bitmaskText = value("bitmask");
  const bitmask: Ip | null = bitmaskText === null ? null : parseIp(bitmaskText);
  if (bitmaskText !== null && bitmask?.v !== (family === "inet6" ? 6 : 4))
    throw fail(`malformed bitmask "${bitmaskText}"`);
  const markmaskText = value("markmask");
  if (markmaskText !== null && !/^0x[0-9a-fA-F]{1,8}$/.test(markmaskText))
    throw fail(`malformed markmask "${markmaskText}"`);
  return {
    name: name!,
    type: type!,
    family,
    options,
    netmask,
    bitmask,
    range: parsedRange,
    markmask: markmaskText === null ? null : Number(markmaskText),
    entries: [],
    source: { file, line: number },
  };
}

/** The set that `rest` ("NAME ELEMENT …") adds to: the one just created, else the one with the longest name that fits. */
function setOf(rest: string, current: IpSet | undefined, sets: ReadonlyMap<string, IpSet>): IpSet | undefined {
  if (current !== undefined && rest.startsWith(`${current.name} `)) return current;
  for (let end = rest.lastIndexOf(" "); end > 0; end = rest.lastIndexOf(" ", end - 1)) {
    const set = sets.get(rest.slice(0, end));
    if (set !== undefined) return set;
  }
  return undefined;
}

/**
 * Reads what `ipset save` prints, every set type and both families. `file` is its path in the snapshot.
 * Returns the sets in the order of their creation; elements keep theirs.
 * Throws ParseError when a line is malformed, of an unknown type or option, or adds to a set that was not created.
 */
export function parseIpset(text: string, file: string): IpSet[] {
  const sets = new Map<string, IpSet>();
  let current: IpSet | undefined;
  forEachLine(text, file, (line, number) => {
    if (line.startsWith("add ")) {
      const rest = line.slice(4);
      const set = setOf(rest, current, sets);
      if (set === undefined) throw new ParseError({ file, line: number }, "adds to a set that was not created");
      set.entries.push(parseElement(rest.slice(set.name.length + 1), set, sets, { file, line: number }));
    } else if (line.startsWith("create ")) {
      current = parseCreate(line, file, number);
      if (sets.has(current.name)) throw new ParseError(current.source, `the set "${current.name}" is created twice`);
      sets.set(current.name, current);
    } else throw new ParseError({ file, line: number }, 'expected "create" or "add"');
  });
  return [...sets.values()];
}

const words = (options: readonly (readonly string[])[]): string => options.map((o) => ` ${o.join(" ")}`).join("");

/** One element as `ipset save` prints it after the set's name. */
export function printIpsetEntry(set: IpSet, entry: IpSetEntry): string {
  return printElement(set, entry) + words(entry.options);
}

/** The text that `ipset save` prints for these sets, and that `ipset restore` takes. */
export function printIpset(sets: readonly IpSet[]): string {
  const out: string[] = [];
  for (const set of sets) {
    out.push(`create ${set.name} ${set.type}${words(set.options)}\n`);
    for (const entry of set.entries) out.push(`add ${set.name} ${printIpsetEntry(set, entry)}\n`);
  }
  return out.join("");
}
