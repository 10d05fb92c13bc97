/** The iptables rulesets of one namespace and family: of which backend they are, and whether all of them were recorded. */
import type { Aspect } from "../../model/namespace.ts";
import type { NftJson, NftRuleset, NftTable } from "../../model/nftables.ts";
import { ParseError } from "../../model/source.ts";
import type { XtRuleset } from "../../model/xtables.ts";
import type { AsciiBytes } from "../ascii-bytes.ts";
import { parseIptablesSave } from "../iptables-save.ts";
import type { SnapshotMemory } from "./snapshot-memory.ts";
import type { AspectReader } from "./aspect-reader.ts";

/** The tables that iptables has, and what it calls its base chains (iptables/nft.c, xtables_ipv4). */
const TABLES = new Set(["filter", "nat", "mangle", "raw", "security"]);
const BASE_CHAINS = new Set(["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]);

interface Names {
  family: "ip" | "ip6";
  /** Aspect and file of the save by `iptables`, and by the legacy one. */
  aspect: Aspect;
  file: string;
  legacyAspect: Aspect;
  legacyFile: string;
}

const NAMES: readonly Names[] = [
  {
    family: "ip",
    aspect: "iptables",
    file: "iptables-save.txt",
    legacyAspect: "iptables-legacy",
    legacyFile: "iptables-legacy-save.txt",
  },
  {
    family: "ip6",
    aspect: "ip6tables",
    file: "ip6tables-save.txt",
    legacyAspect: "ip6tables-legacy",
    legacyFile: "ip6tables-legacy-save.txt",
  },
];

/** Files whose beginnings tell which iptables a node has. */
export const SAVE_FILES: readonly string[] = NAMES.map((names) => names.file);

const usesXtables = (json: NftJson): boolean =>
  typeof json === "object" && json !== null && !Array.isArray(json) && Object.hasOwn(json, "xt");

/** Whether iptables-nft made this table: it has extensions of iptables, or base chains named as only iptables names them. */
function isOfIptables(table: NftTable): boolean {
  if (table.chains.some((chain) => chain.rules.some((rule) => rule.expr.some(usesXtables)))) return true;
  return TABLES.has(table.name) && table.chains.some((chain) => chain.base !== null && BASE_CHAINS.has(chain.name));
}

const warned = (reader: AspectReader, names: Names): boolean =>
  reader.record(names.file)?.stderr.includes("-legacy tables present") ?? false;

/** Whether `iptables-save` looked for legacy tables in this namespace and found none. */
function sawNoLegacyTables(reader: AspectReader, names: Names): boolean {
  return reader.context.facts.warnsOfLegacy && reader.record(names.file)?.exit === 0 && !warned(reader, names);
}

const isProblem = (reader: AspectReader, file: string): boolean =>
  reader.context.problems.some((problem) => problem.source.file === reader.path(file));

function compareWithNft(
  reader: AspectReader,
  names: Names,
  saved: XtRuleset | undefined,
  nft: NftRuleset | null,
): void {
  const viaNft = saved?.backend === "nft" ? saved.tables.map((table) => table.name) : [];
  const source = reader.path(names.file);
  // Tables that nft changed in ways that iptables cannot show; what nft prints of them is then all that there is.
  const incompatible = new Set((saved?.incompatible ?? []).map((each) => each.table));
  for (const table of nft?.tables ?? []) {
    if (table.family !== names.family || viaNft.includes(table.name) || !isOfIptables(table)) continue;
    if (reader.missing.has(names.aspect) || incompatible.has(table.name)) continue;
    const where = `${table.source.file}:${table.source.line}`;
    reader.missing.set(
      names.aspect,
      `${names.file} lacks the table ${table.name}, which ${where} shows as one of iptables`,
    );
  }
  if (nft === null || reader.missing.has("nft")) return;
  for (const name of viaNft) {
    if (nft.tables.some((table) => table.family === names.family && table.name === name)) continue;
    reader.missing.set(
      "nft",
      `nft.json lacks the table ${names.family} ${name}, which ${source} shows as one of nf_tables`,
    );
  }
}

/**
 * Reads a save. Beyond what the parser refuses, a save is cut off when its last line is not whole, or when it begins with
 * iptables-save's own header and does not end with its own last line (xtables-save.c and iptables-save.c print both for
 * every table, or nothing at all). A cut right between two tables cannot be seen here.
 */
function parseWhole(text: string | AsciiBytes, file: string, family: "ip" | "ip6", memory: SnapshotMemory): XtRuleset {
  const ruleset = parseIptablesSave(text, file, family, memory[family], memory.marks);
  // A line of it is short: these are enough to hold the last one.
  const tail = text.slice(Math.max(0, text.length - 1000), text.length);
  const end = tail.endsWith("\n") ? tail.length - 1 : tail.length;
  const last = tail.slice(tail.lastIndexOf("\n", end - 1) + 1, end);
  const ended = last.startsWith("# Completed on ") || last.startsWith("# Table `") || text.slice(0, 2) !== "# ";
  if (end < tail.length && ended) return ruleset;
  const before = text.slice(0, text.length - tail.length + end);
  throw new ParseError(
    { file, line: before.split("\n").length },
    "cut off: not the last line that iptables-save prints",
  );
}

function readFamily(reader: AspectReader, names: Names, nft: NftRuleset | null): XtRuleset[] {
  const parse = (text: string | AsciiBytes, file: string): XtRuleset =>
    parseWhole(text, file, names.family, reader.context.memory);
  const saved = reader.readSave(names.aspect, names.file, parse);
  // Only the nf_tables one speaks of incompatible tables, and it does so before any header.
  if (saved?.incompatible !== undefined) saved.backend = "nft";
  let legacy: XtRuleset | undefined;
  if (saved?.backend === "legacy" && saved.tables.length > 0) {
    // `iptables` is the legacy one here: its save is the legacy ruleset, which must not count twice.
  } else {
    legacy = reader.readSave(names.legacyAspect, names.legacyFile, parse);
    const absent = legacy === undefined;
    if (
      absent &&
      reader.record(names.legacyFile)?.exit === 0 &&
      warned(reader, names) &&
      !reader.missing.has(names.legacyAspect)
    )
      reader.missing.set(
        names.legacyAspect,
        `iptables-save warns of legacy tables, yet ${names.legacyFile} is absent or empty`,
      );
    // Without the tool: whether there are legacy tables is known from elsewhere.
    if (absent && !isProblem(reader, names.legacyFile) && sawNoLegacyTables(reader, names))
      reader.missing.delete(names.legacyAspect);
  }
  // Whether there are tables of iptables-nft, nft tells as well; a save that is there but malformed stays a problem.
  const nftKnown = !reader.missing.has("nft");
  const none = !(nft?.tables ?? []).some((table) => table.family === names.family && isOfIptables(table));
  if (nftKnown && none && saved === undefined && !isProblem(reader, names.file)) reader.missing.delete(names.aspect);
  compareWithNft(reader, names, saved, nft);
  return [saved, legacy].filter((ruleset) => ruleset !== undefined);
}

/**
 * The rulesets of both families, at most four. What of them could not be had is in `reader.missing` under the name of the
 * save that should hold it. `nft` is the same namespace's nftables ruleset, to compare with.
 */
export function readIptables(reader: AspectReader, nft: NftRuleset | null): XtRuleset[] {
  return NAMES.flatMap((names) => readFamily(reader, names, nft));
}
