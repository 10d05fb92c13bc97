/** `nft -j -a list ruleset` (libnftables-json(5)), with the lines of `nft -a list ruleset` where that was recorded too. */
import type { NftChain, NftFamily, NftJson, NftRule, NftRuleset, NftSet, NftTable } from "../model/nftables.ts";
import type { Source } from "../model/source.ts";
import { asObject, errorAt, field, isObject, objects, optional, parseJson } from "./json-lines.ts";
import type { JsonDoc, JsonObject } from "./json-lines.ts";
import { nftLines } from "./nft/lines.ts";
import type { NftLines } from "./nft/lines.ts";

const FAMILIES: readonly string[] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];

/**
 * Reads a ruleset. `text` is nft.json and `file` its path in the snapshot; `nftTxt` is nft.txt with its path, or null when
 * it was not recorded. `source` of every table, chain, set and rule is its line of nft.txt, else of nft.json.
 * Throws ParseError with the line where the shape is not that of libnftables-json(5); what expressions say is kept as it is.
 */
export function parseNftJson(text: string, file: string, nftTxt: { text: string; file: string } | null): NftRuleset {
  const doc = parseJson(text, file);
  const root = asObject(doc, {}, doc.value, "nft's ruleset");
  const reader = new Reader(doc, nftTxt === null ? null : { file: nftTxt.file, lines: nftLines(nftTxt.text) });
  field(doc, root, "nftables", "array");
  for (const item of objects(doc, root, "nftables")) reader.item(item);
  return { file, tables: reader.tables };
}

class Reader {
  readonly tables: NftTable[] = [];
  private readonly byName = new Map<string, NftTable>();
  private readonly chains = new Map<NftTable, Map<string, NftChain>>();
  private readonly sets = new Map<NftTable, Map<string, NftSet>>();

  constructor(
    private readonly doc: JsonDoc,
    private readonly txt: { file: string; lines: NftLines } | null,
  ) {}

  item(item: JsonObject): void {
    const kinds = Object.keys(item);
    const kind = kinds[0];
    if (kind === undefined || kinds.length !== 1)
      throw errorAt(this.doc, item, "every element should have one key, the kind of object");
    const body = asObject(this.doc, item, item[kind], `"${kind}"`);
    switch (kind) {
      case "metainfo":
        return;
      case "table":
        return this.table(body);
      case "chain":
        return this.chain(body);
      case "rule":
        return this.rule(body);
      case "set":
      case "map":
        return this.set(body, kind === "map");
      case "element":
        return this.element(body);
      default:
        return this.object(kind, body);
    }
  }

  private table(o: JsonObject): void {
    const family = field(this.doc, o, "family", "string");
    if (!FAMILIES.includes(family)) throw errorAt(this.doc, o, `"${family}" is no family`);
    const name = field(this.doc, o, "name", "string");
    const key = `${family} ${name}`;
    if (this.byName.has(key)) throw errorAt(this.doc, o, `table ${key} is there twice`);
    const line = this.txt?.lines.table(family, name) ?? null;
    const table: NftTable = {
      family: family as NftFamily,
      name,
      handle: optional(this.doc, o, "handle", "integer") ?? 0,
      flags: this.words(o, "flags"),
      chains: [],
      sets: [],
      objects: [],
      ...rest(o, ["family", "name", "handle", "flags"]),
      source: this.source(o, line),
    };
    this.tables.push(table);
    this.byName.set(key, table);
    this.chains.set(table, new Map());
    this.sets.set(table, new Map());
  }

  private tableOf(o: JsonObject): NftTable {
    const key = `${field(this.doc, o, "family", "string")} ${field(this.doc, o, "table", "string")}`;
    const table = this.byName.get(key);
    if (table === undefined) throw errorAt(this.doc, o, `table ${key} is not there`);
    return table;
  }

  private chain(o: JsonObject): void {
    const table = this.tableOf(o);
    const name = field(this.doc, o, "name", "string");
    const handle = optional(this.doc, o, "handle", "integer") ?? 0;
    const named = this.chains.get(table)!;
    if (named.has(name)) throw errorAt(this.doc, o, `chain ${table.family} ${table.name} ${name} is there twice`);
    const chain: NftChain = {
      name,
      handle,
      base: this.base(o, table, handle),
      rules: [],
      ...rest(o, ["family", "table", "name", "handle", "type", "hook", "prio", "policy", "dev"]),
      source: this.sourceIn(o, table, handle),
    };
    named.set(name, chain);
    table.chains.push(chain);
  }

