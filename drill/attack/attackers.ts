import type { ScratchCluster } from "../../scratch/cluster.js";
import type { Deployment } from "../../scratch/deployment.js";

/** Who attacks, and where. */
export interface Attacker {
  readonly name: string;
  readonly base: Deployment;
  /** The attacker's login to a database of that name. */
  readonly url: (database: string) => string;
  /** What it does first, in every transaction. */
  readonly prelude: string | null;
  /** Whether it may do anything by nature, so that what it alters can only be detected. */
  readonly isAdministrator: boolean;
}

/**
 * Everyone with a login: on a database that a superuser deployed, where event triggers stand, and the migrating login on
 * one that it deployed itself, where none do.
 */
export async function attackersOf(
  cluster: ScratchCluster,
  guarded: Deployment,
  plain: Deployment,
): Promise<readonly Attacker[]> {
  const owner = await cluster.login("owner", "in role audit_owner");
  const same = (url: string) => (database: string) => {
    const other = new URL(url);
    other.pathname = `/${database}`;
    return other.href;
  };
  const superuser = { base: guarded, url: same(guarded.database.adminUrl) };
  const migrating = { base: plain, url: same(plain.migratingUrl), isAdministrator: true };
  return [
    {
      name: "API",
      base: guarded,
      url: same(guarded.database.apiUrl),
      prelude: null,
      isAdministrator: false,
    },
    {
      name: "API (no event triggers)",
      base: plain,
      url: same(guarded.database.apiUrl),
      prelude: null,
      isAdministrator: false,
    },
    { name: "reader", base: guarded, url: same(guarded.database.readerUrl), prelude: null, isAdministrator: false },
    {
      name: "owner",
      base: guarded,
      url: (database) => cluster.urlOf(database, owner),
      prelude: "set local role audit_owner",
      isAdministrator: false,
    },
    { name: "superuser", ...superuser, prelude: null, isAdministrator: true },
    {
      name: "superuser as a replica",
      ...superuser,
      prelude: "set local session_replication_role = replica",
      isAdministrator: true,
    },
    { name: "superuser as guard", ...superuser, prelude: "set local role audit_guard", isAdministrator: true },
    { name: "migrating login", ...migrating, prelude: null },
    { name: "migrating login as guard", ...migrating, prelude: "set local role audit_guard" },
  ];
}
