import { randomUUID } from "node:crypto";
import { changesTelling } from "./changes.js";
import { anonymous, nowhere, PLATFORM_TENANT, type Actor, type PendingEntry } from "./entry.js";
import type { StartedField } from "./own-resources.js";
import type { Sessions } from "./session.js";

/** What a process is, as the log tells it. */
export interface ProcessFacts {
  /** How people know it, such as its host and version. */
  readonly label: string;
  /** What it was started with, as far as it matters to what the log says: no secret. */
  readonly settings: Readonly<Record<StartedField, string | number>>;
}

/** Tells the log that a process started, and that it stopped: one that was killed told no stop. */
export class ProcessLog {
  /** One run of the process; its entries have it as their resource's id. */
  readonly runId = randomUUID();

  constructor(
    private readonly facts: ProcessFacts,
    private readonly sessions: Sessions,
    private readonly write: (entry: PendingEntry) => Promise<void>,
  ) {}

  started(): Promise<void> {
    const changes = changesTelling(this.facts.settings);
    return this.write({ ...this.#entry("START", "api.started", null), changes });
  }

  /** @param reason why it stops, such as the signal */
  stopped(reason: string): Promise<void> {
    return this.write(this.#entry("STOP", "api.stopped", reason));
  }

  #entry(action: "START" | "STOP", eventType: string, reason: string | null): PendingEntry {
    return {
      tenantId: PLATFORM_TENANT,
      actor: system("api"),
      action,
      eventType,
      outcome: "SUCCESS",
      error: null,
      resource: { type: "api", id: this.runId, label: this.facts.label },
      changes: [],
      attempted: [],
      operation: null,
      origin: { ...nowhere, reason },
      ...this.sessions.next(PLATFORM_TENANT),
      ordinal: 0,
      causeId: null,
    };
  }
}

const system = (subsystem: string): Actor => ({ ...anonymous, type: "SYSTEM", subsystem });
