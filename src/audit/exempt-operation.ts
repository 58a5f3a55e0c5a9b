import { runAfterCommit, type AfterCommit } from "./after-commit.js";
import { mutationContext, type AuditContext, type MutationContext } from "./context.js";
import { tenantOf } from "./entry-template.js";
import { rollBack } from "./end-transaction.js";
import type { AuditRuntime } from "./audit-runtime.js";
import { AuditScope } from "./scope.js";
import { translateError } from "./translate-error.js";

/**
 * Runs an `@unaudited` mutation in a transaction of its own, which leaves no entry and in which TypeORM's writes may
 * change nothing but ignored fields.
 */
export async function exemptOperation(
  runtime: AuditRuntime,
  name: string,
  errorPrefix: string,
  context: AuditContext,
  resolve: (context: MutationContext) => unknown,
): Promise<unknown> {
  const runner = runtime.dataSource.createQueryRunner("master");
  const scope = AuditScope.open(runner, tenantOf(context), runtime.registry, { exempt: true });
  const afterCommit: AfterCommit[] = [];
  try {
    await runner.connect();
    await runner.startTransaction();
    scope.phase = "resolving";
    const result = await resolve(mutationContext(context, scope, null, afterCommit));
    scope.seal();
    await runner.commitTransaction();
    await runAfterCommit(runtime.observer, name, afterCommit);
    return result;
  } catch (error) {
    await rollBack(runner, scope);
    throw translateError(error, errorPrefix, (unforeseen) => runtime.observer.unforeseen(unforeseen, name));
  } finally {
    scope.close();
    await runner.release();
  }
}
