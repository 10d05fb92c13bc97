/** The kernel's verdict against kubewalk's. */
import type { Answer, Outcome, Question } from "../src/core/model/walk.ts";
import type { RawResult } from "./agent.ts";
import { namespaceAt, place } from "./collect.ts";
import type { Observed, Probe, Seen } from "./world.ts";

/** contract.md's words for what a program meets, by errno (errno(3)). */
const RESULT: Record<string, string> = {
  ECONNREFUSED: "refused",
  ENETUNREACH: "network-unreachable",
  EHOSTUNREACH: "host-unreachable",
  EPERM: "not-permitted",
  EACCES: "prohibited",
  EINVAL: "invalid",
  EMSGSIZE: "too-big",
  ETIMEDOUT: "timeout",
  // The contract has no word for these two; the nearest: a protocol unreachable ends the attempt at once, and without
  // any address to send from (ip6_dst_lookup_tail) nothing is reachable.
  ENOPROTOOPT: "refused",
  EADDRNOTAVAIL: "network-unreachable",
};

/** What an agent saw, in the words of the contract; an errno that it has no word for stays as `errno:NAME`. */
export function observed(raw: RawResult, names: readonly string[]): Observed {
  // A connection that comes about but carries no data is a program that waits for its answer.
  const answered = raw.answer !== undefined;
  const errno = answered ? null : (raw.errno ?? raw.after ?? null);
  return {
    client: answered ? "answered" : errno === null ? "timeout" : (RESULT[errno] ?? `errno:${errno}`),
    errno,
    at: answered ? null : (raw.at ?? (raw.after === undefined ? null : "recv")),
    server: seen(raw.answer, names),
    delivered: seen(raw.delivered, names),
    sender: raw.sender ?? null,
    unsent: raw.unsent ?? null,
  };
}

function seen(text: string | undefined, names: readonly string[]): Seen | null {
  if (!text) return null;
  const [ns, address, port, clientAddress, clientPort] = text.split(" ");
  return {
    ns: names.indexOf(ns!),
    address: address!,
    port: Number(port),
    clientAddress: clientAddress!,
    clientPort: Number(clientPort),
  };
}

/** A probe as a question. */
export function question(p: Probe): Question {
  const q: Question = { from: place(p.ns), proto: p.proto, to: p.to, sourcePort: p.sport };
  if (p.port !== undefined) q.port = p.port;
  if (p.mark !== undefined) q.mark = p.mark;
  if (p.ttl !== undefined) q.ttl = p.ttl;
  if (p.size !== undefined) q.size = p.size;
  return q;
}

export type Comparison = { kind: "same" } | { kind: "inconclusive"; why: string } | { kind: "differs"; why: string };

/**
 * Whether what was seen is among what was foretold: the client's result and, where it is known who got the packet,
 * that too. An answer that admits not to know is inconclusive unless what it is sure of rules the observation out.
 */
export function compare(answer: Answer, seenThere: Observed): Comparison {
  // An IPv6 program may only answer from an address that its host has, not from one that a `local` route brought to it.
  if (seenThere.unsent === "EINVAL")
    return { kind: "inconclusive", why: "the fuzzer's UDP server may not answer from the address that was asked" };
  const open = answer.outcomes.filter((o) => o.client === "inconclusive");
  if (answer.outcomes.some((o) => o.client !== "inconclusive" && agrees(o, seenThere))) {
    const unsure =
      open[0] ?? (answer.verdict === "inconclusive" ? answer.outcomes.find((o) => o.share === null) : undefined);
    return unsure ? { kind: "inconclusive", why: unsure.because.text } : { kind: "same" };
  }
  if (open.length > 0) return { kind: "inconclusive", why: open[0]!.because.text };
  const told = answer.outcomes.map(
    (o) =>
      `${o.client}${o.server ? ` by ${o.server.at} ${o.server.address}:${o.server.port} seeing ${o.server.clientAddress}` : ""} (${o.disposition}: ${o.because.text})`,
  );
  return { kind: "differs", why: `foretold ${told.join(" or ")}; the kernel: ${show(seenThere)}` };
}

/** Observed result as text. */
export function show(o: Observed): string {
  const who = o.server ?? o.delivered;
  return `${o.client}${o.errno ? ` (${o.at}: ${o.errno})` : ""}${who ? `, ${o.server ? "answered" : "received"} by ${place(who.ns)} ${who.address}:${who.port} seeing ${who.clientAddress}` : ""}`;
}

function agrees(o: Outcome, s: Observed): boolean {
  if (o.client !== s.client) return false;
  const who = s.server ?? s.delivered;
  if (who === null) return true;
  // Delivered for certain: an outcome that lets the packet die on its way there is wrong.
  if (!o.server) return s.server === null && o.disposition !== "inconclusive" ? lostReply(o) : false;
  return (
    namespaceAt(o.server.at) === who.ns &&
    o.server.address === who.address &&
    o.server.port === who.port &&
    o.server.clientAddress === who.clientAddress
  );
}

/** Whether an outcome without a server may still mean that the packet arrived and its answer was lost. */
function lostReply(o: Outcome): boolean {
  return o.steps === undefined || o.steps.some((s) => s.direction === "reply");
}
