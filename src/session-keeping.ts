import type pg from "pg";
import type { AuditObserver } from "./audit/index.js";
import type { ProgramFacts } from "./audit/session-entry.js";
import { SessionKeeper } from "./audit/session-keeper.js";
import { SessionStore } from "./audit/session-store.js";
import type { Logger } from "./log.js";
import type { Shutdown } from "./shutdown.js";
import { within } from "./within.js";

interface SessionKeepingOptions {
  readonly log: Logger;
  readonly shutdown: Shutdown;
  /** Of the API's login, for nothing else. */
  readonly pool: pg.Pool;
  readonly observer: Pick<AuditObserver, "written">;
  readonly program: ProgramFacts;
}

/** Milliseconds from the beginning of a stop by which sessions are closed, and what they have where the steps before took long. */
const closedBy = 6_000;
const leastToClose = 400;

/** Begins to keep account of this run's sessions; they are closed at the stop, before the connections are. */
export function keepSessions({ log, shutdown, pool, observer, program }: SessionKeepingOptions): SessionKeeper {
  const keeper = new SessionKeeper({
    store: new SessionStore(pool, program, observer),
    onOpened: ({ id, tenantId, openedAt }) =>
      log.info({ sessionId: id, tenantId, ...program, startedAt: openedAt.toISOString() }, "a session was opened"),
    onError: (error) => log.warn({ error }, "account of the sessions can't be kept yet"),
  });
  shutdown.add("sessions", async (_reason, since) => {
    const deadline = Math.max(leastToClose, since + closedBy - performance.now());
    const closed = keeper.stop(deadline).catch((error: unknown) => {
      log.error({ error }, "not all sessions could be closed");
    });
    if ((await within(deadline, closed)) === null) log.error("the sessions could not be closed in time");
  });
  return keeper;
}
