import type { AuditedResource } from "./audit/index.js";

/** A part of the application as one value: what `features.ts` lists is all there is. */
export interface Feature {
  /** TypeORM entities. */
  readonly entities: readonly (new () => object)[];
  /** The kinds of resource whose changes the log records. */
  readonly resources: readonly AuditedResource[];
  /** type-graphql resolver classes. */
  readonly resolvers: readonly (new () => object)[];
}
