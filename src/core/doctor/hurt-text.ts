/** Who is hurt, in numbers: `TCP from 3 pods and 1 node to svc:shop/web:80 (1/3)`. */
import type { Share } from "../model/walk.ts";
import type { Hurt } from "./check.ts";

/** More targets than this are counted. */
const MOST_TARGETS = 3;

const plural = (n: number, one: string): string => `${n} ${n === 1 ? one : `${one}s`}`;

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1) ?? ""}`;
}

function sendersText(hurts: readonly Hurt[]): string {
  const kinds = new Map<string, Set<string>>();
  for (const { walked } of hurts) {
    const kind = walked.sender.kind === "outside" ? "host outside" : walked.sender.kind;
    const places = kinds.get(kind) ?? new Set();
    kinds.set(kind, places.add(walked.sender.place));
  }
  return list(
    [...kinds].map(([kind, places]) =>
      kind === "host outside"
        ? `${places.size === 1 ? "a host" : `${places.size} hosts`} outside`
        : plural(places.size, kind),
    ),
  );
}

function shareText(share: Share | null): string {
  if (share === null) return "some of the connections";
  return String(share.num) === String(share.den) ? "" : `${share.num} of ${share.den} connections`;
}

/** One line for people. */
export function hurtText(hurts: readonly Hurt[]): string {
  const protos = [...new Set(hurts.map(({ walked }) => walked.target.proto.toUpperCase()))];
  const targets = [...new Set(hurts.map(({ walked }) => walked.target.to))];
  const shown =
    targets.length <= MOST_TARGETS
      ? list(targets)
      : `${targets.slice(0, MOST_TARGETS).join(", ")} and ${targets.length - MOST_TARGETS} more`;
  const shares = [...new Set(hurts.map(({ walked }) => shareText(walked.share)))].filter((each) => each !== "");
  const part = shares.length === 0 ? "" : shares.length === 1 ? `: ${shares[0]}` : ": wholly or in part";
  const sizes = hurts.some(({ walked }) => walked.question.size !== undefined) ? ", large packets" : "";
  return `${list(protos)}${sizes} from ${sendersText(hurts)} to ${shown}${part}`;
}
