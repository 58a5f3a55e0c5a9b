import { randomUUID } from "node:crypto";

/** One audited operation's place: the session it belongs to and its number there. */
export interface SequencePlace {
  readonly sessionId: string;
  readonly sequenceNumber: bigint;
}

const MAX_OPEN_SESSIONS = 10_000;

/**
 * The sessions of one run of this process, one for each tenant, so that a tenant's numbers have no gaps and show nothing
 * of another's traffic. Beyond ten thousand tenants the one idle longest is closed; its next operation opens a new one.
 *
 * @example
 * const sessions = new Sessions();
 * ["acme", "acme", "globex"].map((tenant) => sessions.next(tenant).sequenceNumber); // [0n, 1n, 0n]
 */
export class Sessions {
  readonly #open = new Map<string, { readonly id: string; next: bigint }>();

  /** Takes the tenant's next sequence number, from 0. */
  next(tenantId: string): SequencePlace {
    const session = this.#open.get(tenantId) ?? { id: randomUUID(), next: 0n };
    // Taken out and put back, so that the map stands in the order of last use.
    this.#open.delete(tenantId);
    this.#open.set(tenantId, session);
    if (this.#open.size > MAX_OPEN_SESSIONS) {
      const [idle] = this.#open.keys();
      if (idle !== undefined) this.#open.delete(idle);
    }
    return { sessionId: session.id, sequenceNumber: session.next++ };
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
}
