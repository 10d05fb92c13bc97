/** truth.json of a recording: what really happened (format kubewalk.truth/v1). */

/** What came of trying one destination from one source several times. */
export interface Probe {
  from: string;
  proto: "tcp" | "udp";
  to: string;
  port: number;
  /** How often it was really tried: twice only when the first try timed out. */
  tries: number;
  /** Count by word: `delivered`, `timeout`, `refused`, or the error's text. */
  outcomes: Record<string, number>;
  /** Count by host name that answered. */
  servers: Record<string, number>;
  clientAddresses: Record<string, number>;
  answers: { server: string; clientAddress: string; count: number }[];
  /** Source ports of the tries that got as far as having one. */
  clientPorts: number[];
  /** The Service is sticky: later tries follow the first. */
  affinity?: boolean;
}

/** The recorder could not ask from there. */
export interface FailedProbe {
  from: string;
  error: string;
}

export interface Trace {
  /** One try. */
  probe: Probe | FailedProbe;
  /** What `nft monitor trace` printed, by place; places that printed nothing are absent. */
  nft: Record<string, string>;
  /** Lines of `conntrack -L -o extended` left by the flow, by place. */
  conntrack: Record<string, string[]>;
}

export interface Truth {
  format: "kubewalk.truth/v1";
  probes: (Probe | FailedProbe)[];
  traces: Trace[];
}

/** Reads truth.json's text. Throws when it is something else. */
export function parseTruth(text: string): Truth {
  const truth = JSON.parse(text) as Truth;
  if (truth.format !== "kubewalk.truth/v1") throw new Error(`not kubewalk.truth/v1 but ${String(truth.format)}`);
  return truth;
}

/** Whether the recorder could ask at all. */
export const isProbe = (p: Probe | FailedProbe): p is Probe => !("error" in p);

/** agnhost prints an IPv6 client in brackets, and one that reached a dual-stack socket over IPv4 as IPv4. */
export const plainAddress = (a: string): string => a.replace(/^\[(.*)\]$/, "$1").replace(/^::ffff:(?=\d+\.)/, "");