  private base(o: JsonObject, table: NftTable, handle: number): NftChain["base"] {
    const hook = optional(this.doc, o, "hook", "string");
    if (hook === null) return null;
    const policy = optional(this.doc, o, "policy", "string") ?? "accept";
    if (policy !== "accept" && policy !== "drop") throw errorAt(this.doc, o, `"${policy}" is no policy`);
    return {
      type: field(this.doc, o, "type", "string"),
      hook,
      priority: field(this.doc, o, "prio", "integer"),
      policy,
      devices: this.words(o, "dev"),
      source: this.source(o, this.txt?.lines.declaration(table.family, table.name, handle) ?? null),
    };
  }

  private rule(o: JsonObject): void {
    const table = this.tableOf(o);
    const name = field(this.doc, o, "chain", "string");
    const chain = this.chains.get(table)!.get(name);
    if (chain === undefined) throw errorAt(this.doc, o, `chain ${table.family} ${table.name} ${name} is not there`);
    const handle = optional(this.doc, o, "handle", "integer") ?? 0;
    const expr = optional(this.doc, o, "expr", "array") ?? [];
    for (const each of expr) {
      if (!isObject(each) || Object.keys(each).length !== 1)
        throw errorAt(this.doc, o, "every statement of a rule should be an object with one key");
    }
    const rule: NftRule = {
      handle,
      expr,
      comment: optional(this.doc, o, "comment", "string"),
      ...rest(o, ["family", "table", "chain", "handle", "expr", "comment"]),
      source: this.sourceIn(o, table, handle),
    };
    chain.rules.push(rule);
  }

  private set(o: JsonObject, isMap: boolean): void {
    const table = this.tableOf(o);
    const name = field(this.doc, o, "name", "string");
    const handle = optional(this.doc, o, "handle", "integer") ?? 0;
    const named = this.sets.get(table)!;
    if (named.has(name)) throw errorAt(this.doc, o, `set ${table.family} ${table.name} ${name} is there twice`);
    const plainKey = names(o["type"]);
    const plainValue = typeof o["map"] === "string";
    const read = ["family", "table", "name", "handle", "flags", "timeout", "elem"];
    if (plainKey !== null) read.push("type");
    if (plainValue) read.push("map");
    const set: NftSet = {
      name,
      handle,
      isMap,
      keyTypes: plainKey ?? typesOf(o["type"]),
      valueType: isMap ? (plainValue ? field(this.doc, o, "map", "string") : typesOf(o["map"]).join(" . ")) : null,
      flags: this.words(o, "flags"),
      elements: optional(this.doc, o, "elem", "array") ?? [],
      timeout: optional(this.doc, o, "timeout", "number"),
      ...rest(o, read),
      source: this.sourceIn(o, table, handle),
    };
    named.set(name, set);
    table.sets.push(set);
  }

  /** Elements that are listed apart from their set. */
  private element(o: JsonObject): void {
    const table = this.tableOf(o);
    const name = field(this.doc, o, "name", "string");
    const set = this.sets.get(table)!.get(name);
    if (set === undefined) throw errorAt(this.doc, o, `set ${table.family} ${table.name} ${name} is not there`);
    set.elements.push(...(optional(this.doc, o, "elem", "array") ?? []));
  }

  private object(kind: string, o: JsonObject): void {
    const table = this.tableOf(o);
    table.objects.push({ kind, name: field(this.doc, o, "name", "string"), json: o });
  }

  /** A list of words, which nft prints as one string when there is only one. */
  private words(o: JsonObject, key: string): string[] {
    const value = o[key];
    if (value === undefined || value === null) return [];
    const list = names(value);
    if (list === null) throw errorAt(this.doc, o, `"${key}" should be a string or an array of strings`);
    return list;
  }

  private sourceIn(o: JsonObject, table: NftTable, handle: number): Source {
    return this.source(o, this.txt?.lines.inTable(table.family, table.name, handle) ?? null);
  }

  private source(o: JsonObject, line: number | null): Source {
    if (line !== null && this.txt !== null) return { file: this.txt.file, line };
    return { file: this.doc.file, line: this.doc.line(o) };
  }
}

/** The words of a string or an array of strings; null for anything else. */
function names(value: NftJson | undefined): string[] | null {
  if (typeof value === "string") return [value];
  return Array.isArray(value) && value.every((each) => typeof each === "string") ? (value as string[]) : null;
}

/** Key types of a set declared by `typeof`, one word for each part of the key. */
function typesOf(type: NftJson | undefined): string[] {
  const inner = isObject(type) && type["typeof"] !== undefined ? type["typeof"] : (type ?? null);
  const parts = isObject(inner) && Array.isArray(inner["concat"]) ? inner["concat"] : [inner];
  return parts.map((part) => `typeof ${JSON.stringify(part)}`);
}

/** `{ more }` with the attributes that are not in `read`; nothing when there are none. */
function rest(o: JsonObject, read: readonly string[]): { more?: { [key: string]: NftJson } } {
  const left = Object.entries(o).filter(([key]) => !read.includes(key));
  return left.length === 0 ? {} : { more: Object.fromEntries(left) };
}
