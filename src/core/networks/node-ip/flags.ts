/** Flags of Go programs: where other parts of kubewalk look for them. */
export { flagOf } from "../flags.ts";
