/** Compile-time proof that a schema and the type that code uses are the same, so that they cannot drift apart. */

/** `true` when A and B accept each other's values; otherwise nothing fits, and the assignment does not compile. */
export type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
