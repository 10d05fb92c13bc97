/** Addresses as text in the engine's own spelling. */
import { formatIp, parseIp } from "../src/core/model/address.ts";

/** The same address as the engine prints it; what is none stays as it is. */
export function canonical(address: string): string {
  const ip = parseIp(address);
  return ip === null ? address : formatIp(ip);
}
