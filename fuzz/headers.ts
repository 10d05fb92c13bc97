/** What a packet looked like when it met a rule: as the kernel's trace prints it, and as the steps of a walk make it. */
import { formatIp, ip4, ip6 } from "../src/core/model/address.ts";
import type { Step } from "../src/core/model/walk.ts";
import { canonical } from "./canonical.ts";
import type { Probe, Seen } from "./world.ts";

/** Null where it is not known. */
export interface Header {
  src: string | null;
  dst: string | null;
  sport: number | null;
  dport: number | null;
}

const NAT = /dnat|snat|masquerade|redirect|netmap/i;

/** Addresses, and ports of TCP and UDP, from the bytes of the IP header and of what follows (hex). */
export function headerOf(net: string, transport: string): Header {
  const b = Buffer.from(net, "hex");
  const l4 = Buffer.from(transport, "hex");
  const v4 = b[0]! >> 4 === 4;
  const proto = v4 ? b[9]! : b[6]!;
  const word = (at: number): number => b.readInt32BE(at);
  const ip = (at: number): string =>
    formatIp(v4 ? ip4(word(at)) : ip6(word(at), word(at + 4), word(at + 8), word(at + 12)));
  const ports = (proto === 6 || proto === 17) && l4.length >= 4;
  return {
    src: ip(v4 ? 12 : 8),
    dst: ip(v4 ? 16 : 24),
    sport: ports ? l4.readUInt16BE(0) : null,
    dport: ports ? l4.readUInt16BE(2) : null,
  };
}

/** Follows a packet through the steps of a walk. */
export class Follower {
  #header: Header = { src: null, dst: null, sport: null, dport: null };
  #mark: number | null = null;
  #at = "";
  #direction: Step["direction"] | "" = "";
  readonly #probe: Probe;
  readonly #server: Seen | null;

  constructor(probe: Probe, server: Seen | null) {
    this.#probe = probe;
    this.#server = server;
  }

  /** Takes the next step: the header and the mark with which the kernel's trace shows it. */
  take(s: Step): { header: Header; mark: number | null } {
    if (s.direction !== this.#direction) this.#turn(s.direction);
    else if (s.at !== this.#at) this.#mark = 0; // skb_scrub_packet
    this.#at = s.at;
    const before = { ...this.#header };
    const { changed } = s;
    if (changed?.src !== undefined) this.#header.src = changed.src;
    if (changed?.dst !== undefined) this.#header.dst = changed.dst;
    if (changed?.sport !== undefined) this.#header.sport = changed.sport;
    if (changed?.dport !== undefined) this.#header.dport = changed.dport;
    if (changed?.mark !== undefined) this.#mark = changed.mark;
    // A nat rule only says how: the packet is rewritten once its hook is done.
    return { header: NAT.test(s.text) ? before : { ...this.#header }, mark: this.#mark };
  }

  #turn(direction: Step["direction"]): void {
    const ports = this.#probe.proto !== "icmp";
    this.#direction = direction;
    if (direction === "forward") {
      const to = canonical(this.#probe.to);
      const any = to === "0.0.0.0" || to === "::";
      this.#header = {
        src: null,
        dst: any ? null : to,
        sport: ports ? this.#probe.sport : null,
        dport: ports ? this.#probe.port! : null,
      };
      this.#mark = this.#probe.mark ?? 0;
      return;
    }
    // The answer is made where the server saw the request; its mark may be that of the request.
    const s = this.#server;
    this.#header =
      s === null
        ? { src: null, dst: null, sport: null, dport: null }
        : { src: canonical(s.address), dst: canonical(s.clientAddress), sport: ports ? s.port : null, dport: null };
    this.#mark = null;
  }
}

/** Where a header that was seen differs from one foretold; null when it does not, as far as both are known. */
export function headerDiffers(seen: Header, told: Header): string | null {
  for (const key of ["src", "dst", "sport", "dport"] as const) {
    if (seen[key] !== null && told[key] !== null && seen[key] !== told[key])
      return `${key} ${seen[key]}, not ${told[key]}`;
  }
  return null;
}
