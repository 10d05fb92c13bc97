/** Traffic that makes neighbours known: a lab that nobody used yet has empty tables where a network in use has entries. */
import type { Job, Lab } from "../parts.ts";

/** Python: one datagram to the discard port (RFC 863) of each address. */
const SEND = `import socket, sys
for address in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.sendto(b"", (address, 9))
    except OSError:
        pass
`;

/** A datagram from a place to each address. Who does not answer is not waited for. */
export const prime = (at: string, addresses: readonly string[]): Job => ({
  at,
  argv: ["python3", "-c", SEND, ...addresses],
});

/** Whether a place knows the MAC address of every one of these neighbours; answers the first that it does not know. */
export async function unknownNeighbour(lab: Lab, at: string, addresses: readonly string[]): Promise<string | null> {
  const { out } = await lab.run({ at, argv: ["ip", "-j", "neigh", "show"] });
  const known = new Set(
    (JSON.parse(out || "[]") as { dst: string; lladdr?: string }[]).flatMap(({ dst, lladdr }) =>
      lladdr === undefined ? [] : [dst],
    ),
  );
  return addresses.find((address) => !known.has(address)) ?? null;
}
