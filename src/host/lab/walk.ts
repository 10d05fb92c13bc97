/** One probe of a lab, rule by rule: what the engine foretells beside what the kernel says that it did. */
import { randomBytes } from "node:crypto";
import type { LabWalk } from "../../core/model/lab.ts";
import type { Answer, Outcome, Question, Step } from "../../core/model/walk.ts";
import { LabError } from "./parts.ts";
import { foretold, seenOf } from "./probe.ts";
import { folderOf } from "./snapshot.ts";
import type { StandingLab } from "./standing.ts";
import {
  metInTrace,
  metInWalk,
  recognizer,
  sameRules,
  TRACE_ON,
  TRACE_TABLE,
  type TraceEvent,
  type Traced,
} from "./trace-events.ts";

/** Shorter than TCP's first retransmission, so that each packet is traced once. */
const QUIET = 0.9;
/** As long as a neighbour takes to be unreachable. */
const LONG = 3.6;

type Raw = Parameters<typeof seenOf>[0];

/** The probe sent while every namespace tells which rules it meets. */
async function send(lab: StandingLab, probe: object): Promise<{ raw: Raw; events: Record<string, TraceEvent[]> }> {
  const at = lab.places.map((each) => each.place);
  await lab.must(at.map((place) => ({ at: place, argv: ["nft", "-f", "-"], input: TRACE_ON })));
  try {
    await lab.client.ask({ op: "trace-on", names: lab.places.map((each) => each.netns) });
    const [raw = {}] = await lab.client.ask<Raw[]>({ op: "probes", probes: [probe], quiet: QUIET, limit: 10 });
    return { raw, events: await lab.client.ask<Record<string, TraceEvent[]>>({ op: "trace-off" }) };
  } finally {
    await lab.must(at.map((place) => ({ at: place, argv: ["nft", "delete", "table", "inet", TRACE_TABLE] })));
  }
}

/** Ports from which nothing else is sent. */
const somePort = (): number => 20_000 + (randomBytes(2).readUInt16BE(0) % 10_000);

/** What is known of the snapshot that was taken before. */
export interface Before {
  answer: (question: Question) => Answer;
  /** A file of the snapshot; empty when it is not there. */
  textOf: (file: string) => string;
}

/** Outcomes that are what was seen, the likeliest first as the engine has them. */
function fitting(answer: Answer, seen: LabWalk["seen"]): Outcome[] {
  return answer.outcomes.filter((outcome) => {
    if (outcome.client !== seen.client) return false;
    if (seen.server === null || outcome.server === undefined) return true;
    return outcome.server.at === seen.server.at && outcome.server.clientAddress === seen.server.clientAddress;
  });
}

/** Sends one probe and compares. Rejects with LabError for a protocol that nobody sends here. */
export async function walkLab(lab: StandingLab, question: Question, before: Before): Promise<LabWalk> {
  const { from, proto, to, port } = question;
  if (proto === "sctp") throw new LabError("SCTP is not sent in labs: tcp, udp and icmp are");
  const traced: Traced = { proto, sourcePort: somePort(), port: port ?? null, token: randomBytes(4).toString("hex") };
  const probe = {
    ns: lab.netnsOf(from),
    to,
    proto,
    sport: traced.sourcePort,
    ...(proto === "tcp" ? {} : { token: traced.token }),
    ...(port === undefined ? {} : { port }),
  };
  const answer = before.answer({ ...question, sourcePort: traced.sourcePort });
  const { raw, events } = await send(lab, probe);
  // Silence may be a neighbour that is not known to be away as yet.
  const [patient = raw] =
    raw.timeout === true
      ? await lab.client.ask<Raw[]>({ op: "probes", probes: [probe], quiet: LONG, limit: 10 })
      : [raw];
  const { client, server } = seenOf(patient);
  const seen = { client, server };
  const whose = recognizer(Object.values(events).flat(), traced);
  const candidates = fitting(answer, seen);
  const inodes = await lab.inodes();
  const places = (steps: readonly Step[]): LabWalk["places"] =>
    lab.places.flatMap((place) => {
      const inode = inodes.get(place.place) ?? 0;
      const nftText = before.textOf(`${folderOf(place, inode)}/nft.txt`);
      const kernel = metInTrace(events[place.netns] ?? [], whose, nftText);
      const told = metInWalk(steps, place.place, before.textOf);
      // Where nobody answered, what came back is another's packet.
      const forward = (list: typeof kernel): typeof kernel =>
        client === "answered" ? list : list.filter((each) => each.direction === "forward");
      const [a, b] = [forward(kernel), forward(told)];
      if (a.length === 0 && b.length === 0) return [];
      const same = sameRules(a, b);
      return [{ at: place.place, kernel: a, engine: b, same }];
    });
  // One outcome may be reached by several paths.
  const all = candidates
    .flatMap(({ steps = [], paths = [] }) => [steps, ...paths.map((each) => each.steps)])
    .map(places);
  const found = all.find((list) => list.every((each) => each.same)) ?? all[0] ?? places([]);
  const told = foretold(answer, [{ ...seen, count: 1 }]);
  return {
    format: "kubewalk.lab-walk/v1",
    lab: lab.name,
    from,
    proto,
    to,
    port: port ?? null,
    seen,
    foretold: told.outcomes,
    agrees: candidates.length > 0 && found.every((each) => each.same),
    places: found,
  };
}
