/** What `nft list ruleset` prints of a table, as text and as JSON, from one description of it (nft 1.0.6). */

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A rule or an element in both of nft's languages. */
export interface Printed {
  readonly text: string;
  readonly json: Json;
}

/** A rule: its expressions as JSON, and what stands beside them. */
export interface NftRuleText {
  readonly text: string;
  readonly expr: readonly Json[];
  readonly comment?: string;
}

export interface NftSetText {
  readonly name: string;
  readonly comment: string;
  /** Key type, or types of a concatenation. */
  readonly type: string | readonly string[];
  /** Elements of a map are its pairs. */
  readonly isVerdictMap: boolean;
  readonly elements: readonly Printed[];
}

export interface NftChainText {
  readonly name: string;
  readonly comment?: string;
  /** `priority` as the text has it, `prio` as JSON has it. */
  readonly base?: { readonly type: string; readonly hook: string; readonly priority: string; readonly prio: number };
  readonly rules: readonly NftRuleText[];
}

export interface NftTableText {
  readonly family: "ip" | "ip6";
  readonly name: string;
  readonly handle: number;
  readonly comment: string;
  readonly sets: readonly NftSetText[];
  readonly chains: readonly NftChainText[];
}

/** Two addresses a line, or one pair of a map (set_print's limits). */
function elementsText(set: NftSetText): string {
  const perLine = set.isVerdictMap ? 1 : 2;
  let out = "";
  set.elements.forEach((element, i) => {
    if (i > 0) out += i % perLine === 0 ? ",\n\t\t\t     " : ", ";
    out += element.text;
  });
  return `\t\telements = { ${out} }\n`;
}

/** Handles: objects of a table get theirs one after the other, here in the order of the listing. */
class Handles {
  private next = 1;
  take(): number {
    return this.next++;
  }
}

function setText(set: NftSetText, handle: number): string {
  const type = typeof set.type === "string" ? set.type : set.type.join(" . ");
  const data = set.isVerdictMap ? " : verdict" : "";
  const elements = set.elements.length === 0 ? "" : elementsText(set);
  return `\t${set.isVerdictMap ? "map" : "set"} ${set.name} { # handle ${handle}\n\t\ttype ${type}${data}\n\t\tcomment "${set.comment}"\n${elements}\t}\n`;
}

function chainText(chain: NftChainText, handle: number, ruleHandles: readonly number[]): string {
  const { base } = chain;
  const comment = chain.comment === undefined ? "" : `\t\tcomment "${chain.comment}"\n`;
  const hook =
    base === undefined ? "" : `\t\ttype ${base.type} hook ${base.hook} priority ${base.priority}; policy accept;\n`;
  const rules = chain.rules.map((rule, i) => `\t\t${rule.text} # handle ${ruleHandles[i]!}\n`);
  return `\tchain ${chain.name} { # handle ${handle}\n${comment}${hook}${rules.join("")}\t}\n`;
}

/** JSON as jansson writes it for libnftables: on one line, blanks after commas and colons. */
function write(json: Json): string {
  if (typeof json !== "object" || json === null) return JSON.stringify(json);
  if (Array.isArray(json)) return `[${json.map(write).join(", ")}]`;
  return `{${Object.entries(json)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${JSON.stringify(key)}: ${write(value as Json)}`)
    .join(", ")}}`;
}

/** The listing of `tables` in both languages: `nft -a list ruleset` and `nft -j -a list ruleset`. The text loads with `nft -f`. */
export function printNft(tables: readonly NftTableText[]): { text: string; json: string } {
  const text: string[] = [];
  const objects: Json[] = [{ metainfo: { version: "1.0.6", release_name: "Lester Gooch #5", json_schema_version: 1 } }];
  for (const table of tables) {
    const { family, name } = table;
    const handles = new Handles();
    const blocks: string[] = [];
    const rules: Json[] = [];
    objects.push({ table: { family, name, handle: table.handle } });
    for (const set of table.sets) {
      const handle = handles.take();
      blocks.push(setText(set, handle));
      const common = { family, name: set.name, table: name, type: set.type, handle, comment: set.comment };
      const elem = set.elements.length === 0 ? {} : { elem: set.elements.map((e) => e.json) };
      objects.push(
        set.isVerdictMap ? { map: { ...common, map: "verdict", ...elem } } : { set: { ...common, ...elem } },
      );
    }
    for (const chain of table.chains) {
      const handle = handles.take();
      const ruleHandles = chain.rules.map(() => handles.take());
      blocks.push(chainText(chain, handle, ruleHandles));
      const { base } = chain;
      const hooked = base === undefined ? {} : { type: base.type, hook: base.hook, prio: base.prio, policy: "accept" };
      objects.push({ chain: { family, table: name, name: chain.name, handle, ...hooked } });
      chain.rules.forEach((rule, i) => {
        const comment = rule.comment === undefined ? {} : { comment: rule.comment };
        const head = { family, table: name, chain: chain.name, handle: ruleHandles[i]! };
        rules.push({ rule: { ...head, ...comment, expr: rule.expr } });
      });
    }
    // One push each: a ruleset has more rules than a call can have arguments.
    for (const rule of rules) objects.push(rule);
    text.push(
      `table ${family} ${name} { # handle ${table.handle}\n\tcomment "${table.comment}"\n${blocks.join("\n")}}\n`,
    );
  }
  return { text: text.join(""), json: `${write({ nftables: objects })}\n` };
}
