import { backoff, pause } from "./backoff.js";
import { StoppedError, type Delivery } from "./delivery.js";
import type { RelayLog } from "./log.js";
import type { Outbox } from "./outbox.js";

/** Behind a call with fewer entries than this, the next one waits a moment: calls with many cost the API much less each. */
const FEW_ENTRIES = 200;
const GATHER_MILLISECONDS = 50;

/** Sends what waits, so many sessions at a time, until it is stopped. */
export class Sender {
  #running: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly outbox: Outbox,
    private readonly delivery: Delivery,
    private readonly log: RelayLog,
    private readonly signal: AbortSignal,
  ) {}

  /** @param sessions how many calls are under way at a time, each for another session */
  start(sessions: number): void {
    this.#running = Promise.all(Array.from({ length: sessions }, () => this.#work()));
  }

  /** Resolves once nothing is under way: the signal and the outbox's stop lead to that. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #work(): Promise<void> {
    for (let failures = 0; !this.signal.aborted;) {
      try {
        if (!(await this.#sendNext())) return;
        failures = 0;
      } catch (error) {
        if (error instanceof StoppedError) return;
        this.log.error({ error }, "what waits could not be sent on; it is tried again");
        await pause(backoff(failures++), this.signal);
      }
    }
  }

  /** False where nothing is given out any more. */
  async #sendNext(): Promise<boolean> {
    const consignment = await this.outbox.next();
    if (!consignment) return false;
    try {
      await this.delivery.deliver(consignment.batch);
    } catch (error) {
      this.outbox.putBack(consignment);
      throw error;
    }
    this.outbox.finish(consignment);
    if (consignment.batch.entries.length < FEW_ENTRIES) await pause(GATHER_MILLISECONDS, this.signal);
    return true;
  }
}
