/** Real saves: of every form that iptables 1.8.9 prints (test/data/iptables), and of recorded clusters where those are at hand. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

export interface Save {
  file: string;
  family: "ip" | "ip6";
  text: string;
}

const DATA = join(import.meta.dirname, "../../../../../test/data/iptables");
const RECORDINGS = join(import.meta.dirname, "../../../../../../shared/fixtures");

/** Why the recordings' saves are not among the tests; null when they are. */
export const noRecordings = existsSync(RECORDINGS) ? null : "skipped: no recordings at ../shared/fixtures";

function savesUnder(root: string, wanted: RegExp): Save[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => wanted.test(path))
    .toSorted()
    .map((path): Save => ({
      file: path,
      family: basename(path).startsWith("ip6") ? "ip6" : "ip",
      text: readFileSync(join(root, path), "utf8"),
    }));
}

/** One rule a form: what iptables and ip6tables 1.8.9 print with either backend for rules of every match and target. */
export const forms: readonly Save[] = savesUnder(DATA, /tables-(?:nft|legacy)\.txt$/);

/** Saves of recorded nodes. */
export const recorded: readonly Save[] =
  noRecordings === null ? savesUnder(RECORDINGS, /ip6?tables(?:-legacy)?-save\.txt$/) : [];
