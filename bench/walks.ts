/**
 * What a walk costs: the forward path of one packet from a pod on node a through a ClusterIP to a pod on node b.
 * Every flow is drawn anew (client pod, source port, Service, endpoint), is walked once, and nothing of it is kept.
 */
import { parseIp } from "../src/core/model/address.ts";
import { sendRequest, type Attempt } from "../src/core/engine/exchange.ts";
import { explore } from "../src/core/engine/explore.ts";
import type { FrameFate } from "../src/core/engine/fate.ts";
import type { Oracle } from "../src/core/engine/oracle.ts";
import { Run } from "../src/core/engine/run.ts";
import { ask, createWorld, toAttempt } from "../src/core/engine/walk.ts";
import type { World } from "../src/core/engine/world.ts";
import type { KubeService } from "./generate/kube-proxy-iptables.ts";
import { seededRandom, shuffle } from "./generate/random.ts";
import { quantiles, type Quantiles } from "./stats.ts";
import type { BenchWorld } from "./world.ts";

/** Lets chance decide, as the kernel does; of what is not known (nothing, here) it takes the first answer. */
class RandomOracle implements Oracle {
  constructor(private readonly random: () => number) {}

  choose(weights: readonly number[]): number {
    let sum = 0;
    for (const w of weights) sum += w;
    let at = Math.floor(this.random() * sum);
    let i = 0;
    while (at >= weights[i]!) at -= weights[i++]!;
    return i;
  }

  unknown(): boolean {
    return false;
  }
}

/** Draws flows from pods of node a to Services. */
export class Flows {
  readonly random: () => number;
  private readonly attempts: Attempt[];

  constructor(
    private readonly made: BenchWorld,
    world: World,
    seed: number,
  ) {
    this.random = seededRandom(seed);
    const at = made.services[0]!;
    this.attempts = made.clients.map((from) =>
      toAttempt(world, { from, proto: "udp", to: at.clusterIP, port: at.port, sourcePort: 40000 }),
    );
  }

  private below(n: number): number {
    return Math.floor(this.random() * n);
  }

  /** A flow to a Service drawn at random. */
  next(): Attempt {
    return this.to(this.made.services[this.below(this.made.services.length)]!);
  }

  /** A flow to this Service, from a client and port drawn at random. */
  to(service: KubeService): Attempt {
    const to = parseIp(service.clusterIP);
    if (to === null) throw new Error("a ClusterIP that is no address");
    return {
      ...this.attempts[this.below(this.attempts.length)]!,
      proto: service.protocol === "tcp" ? 6 : 17,
      tcpFlags: 2,
      to,
      port: service.port,
      sourcePort: 32768 + this.below(28232),
    };
  }
}

const wentTo = (fate: FrameFate): string => (typeof fate === "object" && fate.t === "delivered" ? fate.ns.node : "");

export interface WalkFigures {
  /** Microseconds of one walk, over those that ended in a pod on node b. */
  outcome: Quantiles;
  /** Likewise of walks that are the first to meet their endpoint's rules, which are compiled then. */
  first: Quantiles;
  /** Walks that `outcome` was measured over. */
  flows: number;
  /** Likewise of a walk within the exploration of all of its flow's ways, as every question explores them. */
  branch: Quantiles;
  /** Microseconds per outcome of such an exploration as a whole, its shares added up, with those that stay on node a. */
  explored: Quantiles;
  /** Ways that a flow had, on average. */
  ways: number;
  /** Microseconds of a whole answer: every way there and back, its shares, as `kubewalk walk` computes it. */
  answer: Quantiles;
}

/** Takes one way after the other. */
class NthOracle implements Oracle {
  nth = 0;

  choose(weights: readonly number[]): number {
    return Math.min(this.nth, weights.length - 1);
  }

  unknown(): boolean {
    return false;
  }
}

/**
 * Walks once to every endpoint of every Service, in an order drawn at random: rules are compiled when a packet first meets
 * them, and these are the packets. Gives the microseconds of the walks to node b.
 */
function meetAll(made: BenchWorld, source: Flows, world: World): Quantiles {
  const oracle = new NthOracle();
  const samples: number[] = [];
  const all = made.services.flatMap((service) => service.endpoints.map((_, nth) => ({ service, nth })));
  for (const { service, nth } of shuffle(all, source.random)) {
    const a = source.to(service);
    oracle.nth = nth;
    const from = performance.now();
    const fate = sendRequest(new Run(world, oracle, false, false), a);
    const took = performance.now() - from;
    if (wentTo(fate) === "b") samples.push(took * 1000);
  }
  return quantiles(Float64Array.from(samples));
}

/** Measures `flows` walks to node b in a world, after it has met every rule and a warm-up of a fifth as many. */
export function measureWalks(made: BenchWorld, flows: number, seed: number): WalkFigures {
  const world = createWorld(made.snapshot);
  const source = new Flows(made, world, seed);
  const oracle = new RandomOracle(source.random);
  const one = (a: Attempt): FrameFate => sendRequest(new Run(world, oracle, false, false), a);
  const first = meetAll(made, source, world);
  const outcome = timed(flows, () => {
    const a = source.next();
    const from = performance.now();
    const fate = one(a);
    const took = performance.now() - from;
    const node = wentTo(fate);
    if (node === "") throw new Error("a walk of the benchmark did not reach its pod");
    return node === "b" ? took : null;
  });
  let ways = 0;
  let explorations = 0;
  const exploreCount = Math.ceil(flows / 5);
  const branches: number[] = [];
  const explored = timed(exploreCount, () => {
    const a = source.next();
    const from = performance.now();
    const { happenings } = explore(
      (o) => {
        const began = performance.now();
        const fate = sendRequest(new Run(world, o, false, false), a);
        if (wentTo(fate) === "b") branches.push((performance.now() - began) * 1000);
        return fate;
      },
      { fine: wentKey, coarse: wentKey, everyWay: false },
    );
    const took = performance.now() - from;
    ways += happenings.length;
    explorations++;
    return took / happenings.length;
  });
  const answer = timed(exploreCount, () => {
    const a = source.next();
    const q = {
      from: a.from.place,
      proto: a.proto === 6 ? ("tcp" as const) : ("udp" as const),
      to: text(a),
      port: a.port,
      sourcePort: a.sourcePort,
    };
    const from = performance.now();
    const { verdict } = ask(world, q);
    const took = performance.now() - from;
    if (verdict !== "answered") throw new Error(`an answer of the benchmark is ${verdict}`);
    return took;
  });
  return {
    outcome,
    first,
    flows,
    branch: quantiles(Float64Array.from(branches)),
    explored,
    ways: ways / explorations,
    answer,
  };
}

const text = (a: Attempt): string => [24, 16, 8, 0].map((shift) => (a.to.a >>> shift) & 255).join(".");

/** An outcome of the forward path: who gets the packet. */
function wentKey(fate: FrameFate): string {
  if (typeof fate !== "object" || fate.t !== "delivered")
    throw new Error("a walk of the benchmark did not reach its pod");
  return `${fate.ns.place} ${fate.pkt.dst.a} ${fate.pkt.dport}`;
}

/** Repeats `run` until `count` measurements came of it, and a fifth as many before them that do not count. */
function timed(count: number, run: () => number | null): Quantiles {
  for (let warm = Math.ceil(count / 5); warm > 0;) if (run() !== null) warm--;
  const samples = new Float64Array(count);
  for (let n = 0; n < count;) {
    const took = run();
    if (took !== null) samples[n++] = took * 1000;
  }
  return quantiles(samples);
}
