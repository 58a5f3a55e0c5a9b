import type { RunStatement } from "../reading.js";
import { idBelow, LEAST_ID, millisecondOf } from "./entry-ids.js";
import { selectNewest, selectTenants, selectTenantsSince, type EntryKey } from "./statements.js";

/** How long the list is kept, in milliseconds, and how far back late entries are looked for. */
const KEPT = 30_000;
const LATENESS = 30_000;
/** More new entries than these, and finding all tenants anew is cheaper. */
const MAX_NEW = 2_000;

/**
 * The tenants that the log knows. Finding them takes a step for each in each partition, so the list is kept for a
 * while; those who came since are found by their entries, so that it is always whole.
 */
export class LogTenants {
  #known: ReadonlySet<string> = new Set();
  #since = LEAST_ID;
  #until = 0;

  async list(run: RunStatement): Promise<readonly string[]> {
    if (performance.now() < this.#until) {
      const added = await run<Pick<EntryKey, "tenant_id">>(selectTenantsSince(this.#since, MAX_NEW));
      if (added.length < MAX_NEW) return [...new Set([...this.#known, ...added.map((row) => row.tenant_id)])];
    }
    return this.#findAll(run);
  }

  async #findAll(run: RunStatement): Promise<readonly string[]> {
    const [newest] = await run<EntryKey>(selectNewest);
    const found = await run<Pick<EntryKey, "tenant_id">>(selectTenants);
    const tenants = found.map((row) => row.tenant_id);
    this.#known = new Set(tenants);
    // An entry's id is made just before its transaction ends: what isn't seen yet isn't much older than what is.
    this.#since = newest ? idBelow(millisecondOf(newest.id) - LATENESS) : LEAST_ID;
    this.#until = performance.now() + KEPT;
    return tenants;
  }
}
