/** Every network that kubewalk knows. */
import type { Network } from "./network.ts";

export const NETWORKS: readonly Network[] = [];
