/** Recordings of real clusters beside the checkout, and what the kernel printed of its way through chains (truth.json). */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import type { Snapshot } from "../../../model/snapshot.ts";
import { assembleSnapshot } from "../../../parse/snapshot.ts";
import type { Hook } from "../context.ts";
import { packet } from "./stub.ts";
import type { Packet } from "../../packet.ts";

const ROOT = new URL("../../../../../../shared/fixtures", import.meta.url).pathname;

/** Names of the recordings; none where they are not at hand. */
export function recordings(): string[] {
  return existsSync(ROOT) ? readdirSync(ROOT).filter((name) => existsSync(join(ROOT, name, "truth.json"))) : [];
}

export function load(name: string): Snapshot {
  const dir = join(ROOT, name, "snapshot");
  const walk = (d: string): string[] =>
    readdirSync(d).flatMap((f) =>
      statSync(join(d, f)).isDirectory() ? walk(join(d, f)) : [relative(dir, join(d, f))],
    );
  const paths = walk(dir);
  return assembleSnapshot({
    paths: () => paths,
    read: (path) => (existsSync(join(dir, path)) ? readFileSync(join(dir, path), "utf8") : undefined),
  });
}

/** One run of a base chain: the packet as it came in, and the kernel's `TABLE CHAIN VERDICT` lines. */
export interface Passage {
  place: string;
  id: string;
  family: string;
  table: string;
  chain: string;
  packet: Packet;
  iif: string | null;
  oif: string | null;
  steps: string[];
}

const LINE = /^trace id (\S+) (\S+) (\S+) (\S+) (packet:|rule|policy) ?(.*)$/;

/** Every passage that the recording's traces show whole. */
export function passages(name: string): Passage[] {
  const truth = JSON.parse(readFileSync(join(ROOT, name, "truth.json"), "utf8")) as {
    traces: { nft: Record<string, string> }[];
  };
  const out: Passage[] = [];
  for (const { nft } of truth.traces) {
    for (const [place, text] of Object.entries(nft)) {
      let open: Passage | null = null;
      for (const line of text.split("\n")) {
        const found = LINE.exec(line);
        if (found === null) continue;
        const [, id, family, table, chain, kind, rest] = found as unknown as string[];
        if (table === "kwtrace") continue;
        if (kind === "packet:") {
          open = read(place, id!, family!, table!, chain!, rest!);
          continue;
        }
        if (open === null || open.id !== id || open.table !== table) continue;
        const verdict =
          kind === "policy" ? `policy ${rest!.split(" ")[0]}` : (/\(verdict ([^)]*)\)\s*$/.exec(rest!)?.[1] ?? "?");
        open.steps.push(`${table} ${chain} ${verdict}`);
        if (/^(policy|accept|drop|\?)/.test(verdict)) {
          out.push(open);
          open = null;
        }
      }
    }
  }
  return out;
}

function read(place: string, id: string, family: string, table: string, chain: string, rest: string): Passage {
  const word = (pattern: RegExp): string | null => pattern.exec(rest)?.[1] ?? null;
  const number = (pattern: RegExp): number => Number(word(pattern) ?? 0);
  const protos = { tcp: 6, udp: 17, sctp: 132, icmp: 1, icmpv6: 58 };
  const name =
    word(/ (tcp|udp|sctp) sport /) ?? word(/ (icmp|icmpv6) type /) ?? word(/(?:ip protocol|ip6 nexthdr) (\S+)/) ?? "";
  const flags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 };
  const flagText = word(/tcp flags == (\S+)/) ?? "0";
  const pkt = packet({
    src: word(/ip6? saddr (\S+)/) ?? "0.0.0.0",
    dst: word(/ip6? daddr (\S+)/) ?? "0.0.0.0",
    proto: protos[name as keyof typeof protos] ?? 0,
    sport: number(/ sport (\d+)/),
    dport: number(/ dport (\d+)/),
    ttl: number(/(?:ip ttl|ip6 hoplimit) (\d+)/),
    length: number(/ip length (\d+)/),
    icmpType:
      { "echo-request": family === "ip" ? 8 : 128, "echo-reply": family === "ip" ? 0 : 129 }[
        word(/icmp(?:v6)? type (\S+)/) ?? ""
      ] ?? 0,
    tcpFlags: flags[flagText as keyof typeof flags] ?? Number(flagText),
    macSrc: word(/ether saddr (\S+)/),
    macDst: word(/ether daddr (\S+)/),
    locallyMade: !rest.includes("iif"),
  });
  return {
    place,
    id,
    family,
    table,
    chain,
    packet: pkt,
    iif: word(/iif "([^"]+)"/),
    oif: word(/oif "([^"]+)"/),
    steps: [],
  };
}

/** The hook of a chain by the name that iptables and kube-proxy give it. */
export function hookOfChain(chain: string): Hook | null {
  return (
    (["prerouting", "input", "forward", "output", "postrouting"] as const).find((h) =>
      chain.toLowerCase().includes(h),
    ) ?? null
  );
}
