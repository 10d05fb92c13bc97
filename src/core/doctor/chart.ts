/** What checks look at: the snapshot, what should be there, and walks. Everything is made when first asked for, and once. */
import { diff } from "../diff/diff.ts";
import type { Diff } from "../diff/types.ts";
import { ask, createWorld } from "../engine/walk.ts";
import type { World } from "../engine/world.ts";
import { addFraction, fraction, toShare, ZERO, type Fraction } from "../model/fraction.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Source } from "../model/source.ts";
import type { Answer, Outcome, Question, Share, Step } from "../model/walk.ts";
import { createDirectory, type Directory } from "../names/directory.ts";
import { nodesOf, type Machine, type Site } from "../networks/site.ts";
import { siteOf } from "../networks/site-of.ts";
import { expectation, type Expectation } from "./expect.ts";
import { pairs } from "./pairs.ts";
import type { Sender, Target } from "./target.ts";
import { senders, targets } from "./targets.ts";
import type { Affected, Evidence } from "./types.ts";

/** A walk of the survey. */
export interface Walked {
  sender: Sender;
  target: Target;
  question: Question;
  answer: Answer;
  /** Outcomes in which the client does not get its answer; none of these is inconclusive. */
  failed: Outcome[];
  /** Part of the connections that fail; null where it cannot be known. */
  share: Share | null;
  /** What should happen if all is well. */
  expected: Expectation;
}

const fractionOf = (share: Share): Fraction | null =>
  typeof share.num === "number" && typeof share.den === "number" ? fraction(share.num, share.den) : null;

/** The sum of shares; null when one of them is not known. */
export function sumOfShares(shares: readonly (Share | null)[]): Share | null {
  let sum = ZERO;
  for (const share of shares) {
    const part = share === null ? null : fractionOf(share);
    if (part === null) return null;
    sum = addFraction(sum, part);
  }
  return toShare(sum);
}

export class Chart {
  readonly snapshot: Snapshot;
  readonly dir: Directory;
  readonly world: World;
  private readonly most: number | undefined;
  private madeSite: Site | null = null;
  private madeDiff: Diff | null = null;
  private madeSurvey: Walked[] | null = null;
  private madeFailures: Walked[] | null = null;
  private madeBySender: Map<string, Walked[]> | null = null;
  private readonly walks = new Map<string, Answer>();

  /** `most`: questions that a survey asks at most. */
  constructor(snapshot: Snapshot, most?: number) {
    this.snapshot = snapshot;
    this.dir = createDirectory(snapshot);
    this.world = createWorld(snapshot);
    this.most = most;
  }

  get site(): Site {
    return (this.madeSite ??= siteOf(this.snapshot));
  }

  /** What the nodes have against what they should have. */
  get diff(): Diff {
    return (this.madeDiff ??= diff(this.snapshot));
  }

  /** The machines that are nodes of the cluster. */
  get nodes(): Machine[] {
    return nodesOf(this.site);
  }

  /** Root namespaces of the cluster's nodes. */
  get hosts(): Namespace[] {
    return this.nodes.map((machine) => this.dir.places.get(machine.place)).filter((ns) => ns !== undefined);
  }

  /** Everyone who may send to anyone, asked: see pairs.ts. */
  get survey(): readonly Walked[] {
    this.madeSurvey ??= pairs(senders(this.dir), targets(this.dir), this.most).map(({ sender, target }) =>
      this.walked(sender, target),
    );
    return this.madeSurvey;
  }

  /** The survey's walks from one place. */
  surveyFrom(place: string): readonly Walked[] {
    if (this.madeBySender === null) {
      this.madeBySender = new Map();
      for (const walked of this.survey) {
        const own = this.madeBySender.get(walked.sender.place);
        if (own === undefined) this.madeBySender.set(walked.sender.place, [walked]);
        else own.push(walked);
      }
    }
    return this.madeBySender.get(place) ?? [];
  }

  /** Walks of the survey that fail, wholly or in part, though they should not. */
  get failures(): readonly Walked[] {
    this.madeFailures ??= this.survey.filter((walked) => walked.failed.length > 0 && walked.expected.answer);
    return this.madeFailures;
  }

  /** Walks from `sender` to `target`; `size` bytes long, from the IP header on, when given. */
  walked(sender: Sender, target: Target, size?: number): Walked {
    const question: Question = { from: sender.place, proto: target.proto, to: target.address };
    if (target.port !== undefined) question.port = target.port;
    if (size !== undefined) question.size = size;
    const answer = this.walk(question);
    const failed = answer.outcomes.filter((each) => each.client !== "answered" && each.client !== "inconclusive");
    return {
      sender,
      target,
      question,
      answer,
      failed,
      share: sumOfShares(failed.map((each) => each.share)),
      expected: expectation(this.dir, sender, target),
    };
  }

  /** Any walk. Throws QuestionError when the question makes no sense. */
  walk(question: Question): Answer {
    const key = JSON.stringify(question);
    let answer = this.walks.get(key);
    if (answer === undefined) this.walks.set(key, (answer = ask(this.world, question)));
    return answer;
  }

  /** The failed outcomes of a walk with the steps of each one's likeliest path. */
  failedWithSteps(walked: Walked): (Outcome & { steps: Step[] })[] {
    return ask(this.world, walked.question, { steps: true })
      .outcomes.filter((each) => each.client !== "answered" && each.client !== "inconclusive")
      .map((each) => ({ ...each, steps: each.steps ?? [] }));
  }

  /** A line of the snapshot as evidence; `text` when the line alone says too little (JSON listings are one long line). */
  evidence(source: Source, text?: string): Evidence {
    return { file: source.file, line: source.line, text: text ?? this.snapshot.line(source) };
  }

  /** A failed walk as the contract's `affects` has it; `outcomes` are those that count, all that failed when not given. */
  affected(walked: Walked, outcomes: readonly Outcome[] = walked.failed): Affected {
    const { question, target } = walked;
    const out: Affected = {
      from: walked.sender.place,
      to: target.to,
      share: outcomes === walked.failed ? walked.share : sumOfShares(outcomes.map((each) => each.share)),
      proto: target.proto,
      address: target.address,
    };
    if (target.port !== undefined) out.port = target.port;
    if (question.sourcePort !== undefined) out.sourcePort = question.sourcePort;
    if (question.size !== undefined) out.size = question.size;
    return out;
  }
}
