/**
 * Rules, chains, sets, tables of nftables as `nft list ruleset` prints them (1.0.6), which `nft -f` loads. Counters, timeouts and comments
 * are kept; handles are not. What nft's JSON does not tell is worked out where a rule tells it (a set that rules add to is dynamic).
 */
import type { NftFamily, NftJson } from "../../model/nftables.ts";
import { kindOf, memberText, stylesOf } from "./nft-expression.ts";
import { limitText, quotaText, statementText } from "./nft-statement.ts";
import { durationText, fieldsOf, listOf, NftTextError, quoted, styleOfType, wordOf } from "./nft-value.ts";
import type { ValueStyle } from "./nft-value.ts";
import { priorityText } from "./nft-priority.ts";

type Fields = { [key: string]: NftJson };

/** What of a rule is printed; NftRule and RuleState both are such. */
export interface PrintedRule {
  expr: readonly NftJson[];
  comment?: string | null;
}

/** What of a chain is printed; NftChain is such. */
export interface PrintedChain {
  name: string;
  base: {
    type: string;
    hook: string;
    priority: number;
    policy: "accept" | "drop";
    devices?: readonly string[];
  } | null;
  rules: readonly PrintedRule[];
  /** `comment`. */
  more?: Fields;
}

/** What of a set or map is printed; NftSet and SetState of nftables both are such. */
export interface PrintedSet {
  name: string;
  isMap: boolean;
  keyTypes: readonly string[];
  valueType: string | null;
  flags?: readonly string[];
  elements: readonly NftJson[];
  /** Seconds. */
  timeout?: number | null;
  /** `size`, `policy`, `gc-interval`, `stmt`, `auto-merge`, `comment`. */
  more?: Fields;
}

/** What of a table is printed; NftTable is such. */
export interface PrintedTable {
  family: NftFamily;
  name: string;
  flags?: readonly string[];
  sets: readonly PrintedSet[];
  chains: readonly PrintedChain[];
  objects?: readonly { kind: string; name: string; json: NftJson }[];
  /** `comment`. */
  more?: Fields;
}

/** A rule on one line. `family` is its table's; without it `reject` is written in full. Throws NftTextError. */
export function nftRuleText(rule: PrintedRule, family: NftFamily | null = null): string {
  const statements = rule.expr.map((each) => statementText(each, family));
  if (typeof rule.comment === "string") statements.push(`comment ${quoted(rule.comment)}`);
  return statements.join(" ");
}

/** The `type … hook … policy …;` line of a base chain. */
export function nftBaseText(base: NonNullable<PrintedChain["base"]>, family: NftFamily): string {
  const devices = (base.devices ?? []).map(quoted);
  const on =
    devices.length === 0
      ? ""
      : devices.length === 1
        ? ` device ${devices[0] ?? ""}`
        : ` devices = { ${devices.join(", ")} }`;
  const priority = priorityText(base.priority, family, base.hook);
  return `type ${base.type} hook ${base.hook}${on} priority ${priority}; policy ${base.policy};`;
}

/** A chain with its rules, indented by a tab. Throws NftTextError. */
export function nftChainText(chain: PrintedChain, family: NftFamily): string {
  const lines: string[] = [];
  if (typeof chain.more?.["comment"] === "string") lines.push(`comment ${quoted(chain.more["comment"])}`);
  if (chain.base !== null) lines.push(nftBaseText(chain.base, family));
  for (const rule of chain.rules) lines.push(nftRuleText(rule, family));
  return blockText(`chain ${chain.name}`, lines);
}

/** A set or map with its elements, indented by a tab. Throws NftTextError. */
export function nftSetText(set: PrintedSet): string {
  const more = set.more ?? {};
  const flags = new Set(set.flags);
  const timeout = set.timeout ?? null;
  const lines = [typeText(set)];
  if (more["policy"] === "memory") lines.push("policy memory");
  if (more["size"] !== undefined) lines.push(`size ${wordOf(more["size"])}`);
  // A default timeout says that there are timeouts (src/rule.c: set_print_declaration).
  if ([...flags].some((flag) => flag !== "timeout" || timeout === null)) {
    const order = ["constant", "dynamic", "interval", "timeout"].filter((flag) => flags.has(flag));
    if (order.length > 0) lines.push(`flags ${order.join(",")}`);
  }
  for (const statement of listOf(more["stmt"])) lines.push(statementText(statement));
  if (more["auto-merge"] === true) lines.push("auto-merge");
  if (timeout !== null) lines.push(`timeout ${durationText(timeout)}`);
  if (typeof more["gc-interval"] === "number") lines.push(`gc-interval ${durationText(more["gc-interval"])}`);
  if (typeof more["comment"] === "string") lines.push(`comment ${quoted(more["comment"])}`);
  if (set.elements.length > 0) lines.push(`elements = ${elementsText(set)}`);
  return blockText(`${set.isMap ? "map" : "set"} ${set.name}`, lines);
}

/** A table with all that is in it, as a block of `nft list ruleset`. Throws NftTextError. */
export function nftTableText(table: PrintedTable): string {
  const head: string[] = [];
  if (typeof table.more?.["comment"] === "string") head.push(`comment ${quoted(table.more["comment"])}`);
  // nft 1.0.6 garbles flags of tables in JSON: only what is a flag is printed.
  const flags = (table.flags ?? []).filter((flag) => ["dormant", "owner", "persist"].includes(flag));
  if (flags.length > 0) head.push(`flags ${flags.join(",")}`);
  const dynamic = dynamicSets(table.chains);
  const blocks = [
    ...(table.objects ?? []).map((object) => objectText(object.kind, object.name, object.json, table.family)),
    ...table.sets.map((set) =>
      nftSetText(dynamic.has(set.name) ? { ...set, flags: [...(set.flags ?? []), "dynamic"] } : set),
    ),
    ...table.chains.map((chain) => nftChainText(chain, table.family)),
  ];
  const lines = head.map((line) => `\t${line}\n`).join("");
  const between = head.length > 0 && blocks.length > 0 && flags.length > 0 ? "\n" : "";
  return `table ${table.family} ${table.name} {\n${lines}${between}${blocks.join("\n")}}\n`;
}

