import pg, { type ClientBase } from "pg";
import type { PolicyName } from "../resource.js";
import { literal } from "../sql.js";
import { fenceAlterations } from "./alterations.js";
import type { Fence } from "./fence.js";

interface Standing {
  readonly resource_type: string;
  readonly digest: string;
  readonly policies: Readonly<Record<string, PolicyName>> | null;
}

const remedy = "Start the server with a MIGRATION_DATABASE_URL: it makes it anew.";

/**
 * What keeps the fences from holding what the code asks, a sentence each with what to do: one that is missing, broken,
 * other than the code makes it, or that asks for less than the policies. One that asks for more is another version's, which
 * goes on: of that only what the database noted as it was made is compared. Empty where all hold. Throws only where the
 * connection fails.
 */
export async function fenceFindings(client: ClientBase, fences: readonly Fence[]): Promise<string[]> {
  try {
    return await look(client, fences);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return [
      `The fences can't be looked at (${error.code}: ${error.message}): mend what else is named, and start again.`,
    ];
  }
}

async function look(client: ClientBase, fences: readonly Fence[]): Promise<string[]> {
  const standing = await standingFences(client);
  const damage = await client.query<{ problem: string }>("select problem from audit_guard.fence_damage() as problem");
  const lacking = fences.flatMap((fence) => lacks(fence, standing.get(fence.type)));
  const broken = damage.rows.map(({ problem }) => problem);
  // What is broken by the database's own account says so already.
  const own = broken.length > 0 ? [] : fences.filter(({ type, digest }) => standing.get(type)?.digest === digest);
  return [...broken, ...(await altered(client, own)), ...lacking];
}

async function standingFences(client: ClientBase): Promise<ReadonlyMap<string, Standing>> {
  const { rows } = await client.query<Standing>("select * from audit_guard.fences()");
  return new Map(rows.map((row) => [row.resource_type, row]));
}

// A start makes a fence anew only where the database's own account has it as broken, or has none.
async function altered(client: ClientBase, fences: readonly Fence[]): Promise<string[]> {
  const found: { readonly fence: Fence; readonly faults: readonly string[] }[] = [];
  for (const fence of fences) found.push({ fence, faults: await fenceAlterations(client, fence) });
  if (found.every(({ faults }) => faults.length === 0)) return [];
  // Another version may have made its own since the first look.
  const now = await standingFences(client);
  return found
    .filter(({ fence }) => now.get(fence.type)?.digest === fence.digest)
    .flatMap(({ fence: { table }, faults }) =>
      faults.map(
        (fault) =>
          `The fence of ${table} is broken: ${fault}, though the database notes none of it. As the table's owner who ` +
          `may act as audit_guard run SELECT audit_guard.lift_fence(${literal(table)}); Then: ${remedy}`,
      ),
    );
}

function lacks({ type, table, digest, policies }: Fence, standing: Standing | undefined): string[] {
  if (!standing) return [`${table} has no fence, so its changes aren't checked at commit. ${remedy}`];
  if (standing.digest === digest) return [];
  const fields = Object.entries(policies).flatMap(([field, policy]) =>
    policy === "ignore" || standing.policies?.[field] === policy ? [] : [field],
  );
  if (fields.length === 0) return [];
  return [`The fence of ${type} asks for less than the code says: ${fields.join(", ")}. ${remedy}`];
}
