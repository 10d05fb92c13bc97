/** Every fault that a lab can have. */
import * as absent from "./absent.ts";
import * as configuration from "./configuration.ts";
import * as dns from "./dns.ts";
import type { ShippedFault } from "./fault.ts";
import * as pods from "./pods.ts";
import * as routing from "./routing.ts";
import * as rules from "./rules.ts";
import * as services from "./services.ts";
import * as tunnels from "./tunnels.ts";
import * as virtualAddresses from "./virtual-addresses.ts";

export const FAULTS: readonly ShippedFault[] = [
  ...Object.values(rules),
  ...Object.values(tunnels),
  ...Object.values(routing),
  ...Object.values(pods),
  ...Object.values(services),
  ...Object.values(virtualAddresses),
  ...Object.values(configuration),
  ...Object.values(dns),
  ...Object.values(absent),
];
