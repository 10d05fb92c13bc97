/** On which line of `nft -a list ruleset` each object stands. */

/** Finds the line, from 1, of what has this handle in a table; null when the text does not show it. */
export type LineOf = (family: string, table: string, handle: number) => number | null;

/** A table's own handle counts apart from those of what is in it. */
export interface NftLines {
  table(family: string, name: string): number | null;
  inTable: LineOf;
  /** Line with the `type … hook …` declaration of the base chain of this handle. */
  declaration: LineOf;
}

/**
 * Reads the `# handle N` at the ends of lines. Within a table every chain, rule, set and object draws its handle from one
 * counter (nf_tables_alloc_handle), so that family, table and handle are enough. Text that is something else yields nothing.
 */
export function nftLines(text: string): NftLines {
  const tables = new Map<string, number>();
  const inside = new Map<string, Map<number, number>>();
  const declared = new Map<string, Map<number, number>>();
  let current: Map<number, number> | null = null;
  let bases = new Map<number, number>();
  let chain: number | null = null;
  let line = 0;
  for (const row of text.split("\n")) {
    line++;
    const handle = /# handle (\d+)\s*$/.exec(row);
    const head = /^table (\S+) (.*?) \{/.exec(row);
    if (head !== null) {
      const key = `${head[1]} ${head[2]}`;
      tables.set(key, line);
      current = new Map();
      inside.set(key, current);
      bases = new Map();
      declared.set(key, bases);
      chain = null;
    } else if (chain !== null && /^\s+type \S+ hook /.test(row)) {
      bases.set(chain, line);
      chain = null;
    } else if (handle !== null && current !== null) {
      const n = Number(handle[1]);
      if (/^\s+chain .*\{ # handle \d+\s*$/.test(row)) chain = n;
      // A rule's comment may end like a handle; the first line that claims one is the object's own.
      if (!current.has(n)) current.set(n, line);
    }
  }
  return {
    table: (family, name) => tables.get(`${family} ${name}`) ?? null,
    inTable: (family, table, handle) => inside.get(`${family} ${table}`)?.get(handle) ?? null,
    declaration: (family, table, handle) => declared.get(`${family} ${table}`)?.get(handle) ?? null,
  };
}