/** A whole ruleset, as `nft list ruleset` prints it and `nft -f` loads it. Throws NftTextError. */
export function nftRulesetText(tables: readonly PrintedTable[]): string {
  return tables.map(nftTableText).join("");
}

function blockText(head: string, lines: readonly string[]): string {
  return `\t${head} {\n${lines.map((line) => `\t\t${line}\n`).join("")}\t}\n`;
}

/** Names of the sets that a rule adds to or takes from: nft's JSON of 1.0.6 does not say `dynamic`. */
function dynamicSets(chains: readonly PrintedChain[]): Set<string> {
  const names = new Set<string>();
  for (const chain of chains) {
    for (const rule of chain.rules) {
      for (const statement of rule.expr) {
        const found = kindOf(statement);
        const name = found?.kind === "set" || found?.kind === "map" ? fieldsOf(found.body)?.[found.kind] : undefined;
        if (typeof name === "string") names.add(name.replace(/^@/, ""));
      }
    }
  }
  return names;
}

const TYPEOF = "typeof ";

/** A part of a key's type: its name, or the expression that it is of (the parser keeps that as JSON after "typeof "). */
function partOf(type: string): { text: string; style: ValueStyle; byExpression: boolean } {
  if (!type.startsWith(TYPEOF)) return { text: type, style: styleOfType(type), byExpression: false };
  const expression = JSON.parse(type.slice(TYPEOF.length)) as NftJson;
  const text = typeof expression === "string" ? expression : statementOrWord(expression);
  return { text, style: stylesOf(expression)[0] ?? "plain", byExpression: true };
}

function statementOrWord(expression: NftJson): string {
  // A match without a value is the expression alone.
  return statementText({ match: { op: "in", left: expression, right: "" } }).trim();
}

const valueParts = (valueType: string | null): ReturnType<typeof partOf>[] =>
  valueType === null ? [] : valueType.split(" . ").map(partOf);

function typeText(set: PrintedSet): string {
  const keys = set.keyTypes.map(partOf);
  const values = valueParts(set.valueType);
  const word = [...keys, ...values].some((part) => part.byExpression) ? "typeof" : "type";
  // Values that are prefixes or ranges: nft's JSON of 1.0.6 does not say `interval`.
  const ranges = set.elements.some((each) => Array.isArray(each) && isRange(each[1] ?? null));
  const value = values.length === 0 ? "" : ` : ${ranges ? "interval " : ""}${joined(values)}`;
  return `${word} ${joined(keys)}${value}`;
}

const joined = (parts: readonly { text: string }[]): string => parts.map((part) => part.text).join(" . ");

function isRange(value: NftJson): boolean {
  const fields = fieldsOf(value);
  return fields !== null && (fields["prefix"] !== undefined || fields["range"] !== undefined);
}

/** Elements that nft puts on one line, by the type of a key of one part (src/expression.c: calculate_delim). */
const PER_LINE: Record<string, number> = {
  ipv4_addr: 2,
  ct_state: 2,
  ct_status: 2,
  mark: 5,
  inet_proto: 5,
  inet_service: 5,
  integer: 5,
  uid: 5,
  gid: 5,
};

function elementsText(set: PrintedSet): string {
  const keys = set.keyTypes.map((type) => partOf(type).style);
  const values = valueParts(set.valueType).map((part) => part.style);
  const perLine = set.keyTypes.length === 1 ? (PER_LINE[set.keyTypes[0] ?? ""] ?? 1) : 1;
  let text = "";
  set.elements.forEach((element, i) => {
    if (i > 0) text += i % perLine === 0 ? ",\n\t\t\t     " : ", ";
    text += memberText(element, keys, values);
  });
  return `{ ${text} }`;
}

/** Stateful objects and flowtables. */
function objectText(kind: string, name: string, json: NftJson, family: NftFamily): string {
  const fields = fieldsOf(json) ?? {};
  switch (kind) {
    case "counter":
      return blockText(`counter ${name}`, [`packets ${wordOf(fields["packets"])} bytes ${wordOf(fields["bytes"])}`]);
    case "quota":
      return blockText(`quota ${name}`, [quotaText(fields)]);
    case "limit":
      return blockText(`limit ${name}`, [limitText(fields)]);
    case "ct helper": {
      const lines = [`type ${quoted(wordOf(fields["type"]))} protocol ${wordOf(fields["protocol"])}`];
      if (fields["l3proto"] !== undefined) lines.push(`l3proto ${wordOf(fields["l3proto"])}`);
      return blockText(`ct helper ${name}`, lines);
    }
    case "flowtable": {
      const priority = typeof fields["prio"] === "number" ? fields["prio"] : 0;
      const hook = wordOf(fields["hook"] ?? "ingress");
      const devices = listOf(fields["dev"]).map((each) => quoted(wordOf(each)));
      const lines = [`hook ${hook} priority ${priorityText(priority, family, hook)}`];
      if (devices.length > 0) lines.push(`devices = { ${devices.join(", ")} }`);
      return blockText(`flowtable ${name}`, lines);
    }
    default:
      throw new NftTextError(`an object of kind ${kind}`, json);
  }
}
