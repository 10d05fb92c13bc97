/** The session that commands work with: the loader and the engine. Loaded only when a command needs them. */
import { ask, createWorld, QuestionError } from "../core/engine/walk.ts";
import type { Snapshot } from "../core/model/snapshot.ts";
import { ParseError } from "../core/model/source.ts";
import { loadSnapshot } from "../host/snapshot/load.ts";
import { SnapshotError } from "../host/snapshot/snapshot-error.ts";
import { UsageError } from "./exit.ts";
import type { OpenSession, Session } from "./session.ts";

/** A loaded snapshot, made askable. */
export function sessionOf(snapshot: Snapshot): Session {
  const world = createWorld(snapshot);
  return {
    snapshot,
    ask(question, options) {
      try {
        return ask(world, question, options);
      } catch (error) {
        if (error instanceof QuestionError) throw new UsageError(error.message);
        throw error;
      }
    },
    peerOf(place, dev) {
      const peer = world.byPlace.get(place)?.byName.get(dev)?.peer ?? null;
      return peer === null ? null : { at: peer.ns.place, dev: peer.name };
    },
  };
}

/** Loads a snapshot and makes it askable. Rejects with UsageError when there is none or when its head is malformed. */
export const openSession: OpenSession = async (path, onProgress) => {
  try {
    return sessionOf(await loadSnapshot(path, { onProgress }));
  } catch (error) {
    if (error instanceof SnapshotError || error instanceof ParseError) throw new UsageError(error.message);
    throw error;
  }
};
