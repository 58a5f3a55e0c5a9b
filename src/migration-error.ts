import { sqlState } from "./audit/sql-state.js";

/**
 * Says why the database isn't migrated.
 *
 * `version`: the server is too old; `busy`: another process has been migrating for too long; `refused`: the login may
 * not; `failed`: a migration failed, and nothing of it was kept.
 */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
  /** What the process ends with: 78 (EX_CONFIG) where trying again is of no use. */
  readonly exitCode: 1 | 78;

  constructor(
    readonly reason: "version" | "busy" | "refused" | "failed",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.exitCode = reason === "busy" || reason === "failed" ? 1 : 78;
  }
}

/**
 * What it means that migrating ended with `cause`: whether the login or the migration is at fault, and what to do.
 *
 * @param running the class of the migration that had begun; null where none had
 */
export function migrationErrorOf(cause: unknown, running: string | null): MigrationError {
  const said = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "");
  const which = running === null ? null : `${running} (${migrationFile(running)})`;
  // What guards the log and its fences refuses the statement, whoever's login sends it.
  const isGuarded = textOf(cause, "where")?.includes("audit_guard.refuse_") ?? false;
  if (sqlState(cause) === "42501" && !isGuarded) {
    const where = which === null ? "" : `, in ${which}`;
    return new MigrationError("refused", `The login may not migrate this database: ${said}${where}.`, { cause });
  }
  const subject = which === null ? "A migration" : `The migration ${which}`;
  const message = `${subject} failed, and nothing of it was kept: ${remedied(said, textOf(cause, "hint"))}`;
  return new MigrationError("failed", message, { cause });
}

/** Where a migration's class is, as all are called: `Group1795219210000` in `migrations/1795219210000-group.ts`. */
export function migrationFile(name: string): string {
  const words = name.slice(0, -13).replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "-");
  return `migrations/${name.slice(-13)}-${words.toLowerCase()}.ts`;
}

/** What was said, and what to do: to let go of the very table that a fence guards, else the server's own hint. */
function remedied(said: string, hint: string | null): string {
  const table = /(?:every row of|The fence of) (.+?) (?:anew, unseen|is broken)/.exec(said)?.[1];
  if (table === undefined) return hint === null ? `${said}.` : `${said}. ${hint}`;
  const [fault] = said.split(". Start the server ");
  const lift = `SELECT audit_guard.lift_fence('${table.replaceAll("'", "''")}');`;
  return `${fault ?? said}. Begin it with ${lift} The start makes the fence again behind it.`;
}

/** What the server's error has by that name, also where an ORM's stands around it. */
function textOf(error: unknown, name: "hint" | "where"): string | null {
  const { driverError, [name]: own } = (error ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof own === "string") return own;
  return driverError === undefined ? null : textOf(driverError, name);
}
