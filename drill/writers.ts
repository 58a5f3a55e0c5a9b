import { setTimeout as delay } from "node:timers/promises";
import { attempt, type Attempt, type Wish } from "./attempt.js";
import { KnownRows, queryOf } from "./mutations.js";
import type { Random } from "./random.js";

/** Where clients send to: one run of the API. */
export interface Target {
  readonly origin: string;
  /** Counts the runs, from 0. */
  readonly run: number;
}

export interface WriterOptions {
  readonly count: number;
  readonly tenants: readonly string[];
  readonly random: Random;
  readonly mint: (subject: string, tenantId: string, role: "ADMIN" | "MEMBER") => Promise<string>;
}

/** In milliseconds: who is refused at once would else do nothing but ask again. */
const LONGEST_PAUSE = 150;
/** Who is refused is someone else each time, so that no two refusals are equal. */
const SHARE_OF_INTRUDERS = 0.02;

/** Clients that write all the time, each one mutation after the other, and remember what they were told. */
export class Writers {
  /** In the order of their answers; each client's in the order in which it sent them. */
  readonly attempts: Attempt[] = [];
  readonly #rows: readonly KnownRows[];
  #target = new Gate<Target>();
  #stopping = false;
  #intruders = 0;
  #working: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: WriterOptions) {
    this.#rows = options.tenants.map((tenantId) => new KnownRows(tenantId));
  }

  /** Lets them send to this run of the API from now on. */
  aim(target: Target): void {
    this.#target.open(target);
  }

  /** Has them wait before they send again. */
  hold(): void {
    this.#target.shut();
  }

  start(): void {
    const { count, random } = this.options;
    this.#working = Promise.all(Array.from({ length: count }, (_, client) => this.#write(client, random.fork())));
    this.#working.catch(() => undefined);
  }

  /** Resolves once each has been answered, or has lost its connection. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#target.open(null);
    await this.#working;
  }

  async #write(client: number, random: Random): Promise<void> {
    const rows = this.#rows[client % this.#rows.length];
    if (!rows) throw new Error("A client needs a tenant.");
    const token = await this.options.mint(`client-${String(client)}`, rows.tenantId, "ADMIN");
    for (;;) {
      const target = await this.#target.passed();
      if (target === null || this.#stopping) return;
      const wish = await this.#wish(rows, token, random);
      const made = await attempt(target.origin, wish, { run: target.run, client });
      this.attempts.push(made);
      rows.learn(made);
      if (made.told === null || made.told.errors.length > 0) await delay(random.between(1, LONGEST_PAUSE));
    }
  }

  async #wish(rows: KnownRows, token: string, random: Random): Promise<Wish> {
    const { tenantId } = rows;
    if (random.next() < SHARE_OF_INTRUDERS) {
      const intruder = await this.options.mint(`intruder-${String(this.#intruders++)}`, tenantId, "MEMBER");
      return { ...wishOf("createGroup", { name: "Intruders" }), tenantId, token: intruder };
    }
    const { operation, input } = rows.draw(random);
    return { ...wishOf(operation, input), tenantId, token };
  }
}

const wishOf = (operation: string, input: Wish["input"]) => ({ operation, input, query: queryOf(operation) });

/** A value that may have to be waited for. */
class Gate<Value> {
  #value: Promise<Value | null>;
  #resolve: (value: Value | null) => void = () => undefined;

  constructor() {
    this.#value = this.#closed();
  }

  /** Null tells who waits that nothing will come. */
  open(value: Value | null): void {
    this.#resolve(value);
    this.#value = Promise.resolve(value);
  }

  shut(): void {
    this.#value = this.#closed();
  }

  passed(): Promise<Value | null> {
    return this.#value;
  }

  #closed(): Promise<Value | null> {
    return new Promise((resolve) => (this.#resolve = resolve));
  }
}
