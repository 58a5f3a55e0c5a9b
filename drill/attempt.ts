import { randomUUID } from "node:crypto";
import { z } from "zod";

const told = z.object({
  data: z.record(z.string(), z.unknown()).nullish(),
  errors: z
    .array(z.object({ message: z.string(), extensions: z.object({ code: z.string().optional() }).optional() }))
    .default([]),
  extensions: z
    .object({
      audit: z
        .array(z.object({ entryIds: z.array(z.string()), sessionId: z.string(), sequenceNumber: z.string() }))
        .default([]),
    })
    .default({ audit: [] }),
});

/** What a client was told. */
export type Told = z.output<typeof told>;

/** A mutation that a client wants: one field, named like its operation, with one argument `input`. */
export interface Wish {
  readonly operation: string;
  readonly query: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly tenantId: string;
  readonly token: string;
}

/** A mutation that was sent. */
export interface Attempt extends Wish {
  /** Under which the log has it as `clientRequestId`. */
  readonly requestId: string;
  /** Which run of the API it was sent to, from 0. */
  readonly run: number;
  readonly client: number;
  /** Milliseconds of this process's clock: before it was sent, and after its answer was there. */
  readonly sent: number;
  readonly ended: number;
  /** Null where no answer came, or no whole one. */
  readonly told: Told | null;
}

const DEADLINE = 60_000;

/**
 * Sends a mutation and keeps what came of it; whatever ends the connection leaves it unanswered.
 *
 * @throws ZodError for an answer that isn't a GraphQL server's
 */
export async function attempt(origin: string, wish: Wish, sender: { run: number; client: number }): Promise<Attempt> {
  const requestId = randomUUID();
  const sent = performance.now();
  const answer = await send(origin, wish, requestId);
  const ended = performance.now();
  return { ...wish, ...sender, requestId, sent, ended, told: answer === null ? null : told.parse(JSON.parse(answer)) };
}

async function send(origin: string, { query, input, token }: Wish, requestId: string): Promise<string | null> {
  try {
    const response = await fetch(`${origin}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}`, "x-request-id": requestId },
      body: JSON.stringify({ query, variables: { input } }),
      signal: AbortSignal.timeout(DEADLINE),
    });
    return await response.text();
  } catch {
    return null;
  }
}
