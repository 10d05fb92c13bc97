/** Compares sets: ipset's, and the sets and maps of nftables, element by element. */
import { actualIpsets } from "../diff/actual.ts";
import { elementsCanonical } from "../diff/canonical.ts";
import { nftTables } from "../diff/nft-tables.ts";
import { nftJsonText } from "../model/nft-text.ts";
import type { Namespace } from "../model/namespace.ts";
import type { NftJson } from "../model/nftables.ts";
import type { Source } from "../model/source.ts";
import type { Report } from "./report.ts";
import type { StandIns } from "./stand-ins.ts";

/** A set to compare. */
export interface ComparedSet {
  what: string;
  /** Type and options. */
  shape: string;
  /** Elements as they are printed, by their canonical text. Null: packets fill the set, so what is in it says nothing. */
  elements: ReadonlyMap<string, string> | null;
  source: Source;
}

function ipsets(ns: Namespace, standIns: StandIns, lineOf: (source: Source) => string): ComparedSet[] {
  return actualIpsets(ns, lineOf).map(({ state, source }, i) => {
    const set = ns.ipsets[i]!;
    // The size of the table grows with what was in it.
    const options = set.options.filter(([name]) => name !== "hashsize" && name !== "initval" && name !== "bucketsize");
    const filled = set.options.some(([name]) => name === "timeout");
    return {
      what: `ipset ${set.name}`,
      shape: [set.type, ...options.map((option) => option.join(" "))].join(" "),
      elements: filled
        ? null
        : new Map((state.elements as string[]).map((each) => [standIns.text(ns.place, each), each] as const)),
      source,
    };
  });
}

function nftSets(ns: Namespace, standIns: StandIns): ComparedSet[] {
  return nftTables(ns).flatMap((table) =>
    table.sets.map((set) => {
      // nft 1.0.6 does not print `dynamic` in JSON; packets fill what is dynamic, and what runs out of time.
      const filled = set.flags.includes("dynamic") || set.flags.includes("timeout");
      const flags = set.flags.filter((flag) => flag !== "dynamic").toSorted();
      const value = set.isMap ? ` : ${set.valueType ?? ""}` : "";
      return {
        what: `nft ${table.family} ${table.name} ${set.name}`,
        shape: [`${set.isMap ? "map" : "set"} ${set.keyTypes.join(" . ")}${value}`, ...flags].join(" "),
        elements: filled
          ? null
          : new Map(
              set.elements.map(
                (each) => [standIns.text(ns.place, elementsCanonical([each])), elementText(each)] as const,
              ),
            ),
        source: set.source,
      };
    }),
  );
}

/** Every set of a namespace; `lineOf` gives a line of the snapshot. */
export function setsOf(ns: Namespace, standIns: StandIns, lineOf: (source: Source) => string): ComparedSet[] {
  return [...ipsets(ns, standIns, lineOf), ...nftSets(ns, standIns)];
}

/** An element as nft prints it, as far as its parts are known; else as JSON. */
function elementText(element: NftJson): string {
  if (typeof element === "string" || typeof element === "number") return String(element);
  if (Array.isArray(element)) return element.map(elementText).join(" : ");
  if (typeof element !== "object" || element === null) return nftJsonText(element);
  const [name, value] = Object.entries(element)[0] ?? [];
  const inner = (key: string): NftJson =>
    typeof value === "object" && value !== null && !Array.isArray(value) ? (value[key] ?? null) : null;
  if (name === "elem") return elementText(inner("val"));
  if (name === "concat" && Array.isArray(value)) return value.map(elementText).join(" . ");
  if (name === "range" && Array.isArray(value)) return value.map(elementText).join("-");
  if (name === "prefix") return `${elementText(inner("addr"))}/${elementText(inner("len"))}`;
  if (name === "goto" || name === "jump") return `${name} ${elementText(inner("target"))}`;
  return value === null && name !== undefined ? name : nftJsonText(element);
}

function setSide(set: ComparedSet): { text: string; source: Source } {
  const count =
    set.elements === null ? "" : ` (${set.elements.size === 1 ? "1 element" : `${set.elements.size} elements`})`;
  return { text: `${set.what} ${set.shape}${count}`, source: set.source };
}

/** Elements that only one side has, as they are printed; one that only the other has, too, is left out. */
function only(set: ComparedSet, other: ComparedSet): string {
  return [...(set.elements ?? [])]
    .filter(([canonical]) => other.elements?.has(canonical) === false)
    .map(([, text]) => text)
    .join("; ");
}

/** Compares the sets of one namespace. */
export function compareSets(
  at: string,
  before: readonly ComparedSet[],
  after: readonly ComparedSet[],
  report: Report,
): void {
  const others = new Map(after.map((set) => [set.what, set]));
  for (const set of before) {
    const other = others.get(set.what);
    if (other === undefined) {
      report.removed(at, "set", set.what, setSide(set));
      continue;
    }
    others.delete(set.what);
    const fields = [];
    if (set.shape !== other.shape) fields.push({ name: "type", before: set.shape, after: other.shape });
    if (set.elements !== null && other.elements !== null) {
      const [gone, come] = [only(set, other), only(other, set)];
      if (gone !== "" || come !== "") fields.push({ name: "elements", before: gone, after: come });
    }
    if (fields.length > 0) report.changed(at, "set", set.what, setSide(set), setSide(other), fields);
  }
  for (const set of others.values()) report.added(at, "set", set.what, setSide(set));
}
