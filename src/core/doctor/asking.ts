/** Walks beyond the survey's: from a certain port, or from someone whom only an address tells. */
import { formatIp } from "../model/address.ts";
import type { Question } from "../model/walk.ts";
import { sumOfShares, type Chart, type Walked } from "./chart.ts";
import { expectation } from "./expect.ts";
import type { Sender, Target } from "./target.ts";
import { senders } from "./targets.ts";

const known = new WeakMap<Chart, { byPlace: Map<string, Sender>; byAddress: Map<string, Sender> }>();

function index(chart: Chart): { byPlace: Map<string, Sender>; byAddress: Map<string, Sender> } {
  let found = known.get(chart);
  if (found !== undefined) return found;
  found = { byPlace: new Map(), byAddress: new Map() };
  for (const sender of senders(chart.dir)) {
    found.byPlace.set(sender.place, sender);
    for (const link of chart.dir.places.get(sender.place)?.links ?? [])
      for (const { ip } of link.addresses)
        if (link.kind.kind !== "loopback" && !found.byAddress.has(formatIp(ip)))
          found.byAddress.set(formatIp(ip), sender);
  }
  known.set(chart, found);
  return found;
}

/** Who sends from `address`; undefined when nobody recorded does. */
export const senderOf = (chart: Chart, address: string): Sender | undefined => index(chart).byAddress.get(address);

/** Who sends from a place. */
export const senderAt = (chart: Chart, place: string): Sender | undefined => index(chart).byPlace.get(place);

/** A walk from one source port. */
export function walkedFromPort(chart: Chart, sender: Sender, target: Target, sourcePort: number): Walked {
  const question: Question = { from: sender.place, proto: target.proto, to: target.address, sourcePort };
  if (target.port !== undefined) question.port = target.port;
  const answer = chart.walk(question);
  const failed = answer.outcomes.filter((each) => each.client !== "answered" && each.client !== "inconclusive");
  return {
    sender,
    target,
    question,
    answer,
    failed,
    share: sumOfShares(failed.map((each) => each.share)),
    expected: expectation(chart.dir, sender, target),
  };
}
