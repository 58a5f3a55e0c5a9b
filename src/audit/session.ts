import { newUuid } from "./uuid.js";

/** One audited operation's place: the session it belongs to and its number there. */
export interface SequencePlace {
  readonly sessionId: string;
  readonly sequenceNumber: bigint;
}

/** How far a session is. */
export interface SessionProgress {
  /** So many numbers were taken: those from 0 on. */
  readonly taken: bigint;
  /** The operations of all numbers below have ended. */
  readonly settled: bigint;
  /** Grows with every number that is taken or settled. */
  readonly moves: number;
}

/** Who keeps account of the sessions. Neither of these may throw, nor take long: operations wait for them. */
export interface SessionWatcher {
  /** A session's first number is about to be taken. */
  opened(session: Session): void;
  /** No further number will be taken of it. */
  left(session: Session): void;
}

/** One tenant's session of this run. */
export class Session {
  readonly id = newUuid();
  readonly openedAt = new Date();
  #next = 0n;
  #moves = 0;
  /** The numbers of operations that haven't ended, in the order in which they were taken. */
  readonly #unsettled = new Set<bigint>();

  constructor(
    readonly tenantId: string,
    private readonly isWatched: boolean,
  ) {}

  take(): SequencePlace {
    const sequenceNumber = this.#next++;
    if (this.isWatched) {
      this.#unsettled.add(sequenceNumber);
      this.#moves += 1;
    }
    return { sessionId: this.id, sequenceNumber };
  }

  /** The number's operation has ended. */
  settle(sequenceNumber: bigint): void {
    if (this.#unsettled.delete(sequenceNumber)) this.#moves += 1;
  }

  get progress(): SessionProgress {
    const [lowest] = this.#unsettled;
    return { taken: this.#next, settled: lowest ?? this.#next, moves: this.#moves };
  }
}

const MAX_OPEN_SESSIONS = 10_000;

/**
 * The sessions of one run of this process, one for each tenant, so that a tenant's numbers have no gaps and show nothing
 * of another's traffic. Beyond ten thousand tenants the one idle longest is left; its next operation opens a new one.
 *
 * @example
 * const sessions = new Sessions();
 * ["acme", "acme", "globex"].map((tenant) => sessions.next(tenant).sequenceNumber); // [0n, 1n, 0n]
 */
export class Sessions {
  readonly #open = new Map<string, Session>();

  /** @param watcher keeps account of them; without one nobody does */
  constructor(private readonly watcher: SessionWatcher | null = null) {}

  /** Takes the tenant's next sequence number, from 0. */
  next(tenantId: string): SequencePlace {
    const session = this.#open.get(tenantId) ?? this.#openNew(tenantId);
    // Taken out and put back, so that the map stands in the order of last use.
    this.#open.delete(tenantId);
    this.#open.set(tenantId, session);
    if (this.#open.size > MAX_OPEN_SESSIONS) this.#leaveIdlest();
    return session.take();
  }

  /** A place that takes its number once somebody asks for it: what turns out to leave no entry leaves no gap either. */
  whenAsked(tenantId: string): SequencePlace {
    let taken: SequencePlace | undefined;
    const place = (): SequencePlace => (taken ??= this.next(tenantId));
    return {
      get sessionId() {
        return place().sessionId;
      },
      get sequenceNumber() {
        return place().sequenceNumber;
      },
    };
  }

  #openNew(tenantId: string): Session {
    const session = new Session(tenantId, this.watcher !== null);
    this.watcher?.opened(session);
    return session;
  }

  #leaveIdlest(): void {
    const [idlest] = this.#open.values();
    if (!idlest) return;
    this.#open.delete(idlest.tenantId);
    this.watcher?.left(idlest);
  }
}
