/** What goes wrong when a name is looked up: it leads nowhere, to several things, or to something that was not recorded. */

/** A name that the snapshot does not know, or that could mean several things. The message is complete, suggestions included. */
export class NameError extends Error {
  /** What might have been meant, best first, in a form that resolves. */
  readonly suggestions: readonly string[];

  constructor(message: string, suggestions: readonly string[] = []) {
    super(suggestions.length === 0 ? message : `${message}; did you mean ${suggestions.join(" or ")}?`);
    this.name = "NameError";
    this.suggestions = suggestions;
  }
}

/** A thing that the cluster's objects name, but of which no namespace or address was recorded: an answer cannot be known. */
export class NotRecordedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "NotRecordedError";
  }
}
