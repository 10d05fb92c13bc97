/** Follows what a path's steps rewrite, so that a change can be shown as before → after. */
import type { Answer, Changed, Outcome, Step } from "../../core/model/walk.ts";

interface Header {
  src: string | undefined;
  dst: string | undefined;
  sport: number | undefined;
  dport: number | undefined;
  mark: number;
}

const UNKNOWN: Header = { src: undefined, dst: undefined, sport: undefined, dport: undefined, mark: 0 };

/** `ADDRESS:PORT`, with brackets around IPv6; what is not known is left out. */
export function formatEndpoint(address: string | undefined, port: number | undefined): string {
  if (address === undefined) return port === undefined ? "" : `port ${port}`;
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

const hex = (mark: number): string => (mark === 0 ? "0" : `0x${mark.toString(16)}`);

/** The source that the first packet has, as far as some step tells. */
function firstSource(steps: readonly Step[]): { src: string; sport: number | undefined } | null {
  for (const step of steps) {
    if (step.direction === "reply") return null;
    // After a rewriting of the source the tuples of later namespaces begin with the new one.
    if (step.layer === 0 && step.conntrack !== undefined) {
      return { src: step.conntrack.original.src, sport: step.conntrack.original.sport };
    }
    if (step.layer === 0 && step.changed?.src !== undefined) return null;
  }
  return null;
}

function sideText(name: string, before: Header, changed: Changed, side: "src" | "dst"): string | null {
  const port = side === "src" ? "sport" : "dport";
  const address = changed[side];
  const number = changed[port];
  const newAddress = address !== undefined && address !== before[side];
  const newPort = number !== undefined && number !== before[port];
  if (!newAddress && !newPort) return null;
  const to = formatEndpoint(address ?? before[side], number ?? before[port]);
  const from = before[side] === undefined ? "" : formatEndpoint(before[side], before[port]);
  return from === "" ? `${name} → ${to}` : `${name} ${from} → ${to}`;
}

/** What a step rewrote, in words. */
export interface Changes {
  /** `dst 10.96.0.1:443 → 172.30.0.10:6443`. */
  addresses: string[];
  /** `mark 0 → 0x4000`. */
  marks: string[];
}

export function changesText(c: Changes | undefined): string {
  return c === undefined ? "" : [...c.addresses, ...c.marks].join(", ");
}

/**
 * The changes of each step in words, by the step's index; empty lists for a step that changes nothing. `mark` is the sending socket's. Changes of the TTL are left out: every hop makes one.
 */
export function changesOf(answer: Answer, outcome: Outcome, mark = 0): Changes[] {
  const steps = outcome.steps ?? [];
  const first = firstSource(steps);
  let layers: Header[] = [
    { ...UNKNOWN, src: first?.src, sport: first?.sport, dst: answer.to, dport: answer.port, mark },
  ];
  let direction: Step["direction"] = "forward";
  let at: string | null = null;
  return steps.map((step) => {
    if (step.direction !== direction) {
      // The reply turns the header round as the server saw it.
      const { src, dst, sport, dport } = layers[0]!;
      layers = [{ src: dst, dst: outcome.server?.clientAddress ?? src, sport: dport, dport: sport, mark: 0 }];
      direction = step.direction;
    }
    if (at !== null && step.at !== at) {
      // Marks stay behind in a namespace (skb_scrub_packet); tunnels end where their layer does.
      for (const header of layers) header.mark = 0;
    }
    at = step.at;
    layers.length = Math.min(layers.length, step.layer + 1);
    // A tunnel's outer packet inherits the mark of what it carries (the same sk_buff).
    while (layers.length <= step.layer) layers.push({ ...UNKNOWN, mark: layers.at(-1)?.mark ?? 0 });
    const now = layers[step.layer]!;
    const changed = step.changed;
    const addresses: string[] = [];
    const marks: string[] = [];
    if (changed === undefined) return { addresses, marks };
    const src = sideText("src", now, changed, "src");
    if (src !== null) addresses.push(src);
    const dst = sideText("dst", now, changed, "dst");
    if (dst !== null) addresses.push(dst);
    if (changed.mark !== undefined && changed.mark !== now.mark)
      marks.push(`mark ${hex(now.mark)} → ${hex(changed.mark)}`);
    if (changed.ctmark !== undefined) marks.push(`ctmark → ${hex(changed.ctmark)}`);
    now.src = changed.src ?? now.src;
    now.dst = changed.dst ?? now.dst;
    now.sport = changed.sport ?? now.sport;
    now.dport = changed.dport ?? now.dport;
    now.mark = changed.mark ?? now.mark;
    return { addresses, marks };
  });
}

/** Where an outcome's packets are sent in the end. */
export interface Backend {
  address: string;
  port: number | undefined;
}

/** The server's address, else where the last DNAT points; null when nothing tells. */
export function backendOf(outcome: Outcome): Backend | null {
  if (outcome.server !== undefined) {
    const { address, port } = outcome.server;
    return { address, port: port === 0 ? undefined : port };
  }
  let dst: string | undefined;
  let dport: number | undefined;
  for (const step of outcome.steps ?? []) {
    if (step.direction === "reply" || step.layer !== 0) continue;
    dst = step.changed?.dst ?? dst;
    dport = step.changed?.dport ?? dport;
  }
  return dst === undefined ? null : { address: dst, port: dport };
}

/** The backend as `ADDRESS:PORT`, with brackets around IPv6; null when nothing tells. */
export function backendText(outcome: Outcome): string | null {
  const backend = backendOf(outcome);
  return backend === null ? null : formatEndpoint(backend.address, backend.port);
}
