/** Reads `conntrack -L -o extended` lines, as far as the judges compare them. */

export interface RecordedTuple {
  src: string;
  dst: string;
  sport: number;
  dport: number;
}

export interface RecordedEntry {
  proto: string;
  original: RecordedTuple;
  reply: RecordedTuple;
  line: string;
}

/** Null for lines without two tuples with ports. */
export function parseConntrackLine(line: string): RecordedEntry | null {
  const proto = /^\S+\s+\d+\s+(\S+)\s/.exec(line)?.[1];
  const tuples = [...line.matchAll(/src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/g)].map((m) => ({
    src: m[1]!,
    dst: m[2]!,
    sport: Number(m[3]),
    dport: Number(m[4]),
  }));
  const [original, reply] = tuples;
  return proto === undefined || original === undefined || reply === undefined ? null : { proto, original, reply, line };
}
