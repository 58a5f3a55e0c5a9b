import type { MutationContext } from "../context.js";
import { Requires, Unaudited } from "../directive.js";
import { Arg, Ctx, Mutation, Resolver } from "../type-graphql.js";
import type { ReportIntake } from "./report-intake.js";
import { ReportAuditEntriesInput, ReportedEntries } from "./types.js";

export type { ReportIntake } from "./report-intake.js";

/** What reports need of the context. */
export interface ReportContext extends MutationContext {
  readonly intake: ReportIntake;
}

/** How other processes report. */
@Resolver()
export class ReportResolver {
  @Unaudited("What it brings are entries already, each of an operation in another process; it changes nothing else.")
  @Requires("REPORTER")
  @Mutation(() => ReportedEntries, {
    nullable: true,
    description:
      "Puts what another process saw into the log, in that process's own session. What is answered as accepted is committed; sending it again does no harm.",
  })
  reportAuditEntries(
    @Ctx() context: ReportContext,
    // Each part is checked by hand: one wrong entry leaves the others as they are.
    @Arg("input", () => ReportAuditEntriesInput, { validate: false }) input: ReportAuditEntriesInput,
  ): Promise<ReportedEntries> {
    return context.intake.take(context, input);
  }
}
