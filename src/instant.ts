/** How many instants of each generation are known again. */
const generationSize = 1024;

let young = new Map<string, Instant>();
let old = new Map<string, Instant>();

const form = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:Z|\+00(?::00)?)$/;

/**
 * A point in time as PostgreSQL holds it, with its microseconds: a Date would cut them off, and TypeORM makes a Date of
 * every text. It prints as `2026-11-21T23:41:56.123456Z`, always with six digits, so texts sort as the instants do.
 *
 * The same instant, read again soon, is the very same object: TypeORM's `save` takes what isn't for a change.
 */
export class Instant {
  private constructor(readonly text: string) {
    Object.freeze(this);
  }

  /**
   * Reads PostgreSQL's text of a session in UTC, and ISO-8601 in UTC. The calendar is left to who wrote the text.
   * @throws TypeError for any other form, the infinities and years outside 0001 to 9999 among them.
   */
  static parse(text: string): Instant {
    const known = young.get(text) ?? old.get(text);
    if (known) return known;
    const [, day, time, fraction = ""] = form.exec(text) ?? [];
    if (day === undefined || time === undefined) {
      throw new TypeError(`An instant is in UTC, such as 2026-11-21T23:41:56.123456Z; ${text.slice(0, 60)} isn't.`);
    }
    const instant = new Instant(`${day}T${time}.${fraction.padEnd(6, "0")}Z`);
    if (young.size >= generationSize) [old, young] = [young, new Map<string, Instant>()];
    young.set(text, instant);
    return instant;
  }

  toJSON(): string {
    return this.text;
  }

  toString(): string {
    return this.text;
  }

  /** How node-postgres writes it as a parameter. */
  toPostgres(): string {
    return this.text;
  }
}
