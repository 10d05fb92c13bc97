/** Every check. */
import type { Check } from "./check.ts";
import { forwardingOff } from "./checks/forwarding-off.ts";

export const CHECKS: readonly Check[] = [forwardingOff];
