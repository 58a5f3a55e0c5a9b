import type { AccessLog } from "./access-log.js";
import type { Folds } from "./fold.js";
import type { AuditObserver } from "./observer.js";
import type { OperationGround } from "./operation.js";
import type { RefusalLog } from "./refusal-log.js";
import type { Spool } from "./spool/spool.js";
import type { Sessions } from "./session.js";

/** What audited operations work with: a mutation's wrapper and background work alike. */
export interface AuditRuntime extends OperationGround {
  readonly sessions: Sessions;
  /** Writes FAILURE and DENIED on a connection of its own. */
  readonly refusals: RefusalLog;
  readonly observer: AuditObserver;
  /** Folds what is DENIED again and again; without it each leaves an entry of its own. */
  readonly folds?: Folds;
  /** Records looks at the log; without it there are no queries of the log. */
  readonly access?: AccessLog;
  /** Keeps attempts that can't be written yet; without one they may be lost. */
  readonly spool?: Spool;
}
