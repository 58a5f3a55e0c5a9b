import { backoff, pause } from "./backoff.js";
import { StoppedError, type Delivery } from "./delivery.js";
import type { RelayLog } from "./log.js";
import type { Consignment, Outbox } from "./outbox.js";
import type { Slots } from "./slots.js";

/** Behind a call with fewer entries than this, the next one waits a moment: calls with many cost the API much less each. */
const FEW_ENTRIES = 200;
const GATHER_MILLISECONDS = 50;

/** Sends what waits, a session for each slot, until it is stopped. */
export class Sender {
  #running: Promise<unknown> = Promise.resolve();
  readonly #underWay = new Set<Promise<void>>();
  #failures = 0;

  constructor(
    private readonly outbox: Outbox,
    private readonly delivery: Delivery,
    /** The delivery's too: it lends its own while it waits beside the others. */
    private readonly slots: Slots,
    private readonly log: RelayLog,
    private readonly signal: AbortSignal,
  ) {}

  start(): void {
    this.#running = this.#work();
  }

  /** Resolves once nothing is under way: the signal and the outbox's stop lead to that. */
  async ended(): Promise<void> {
    await this.#running;
    await Promise.all(this.#underWay);
  }

  async #work(): Promise<void> {
    for (;;) {
      await this.slots.take();
      const consignment = await this.#next();
      if (!consignment) break;
      const sent = this.#send(consignment).finally(() => {
        this.#underWay.delete(sent);
        this.slots.giveBack();
      });
      this.#underWay.add(sent);
    }
    this.slots.giveBack();
  }

  /** Null where nothing is given out any more. */
  async #next(): Promise<Consignment | null> {
    while (!this.signal.aborted) {
      try {
        return await this.outbox.next();
      } catch (error) {
        await this.#failed(error);
      }
    }
    return null;
  }

  async #send(consignment: Consignment): Promise<void> {
    try {
      await this.delivery.deliver(consignment.batch);
      this.outbox.finish(consignment);
    } catch (error) {
      this.outbox.putBack(consignment);
      if (!(error instanceof StoppedError)) await this.#failed(error);
      return;
    }
    this.#failures = 0;
    if (consignment.batch.entries.length < FEW_ENTRIES) await pause(GATHER_MILLISECONDS, this.signal);
  }

  async #failed(error: unknown): Promise<void> {
    this.log.error({ error }, "what waits could not be sent on; it is tried again");
    await pause(backoff(this.#failures++), this.signal);
  }
}
