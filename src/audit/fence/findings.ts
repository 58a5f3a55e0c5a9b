import type { ClientBase } from "pg";
import type { Fence, StandingPolicy } from "./fence.js";

interface Standing {
  readonly resource_type: string;
  readonly digest: string;
  readonly policies: Readonly<Record<string, StandingPolicy>> | null;
}

const remedy = "Start the server with a MIGRATION_DATABASE_URL: it makes it anew.";

/**
 * What keeps the fences from holding what the code asks, a sentence each with what to do: one that is missing, broken, or
 * that asks for less than the policies. One that asks for more is another version's, which goes on. Empty where all hold.
 */
export async function fenceFindings(client: ClientBase, fences: readonly Fence[]): Promise<string[]> {
  const { rows } = await client.query<Standing>("select * from audit_guard.fences()");
  const damage = await client.query<{ problem: string }>("select problem from audit_guard.fence_damage() as problem");
  const standing = new Map(rows.map((row) => [row.resource_type, row]));
  const lacking = fences.flatMap((fence) => lacks(fence, standing.get(fence.type)));
  return [...damage.rows.map(({ problem }) => problem), ...lacking];
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
