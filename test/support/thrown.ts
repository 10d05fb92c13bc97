/** What a function throws, for tests that compare the whole message. */

/** The error that `run` throws as `NAME: message`; fails when it throws nothing or no Error. */
export function thrown(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof Error) return `${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error("nothing was thrown");
}
